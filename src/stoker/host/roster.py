"""The roster: every attempt that a host has, from its assignment to its reported end."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable

from stoker.domain.deployments import Code
from stoker.domain.hosts import ZYGOTES
from stoker.domain.jobs import TIMEOUT_GRACE
from stoker.domain.pools import HostTerms
from stoker.domain.reports import Finished, HandedOver, Logged
from stoker.domain.runs import LogLine
from stoker.domain.states import StateRecord, StateType
from stoker.host import reserve
from stoker.host.attempt import Attempt, Doom, Key, crashed, describe_exit, verdict
from stoker.host.child_link import ERROR, ChildLink
from stoker.host.departure import Departure
from stoker.host.installation import Replaced
from stoker.host.log_meter import LogMeter
from stoker.host.memory_watch import MemoryWatch
from stoker.host.outbox import Outbox
from stoker.host.questions import Questions
from stoker.host.reporting import Reporting
from stoker.host.reserve import Reserve
from stoker.host.server_link import ServerLink
from stoker.host.starved import Starved
from stoker.host.strays import Sweeper
from stoker.host.wear import Wear
from stoker.host.zygote_link import Nest, ZygoteLink, ZygoteState
from stoker.host.zygotes import ZygoteKey, Zygotes, key_of
from stoker.ports.launcher import HostConfig
from stoker.shortage import is_shortage
from stoker.wire import host as wire
from stoker.wire import pipe

logger = logging.getLogger("stoker.host")

LINGER = 5.0
"""Seconds that a child gets for its exit handlers, after its run has ended."""
ASK_AGAIN = 1.0
"""Seconds between two SIGTERMs for a run that is cancelled and goes on."""
SILENCE = 1.5
"""Seconds after the end of a child's socket in which its zygote is expected to report its end."""
REMEMBERED = 10_000
"""Attempts that are over, and are known still if they are assigned again."""
STILLBORN = 5
"""Children in a row that end before they have a run, after which their zygote counts as failed."""

UNSTARTABLE = (OSError, ValueError)
"""A zygote that cannot be started; ValueError: what it was told is no environment or no path."""


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
        self._reserve = Reserve(config.slots)
        self._grace = config.grace
        self._nest = nest
        self._outbox = outbox
        self._link = link
        self._send = link.send
        self._on_empty = on_empty
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[Key, Attempt] = {}
        self._over: OrderedDict[Key, None] = OrderedDict()
        self._waiting: defaultdict[ZygoteKey, deque[Attempt]] = defaultdict(deque)
        self._running: dict[Key, tuple[ZygoteLink, ChildLink]] = {}
        self._questions = Questions(link.send)
        self._reporting = Reporting(outbox)
        self._emit = self._reporting.emit
        self._stillborn: dict[ZygoteLink, int] = {}
        self._fence: float | None = None
        self._starved = Starved(self._place_again)
        self._departure = Departure(once=config.once)
        self.wear = Wear(HostTerms(fence_after=config.fence_after), self._say_worn, self._warm_pids)
        self._stopped = False
        self.sweeper = Sweeper(lambda: {zygote.pid for zygote in self.zygotes.all()})
        self.memory = MemoryWatch(config.slots, self._running, self._end_for_memory)
        self.zygotes = Zygotes(nest, ZYGOTES, self, self, lambda key: bool(self._waiting.get(key)))

    # From the server.

    def introduction(self) -> list[wire.FromHost | bytes]:
        """What the server has to know on a new connection."""
        # Zygotes first: with its runs told, the host may be given some.
        messages: list[wire.FromHost | bytes] = [
            is_ready(zygote)
            for zygote in self.zygotes.current()
            if zygote.state is ZygoteState.READY and zygote.announced
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
                self._place(attempt)
        if refused:
            self._send(wire.Released(runs=refused))
        if taken:
            self._send(wire.AssignAck(runs=taken))

    def cancel(self, key: Key, *, now: bool) -> None:
        """End an attempt on request."""
        attempt = self._attempts.get(key)
        if attempt is None or attempt.finished:
            return
        if key not in self._running:
            self._unplace(attempt)
            attempt.doom = Doom.CANCEL
            self._conclude(attempt, verdict(attempt, None, time.time()))
            return
        if attempt.doom is None:
            attempt.doom = Doom.CANCEL
            if not now:
                self._ask_to_end(attempt)
                attempt.killer = self._loop.call_later(self._grace, self._kill, attempt)
        if now:
            self._kill(attempt)

    def warm(self, codes: list[Code]) -> None:
        """Have zygotes of these codes; the most wanted come first."""
        if self._departure.draining:
            return
        for code in reversed(codes[:ZYGOTES]):
            try:
                self._zygote(code, "stoker")
            except Replaced as error:
                self.wear.say(str(error))
            except UNSTARTABLE as error:
                logger.warning("cannot warm %s: %s", code.file, error)

    def reply(self, reply: wire.Reply) -> None:
        """Pass an answer on to the child that asked."""
        self._questions.answer(reply)

    def fence(self, at: float) -> None:
        """Have the zygotes end everything at a boot time, should the agent not be able to."""
        self._fence = at
        for zygote in self.zygotes.all():
            zygote.fence(at)

    def drain(self) -> None:
        """Take no new run, hand back those that no child has, and leave after the last one."""
        if self._departure.draining:
            return
        self._departure.draining = True
        waiting = [attempt for queue in self._waiting.values() for attempt in queue]
        self._waiting.clear()
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
        ready = [one.pid for one in self.zygotes.current() if one.state is ZygoteState.READY]
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
        self._stopped = True
        for attempt in list(self._attempts.values()):
            if not attempt.finished:
                if attempt.doom is None:
                    attempt.doom = Doom.STOP
                self._conclude(attempt, verdict(attempt, None, time.time()))

    # A run's way to a child.

    def _zygote(self, code: Code, runner: str) -> ZygoteLink:
        if not self.zygotes.has(code, runner) and self.wear.installation.is_replaced():
            raise Replaced
        before = len(self.zygotes.current())
        zygote = self.zygotes.wanted(code, runner)
        if self._fence is not None and len(self.zygotes.current()) != before:
            zygote.fence(self._fence)
        return zygote

    def _place(self, attempt: Attempt) -> None:
        """Hand an attempt to a child, or let it wait for one."""
        job = attempt.job
        try:
            zygote = self._zygote(job.code, job.runner)
            child = zygote.take_child()
            if child is not None and zygote.is_stale():
                child.close()
                self.zygotes.retire(zygote)
                zygote = self._zygote(job.code, job.runner)
                child = None
        except Replaced as error:
            self._step_down(attempt, error)
            return
        except UNSTARTABLE as error:
            if is_shortage(error):
                key = job.code.key, job.runner
                self._waiting[key].append(attempt)
                self._starved.add(key, job.code.file, error)
                return
            self._fail(attempt, f"its process cannot be started: {error}")
            return
        self._reserve.use(zygote)
        if child is not None:
            self._hand_over(attempt, zygote, child)
        else:
            self._waiting[key_of(zygote)].append(attempt)
            self._top_up(zygote)

    def _step_down(self, attempt: Attempt, why: Replaced) -> None:
        """Hand back an attempt that only another host can start, and all that come after it."""
        self.wear.say(str(why))
        if self._departure.draining:
            self._forget(attempt)
            self._send(wire.Released(runs=[attempt.key]))
            return
        self._waiting[attempt.job.code.key, attempt.job.runner].append(attempt)
        self.drain()

    def _place_again(self, key: ZygoteKey) -> None:
        """Try again what the system had no room for."""
        for attempt in self._waiting.pop(key, deque[Attempt]()):
            if not attempt.finished:
                self._place(attempt)

    def _unplace(self, attempt: Attempt) -> None:
        queue = self._waiting.get((attempt.job.code.key, attempt.job.runner))
        if queue and attempt in queue:
            queue.remove(attempt)

    def _hand_over(self, attempt: Attempt, zygote: ZygoteLink, child: ChildLink) -> None:
        child.attempt = attempt
        # Taken before: the child may be in the flow's first line before this goes on.
        now = time.time()
        child.send(pipe.KIND_JOB, wire.encode(attempt.job))
        zygote.running += 1
        self.wear.took_run()
        self._running[attempt.key] = (zygote, child)
        self.memory.begin()
        self._top_up(zygote)
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

    def _top_up(self, zygote: ZygoteLink) -> None:
        """Have as many children waiting as the reserve should have, and runs wait for."""
        wanted = self._reserve.size(zygote) + len(self._waiting.get(key_of(zygote), ()))
        zygote.fork(wanted - len(zygote.waiting) - zygote.ordered)

    async def keep_reserve(self) -> None:
        """Look for ever whether more children wait than should."""
        while True:
            await asyncio.sleep(reserve.LATELY / 10)
            self._reserve.shrink(self.zygotes.current())

    def _serve_waiting(self, zygote: ZygoteLink) -> None:
        key = key_of(zygote)
        queue = self._waiting.get(key)
        while queue and zygote.waiting:
            self._place(queue.popleft())
            queue = self._waiting.get(key)
        if not queue:
            self._waiting.pop(key, None)

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
            zygote.kill(child, signal.SIGTERM, group=False)
            attempt.asker = self._loop.call_later(ASK_AGAIN, self._ask_to_end, attempt)

    def _time_out(self, attempt: Attempt) -> None:
        if not attempt.finished and attempt.doom is None:
            attempt.doom = Doom.TIMEOUT
            self._kill(attempt)

    def _end_for_memory(self, attempt: Attempt, reason: str) -> None:
        if attempt.doom is None:
            attempt.doom, attempt.reason = Doom.MEMORY, reason
        self._kill(attempt)

    def _fail(self, attempt: Attempt, message: str) -> None:
        state = StateRecord(StateType.FAILED, "Failed", time.time(), message)
        self._conclude(attempt, Finished(state))

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

    # From zygotes; see `zygote_link.Keeper`.

    def on_ready(self, zygote: ZygoteLink) -> None:
        """Its code is imported: have its children forked."""
        now = time.time()
        for attempt in self._waiting.get(key_of(zygote), ()):
            attempt.imported = now
            attempt.import_seconds = zygote.import_seconds
        self._top_up(zygote)

    def on_retired(self, zygote: ZygoteLink) -> None:
        """Its place is free, or another one is about to have its code as it is now."""
        self._send(wire.ZygoteChanged(key=zygote.code.key, state="gone"))

    def on_child(self, zygote: ZygoteLink) -> None:
        """A child is there for a run that waits. With the first one runs of the code start hot."""
        if not zygote.announced:
            zygote.announced = True
            self._send(is_ready(zygote))
        self._serve_waiting(zygote)
        if zygote.faults:
            self._stillborn.pop(zygote, None)
            self._top_up(zygote)

    def on_failed(self, zygote: ZygoteLink) -> None:
        """The runs that wait for it fail; unless a file was being edited: then it tries again."""
        stale = zygote.is_stale() or self.wear.installation.is_replaced()
        self.zygotes.retire(zygote)
        waiting = self._waiting.pop(key_of(zygote), deque[Attempt]())
        for attempt in waiting:
            if stale:
                self._place(attempt)
                continue
            if zygote.traceback:
                line = LogLine(
                    at=time.time(), level=ERROR, logger="stoker.host", message=zygote.traceback
                )
                self._emit(attempt, Logged([line]))
            self._fail(attempt, zygote.message)
        self._send(wire.ZygoteChanged(key=zygote.code.key, state="failed", message=zygote.message))

    def on_child_exit(self, zygote: ZygoteLink, child: ChildLink, code: int | None) -> None:
        """Give the run an end if it has none, and clear up."""
        attempt = child.attempt
        wipe(os.path.join(self._nest.tmp, str(child.pid)), self._loop)
        if attempt is None:
            if not child.dismissed:
                self._on_stillborn(zygote, code)
            return
        zygote.running -= 1
        self._stillborn.pop(zygote, None)
        if zygote.birth_error:
            # What this run held may be what the next child needs for its import.
            self._top_up(zygote)
        self._running.pop(attempt.key, None)
        self._questions.drop(child)
        attempt.forget_timers()
        lost = attempt.lost_child and not child.job_unread
        if not (child.spoke or attempt.doom or lost or self._departure.draining):
            # It died while it waited: nothing of the user's has run. Where it had read the job
            # already, that may be chance once.
            attempt.lost_child = attempt.lost_child or not child.job_unread
            self._place(attempt)
            return
        self._conclude(attempt, verdict(attempt, code, time.time()))
        self.leave_if_done()

    def _on_stillborn(self, zygote: ZygoteLink, code: int | None) -> None:
        if zygote not in self.zygotes.current():
            return
        if zygote.birth_error and zygote.children:
            # The others live: they may hold what this one needed, such as a port.
            return
        count = self._stillborn.get(zygote, 0) + 1
        self._stillborn[zygote] = count
        if count < STILLBORN:
            self._top_up(zygote)
            return
        why = zygote.birth_error or describe_exit(code)
        zygote.message = f"its processes end before they get a run: {why}"
        self.on_failed(zygote)
        zygote.end()

    def on_gone(self, zygote: ZygoteLink, code: int) -> None:
        """It has ended: runs that wait for it end, too, if it died while it imported."""
        self._stillborn.pop(zygote, None)
        current = zygote in self.zygotes.current()
        self.zygotes.gone(zygote)
        self.sweeper.start()
        if not current or self._stopped:
            return
        key = key_of(zygote)
        waiting = self._waiting.pop(key, deque[Attempt]())
        for attempt in waiting:
            if not zygote.message or self.wear.installation.is_replaced():
                self._place(attempt)
            elif code < 0:
                self._conclude(
                    attempt,
                    Finished(crashed(f"{zygote.message}: {describe_exit(code)}", time.time())),
                )
            else:
                self._fail(attempt, f"{zygote.message} with exit code {code}")
        state = "failed" if zygote.message else "gone"
        self._send(wire.ZygoteChanged(key=zygote.code.key, state=state, message=zygote.message))


def is_ready(zygote: ZygoteLink) -> wire.ZygoteChanged:
    """Return how the server is told that a zygote is ready."""
    return wire.ZygoteChanged(
        key=zygote.code.key,
        state="ready",
        import_seconds=zygote.import_seconds,
        faults=zygote.faults,
    )


def wipe(folder: str, loop: asyncio.AbstractEventLoop) -> None:
    """Remove a temporary folder: at once where it is empty, in a thread where it is not."""
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return
    except OSError:
        # Where the system has no thread to give, the folder goes with the host's own.
        with contextlib.suppress(RuntimeError):
            loop.run_in_executor(None, shutil.rmtree, folder, True)
