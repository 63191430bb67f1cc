"""The roster: every attempt that a host has, from its assignment to its reported end."""

import asyncio
import logging
import os
import signal
import time
from collections import OrderedDict
from collections.abc import Callable

from stoker.domain.deployments import Code
from stoker.domain.jobs import TIMEOUT_GRACE
from stoker.domain.pools import HostTerms
from stoker.domain.reports import Finished, HandedOver, Logged
from stoker.domain.runs import LogLine
from stoker.host.agent.attempt import Attempt, Doom, Key, verdict
from stoker.host.agent.child_link import ERROR, ChildLink
from stoker.host.agent.departure import Departure
from stoker.host.agent.log_meter import LogMeter
from stoker.host.agent.memory_watch import MemoryWatch
from stoker.host.agent.outbox import Outbox
from stoker.host.agent.placing import Placing, is_ready
from stoker.host.agent.questions import Questions
from stoker.host.agent.reporting import Reporting
from stoker.host.agent.server_link import ServerLink
from stoker.host.agent.wear import Wear
from stoker.host.agent.zygote_link import Nest, ZygoteLink
from stoker.ports.launcher import HostConfig
from stoker.suspend_signal import SUSPEND_SIGNAL
from stoker.wire import host as wire
from stoker.wire import pipe

logger = logging.getLogger("stoker.host")

LINGER = 5.0
"""Seconds that a child gets for its exit handlers, after its run has ended."""
ASK_AGAIN = 1.0
"""Seconds between two SIGTERMs for a run that is cancelled and goes on."""
SILENCE = 1.5
"""Seconds after the end of a child's socket in which its zygote is expected to report its end."""
REMEMBERED = 2_000
"""Attempts that are over, and are known still if they are assigned again."""


class Roster:
    """See the module.

    Args:
        config: The host's.
        nest: What its zygotes have in common.
        outbox: Takes the frames.
        link: The connection to the server.
        on_empty: Called when the host is to leave and the last run is over.
    """

    def __init__(
        self,
        config: HostConfig,
        nest: Nest,
        outbox: Outbox,
        link: ServerLink,
        on_empty: Callable[[], None],
    ) -> None:
        self._grace = config.cancel_grace
        self._outbox = outbox
        self._link = link
        self._send = link.send
        self._on_empty = on_empty
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[Key, Attempt] = {}
        self._over: OrderedDict[Key, None] = OrderedDict()
        self._running: dict[Key, tuple[ZygoteLink, ChildLink]] = {}
        self._questions = Questions(link.send)
        self._reporting = Reporting(outbox)
        self._emit = self._reporting.emit
        self._departure = Departure(once=config.once)
        self.wear = Wear(HostTerms(fence_after=config.fence_after), self._say_worn, self._warm_pids)
        self.memory = MemoryWatch(config.slots, self._running, self._end_for_memory)
        self.placing = Placing(config.slots, nest, self.wear, self, self, link.send)

    # From the server.

    def introduction(self) -> list[wire.FromHost | bytes]:
        """What the server has to know on a new connection."""
        # Zygotes first: with its runs told, the host may be given some.
        messages: list[wire.FromHost | bytes] = [
            is_ready(zygote) for zygote in self.placing.ready()
        ]
        messages.append(wire.Holding(runs=list(self._attempts)))
        if self.wear.reason:
            messages.append(wire.HostWorn(reason=self.wear.reason))
        if self._departure.draining:
            messages.append(wire.HostDraining(released=[]))
        return [*messages, *self._questions.open()]

    def assign(self, jobs: list[wire.Job]) -> None:
        """Take attempts; those that are known already are only acknowledged."""
        now = time.time()
        taken: list[Key] = []
        refused: list[Key] = []
        for job in jobs:
            key = job.run_id, job.attempt
            known = key in self._attempts or key in self._over
            if not known and not self._departure.may_take():
                refused.append(key)
                continue
            taken.append(key)
            if not known:
                attempt = Attempt(job, now, {}, LogMeter(job.limits.max_log))
                self._attempts[key] = attempt
                self._departure.took_run()
                self.placing.place(attempt)
        if refused:
            self._send(wire.Released(runs=refused))
        if taken:
            self._send(wire.AssignAck(runs=taken))

    def cancel(self, order: wire.CancelRun) -> None:
        """End an attempt on request."""
        key = order.run_id, order.attempt
        attempt = self._attempts.get(key)
        if attempt is None or attempt.finished:
            return
        doom = Doom.FAIL if order.failure else Doom.SUSPEND if order.suspend else Doom.CANCEL
        first = attempt.doom is None
        if first or attempt.doom is Doom.SUSPEND:
            attempt.doom, attempt.reason = doom, order.failure
        if key not in self._running:
            self.placing.withdraw(attempt)
            self._conclude(attempt, verdict(attempt, None, time.time()))
        elif order.now:
            self._kill(attempt)
        elif first:
            self._let_stand(attempt, stop=False)
            self._ask_to_end(attempt)
            attempt.killer = self._loop.call_later(self._grace, self._kill, attempt)

    def stop_run(self, order: wire.StopRun) -> None:
        """Let an attempt's processes stand still, or go on."""
        attempt = self._attempts.get((order.run_id, order.attempt))
        if attempt is not None and not attempt.finished and attempt.doom is None:
            self._let_stand(attempt, stop=order.stop)

    def _let_stand(self, attempt: Attempt, *, stop: bool) -> None:
        if attempt.stopped is not stop and attempt.key in self._running:
            attempt.stopped = stop
            zygote, child = self._running[attempt.key]
            zygote.kill(child, signal.SIGSTOP if stop else signal.SIGCONT, group=True)

    def warm(self, codes: list[Code]) -> None:
        """Have zygotes of these codes; the most wanted come first."""
        if not self._departure.draining:
            self.placing.warm(codes)

    def reply(self, reply: wire.Reply) -> None:
        """Pass an answer on to the child that asked."""
        self._questions.answer(reply)

    def drain(self) -> None:
        """Take no new run, hand back those that no child has, and leave after the last one."""
        if self._departure.draining:
            return
        self._departure.draining = True
        waiting = self.placing.withdraw_all()
        for attempt in waiting:
            self._forget(attempt)
        self._send(wire.HostDraining(released=[attempt.key for attempt in waiting]))
        self.leave_if_done()

    def finish(self, reason: str) -> None:
        """Take no new run, and leave after the last one: nothing can be handed back."""
        if not self._departure.draining:
            logger.warning("this host leaves after its last run: %s", reason)
            self._departure.draining = True

    def dismiss(self) -> None:
        """The server gives this host no run any more, and every earlier one is here."""
        self._departure.dismissed = True
        self.drain()
        self.leave_if_done()

    def _say_worn(self, reason: str) -> None:
        logger.info("this host is to be replaced: %s", reason)
        self._send(wire.HostWorn(reason=reason))

    def _warm_pids(self) -> list[int]:
        """The agent's own pid and those of ready zygotes; none before one is."""
        ready = [zygote.pid for zygote in self.placing.ready()]
        return [os.getpid(), *ready] if ready else []

    def leave_if_done(self) -> None:
        """Leave where that is wanted, no run is left, and none can be on its way here."""
        if (
            self._departure.is_due(connected=self._link.connected)
            and not self._running
            and all(attempt.finished for attempt in self._attempts.values())
        ):
            self._on_empty()

    def stop(self) -> None:
        """End all runs."""
        self.placing.stop()
        for attempt in list(self._attempts.values()):
            if not attempt.finished:
                if attempt.doom is None:
                    attempt.doom = Doom.STOP
                self._conclude(attempt, verdict(attempt, None, time.time()))

    # What comes of placing them; see `placing.Owner`.

    def on_placed(self, attempt: Attempt, zygote: ZygoteLink, child: ChildLink) -> None:
        """Hand an attempt to its child."""
        child.attempt = attempt
        # Taken before: the child may be in the flow's first line before this goes on.
        now = time.time()
        child.send(pipe.KIND_JOB, wire.encode(attempt.job))
        self.wear.took_run()
        self._running[attempt.key] = (zygote, child)
        self.memory.begin()
        self._emit(
            attempt,
            HandedOver(
                assigned=attempt.job.assigned,
                received=attempt.received,
                handed_over=now,
                imported=attempt.imported,
                import_seconds=attempt.import_seconds,
            ),
        )
        if attempt.job.timeout is not None:
            patience = attempt.job.timeout + TIMEOUT_GRACE
            attempt.timer = self._loop.call_later(patience, self._time_out, attempt)

    def on_unplaceable(self, attempt: Attempt, finished: Finished, details: str = "") -> None:
        """End an attempt that no child can have."""
        if details:
            line = LogLine(at=time.time(), level=ERROR, logger="stoker.host", message=details)
            self._emit(attempt, Logged([line]))
        self._conclude(attempt, finished)

    def on_replaced(self) -> None:
        """Hand back what only another host can start, and all that comes after it."""
        if not self._departure.draining:
            self.drain()
            return
        waiting = self.placing.withdraw_all()
        for attempt in waiting:
            self._forget(attempt)
        self._send(wire.Released(runs=[attempt.key for attempt in waiting]))

    def on_child_end(self, attempt: Attempt, child: ChildLink, code: int | None) -> None:
        """Give an attempt an end if it has none; or another child, if this one never began it."""
        self._running.pop(attempt.key, None)
        self._questions.drop(child)
        attempt.forget_timers()
        lost = attempt.lost_child and not child.job_unread
        if not (child.spoke or attempt.doom or lost or self._departure.draining):
            # It died while it waited: nothing of the user's has run. Where it had read the job
            # already, that may be chance once.
            attempt.lost_child = attempt.lost_child or not child.job_unread
            self.placing.place(attempt)
            return
        self._conclude(attempt, verdict(attempt, code, time.time()))
        self.leave_if_done()

    # How runs end.

    def _kill(self, attempt: Attempt) -> None:
        if attempt.key in self._running:
            zygote, child = self._running[attempt.key]
            zygote.kill(child, signal.SIGKILL, group=True)

    def _ask_to_end(self, attempt: Attempt) -> None:
        """Have its main thread raise an exception; the user's code ends its own helpers.

        Again and again: a signal that lands right before a system call that blocks is seen only
        after that call. The run takes notice of the first one alone.
        """
        if attempt.key in self._running and not attempt.finished:
            zygote, child = self._running[attempt.key]
            number = SUSPEND_SIGNAL if attempt.doom is Doom.SUSPEND else signal.SIGTERM
            zygote.kill(child, number, group=False)
            attempt.asker = self._loop.call_later(ASK_AGAIN, self._ask_to_end, attempt)

    def _time_out(self, attempt: Attempt) -> None:
        if not attempt.finished and attempt.doom is None:
            attempt.doom = Doom.TIMEOUT
            self._kill(attempt)

    def _end_for_memory(self, attempt: Attempt, reason: str) -> None:
        if attempt.doom is None:
            attempt.doom, attempt.reason = Doom.MEMORY, reason
        self._kill(attempt)

    def _conclude(self, attempt: Attempt, finished: Finished) -> None:
        """Report an end that no child reported."""
        if not attempt.finished:
            self._emit(attempt, finished)
            self._ended(attempt)

    def _ended(self, attempt: Attempt) -> None:
        """The end of an attempt is in the outbox. It is held until that is safe."""
        attempt.finished = True
        attempt.forget_timers()
        self._outbox.when_safe(lambda: self._forget(attempt))
        self.leave_if_done()

    def _forget(self, attempt: Attempt) -> None:
        self._attempts.pop(attempt.key, None)
        self._over[attempt.key] = None
        if len(self._over) > REMEMBERED:
            self._over.popitem(last=False)

    # From children; see `child_link.Listener`.

    def on_report(self, child: ChildLink, body: bytes) -> None:
        """Pass reports on."""
        if child.attempt is not None:
            self._reporting.pass_on(child.attempt, body)

    def on_log(self, child: ChildLink, body: bytes) -> None:
        """Pass log lines on."""
        if child.attempt is not None:
            self._reporting.pass_log_on(child.attempt, body)

    def on_lines(self, child: ChildLink, report: Logged) -> None:
        """Pass captured lines on."""
        if child.attempt is not None:
            self._reporting.log_lines(child.attempt, child, report)

    def on_finished(self, child: ChildLink, body: bytes) -> None:
        """Pass the end on. The slot is free: the child has only to leave."""
        attempt = child.attempt
        if attempt is None or attempt.finished:
            return
        self.on_report(child, body)
        self._ended(attempt)
        attempt.killer = self._loop.call_later(LINGER, self._kill, attempt)

    def on_request(self, child: ChildLink, body: bytes) -> None:
        """Pass a question on."""
        self._questions.ask(child, body)

    def on_forget(self, child: ChildLink, id: int) -> None:
        """Take a question back."""
        self._questions.take_back(child, id)

    def on_flush(self, child: ChildLink, id: int) -> None:
        """Answer once everything before is safe."""
        self._reporting.confirm(child, id)

    def on_silence(self, child: ChildLink) -> None:
        """Its zygote is about to tell how it ended; else it lives without a voice: end it."""
        self._loop.call_later(SILENCE, self._end_silent, child)

    def on_nonsense(self, child: ChildLink, problem: str) -> None:
        """Its code writes to the host's connection, and nothing can be made of what comes there."""
        logger.error("process %d said what cannot be read: %s", child.pid, problem)
        if child.attempt is not None and not child.attempt.finished:
            child.attempt.doom = child.attempt.doom or Doom.NONSENSE
            self._kill(child.attempt)

    def _end_silent(self, child: ChildLink) -> None:
        if child.attempt is not None and not child.attempt.finished:
            self._kill(child.attempt)

    def may_read(self, resume: Callable[[], None]) -> bool:
        """Not while the outbox is full."""
        return self._reporting.may_read(resume)
