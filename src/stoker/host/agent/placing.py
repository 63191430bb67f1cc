"""Brings attempts to children: zygotes made and kept, children ahead of runs, runs that wait."""

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Protocol

from stoker.domain.deployments import Code
from stoker.domain.hosts import ZYGOTES
from stoker.domain.reports import Finished
from stoker.domain.states import StateRecord, StateType
from stoker.host.agent import reserve
from stoker.host.agent.attempt import Attempt, crashed, describe_exit
from stoker.host.agent.child_link import ChildLink, Listener
from stoker.host.agent.installation import Replaced
from stoker.host.agent.reserve import Reserve
from stoker.host.agent.starved import Starved
from stoker.host.agent.strays import Sweeper
from stoker.host.agent.wear import Wear
from stoker.host.agent.zygote_link import Nest, ZygoteLink, ZygoteState
from stoker.host.agent.zygotes import ZygoteKey, Zygotes, key_of
from stoker.shortage import is_shortage
from stoker.wire import host as wire

logger = logging.getLogger("stoker.host")

STILLBORN = 5
"""Children in a row that end before they have a run, after which their zygote counts as failed."""

UNSTARTABLE = (OSError, ValueError)
"""A zygote that cannot be started; ValueError: what it was told is no environment or no path."""


class Owner(Protocol):
    """Whose attempts are placed, and who hears how that goes."""

    def on_placed(self, attempt: Attempt, zygote: ZygoteLink, child: ChildLink) -> None:
        """A child is there for an attempt: hand it over."""
        ...

    def on_unplaceable(self, attempt: Attempt, finished: Finished, details: str = "") -> None:
        """No child can be there for an attempt; ``details`` is a traceback for its log."""
        ...

    def on_child_end(self, attempt: Attempt, child: ChildLink, code: int | None) -> None:
        """The child that had an attempt has ended."""
        ...

    def on_replaced(self) -> None:
        """Attempts wait that only another host can start."""
        ...


class Placing:
    """See the module. It is the `zygote_link.Keeper` of the host's zygotes.

    Args:
        slots: Runs that the host takes at a time.
        nest: What zygotes have in common.
        wear: Knows whether Stoker was upgraded, and is told when that shows.
        owner: Whose attempts they are.
        listener: Who hears the children.
        send: Sends a message to the server.
    """

    def __init__(
        self,
        slots: int,
        nest: Nest,
        wear: Wear,
        owner: Owner,
        listener: Listener,
        send: Callable[[wire.FromHost], None],
    ) -> None:
        self._nest = nest
        self._wear = wear
        self._owner = owner
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._reserve = Reserve(slots)
        self._waiting: defaultdict[ZygoteKey, deque[Attempt]] = defaultdict(deque)
        self._stillborn: dict[ZygoteLink, int] = {}
        self._fence: float | None = None
        self._starved = Starved(self._place_again)
        self._stopped = False
        self.sweeper = Sweeper(lambda: {zygote.pid for zygote in self.zygotes.all()})
        self.zygotes = Zygotes(
            nest, ZYGOTES, self, listener, lambda key: bool(self._waiting.get(key))
        )

    # From the owner.

    def warm(self, codes: list[Code]) -> None:
        """Have zygotes of these codes; the most wanted come first."""
        for code in reversed(codes[:ZYGOTES]):
            try:
                self._zygote(code, "stoker")
            except Replaced as error:
                self._wear.say(str(error))
            except UNSTARTABLE as error:
                logger.warning("cannot warm %s: %s", code.file, error)

    def fence(self, at: float) -> None:
        """Have the zygotes end everything at a boot time, should the agent not be able to."""
        self._fence = at
        for zygote in self.zygotes.all():
            zygote.fence(at)

    def stop(self) -> None:
        """Place nothing any more: all runs are being ended."""
        self._stopped = True

    def ready(self) -> list[ZygoteLink]:
        """Return the zygotes whose code runs start hot with."""
        return [
            zygote
            for zygote in self.zygotes.current()
            if zygote.state is ZygoteState.READY and zygote.announced
        ]

    def place(self, attempt: Attempt) -> None:
        """Find an attempt a child, or let it wait for one."""
        job = attempt.job
        key = job.code.key, job.runner
        try:
            zygote = self._zygote(job.code, job.runner)
            child = zygote.take_child()
            # Children that import for themselves may hang there until somebody edits the file.
            if (child is not None or zygote.faults) and zygote.is_stale():
                if child is not None:
                    child.close()
                self.zygotes.retire(zygote)
                zygote = self._zygote(job.code, job.runner)
                child = None
        except Replaced as error:
            self._wear.say(str(error))
            self._waiting[key].append(attempt)
            self._owner.on_replaced()
            return
        except UNSTARTABLE as error:
            if is_shortage(error):
                self._waiting[key].append(attempt)
                self._starved.add(key, job.code.file, error)
                return
            self._fail(attempt, f"its process cannot be started: {error}")
            return
        self._reserve.use(zygote)
        if child is None:
            self._waiting[key].append(attempt)
        else:
            zygote.running += 1
            self._owner.on_placed(attempt, zygote, child)
        self._top_up(zygote)

    def withdraw(self, attempt: Attempt) -> None:
        """Let an attempt wait no more."""
        queue = self._waiting.get((attempt.job.code.key, attempt.job.runner))
        if queue and attempt in queue:
            queue.remove(attempt)

    def withdraw_all(self) -> list[Attempt]:
        """Let none wait any more, and return them."""
        waiting = [attempt for queue in self._waiting.values() for attempt in queue]
        self._waiting.clear()
        return waiting

    async def keep_reserve(self) -> None:
        """Look for ever whether more children wait than should."""
        while True:
            await asyncio.sleep(reserve.LATELY / 10)
            self._reserve.shrink(self.zygotes.current())

    # Within.

    def _zygote(self, code: Code, runner: str) -> ZygoteLink:
        is_new = not self.zygotes.has(code, runner)
        if is_new and self._wear.installation.is_replaced():
            raise Replaced
        zygote = self.zygotes.wanted(code, runner)
        if is_new and self._fence is not None:
            zygote.fence(self._fence)
        return zygote

    def _place_again(self, key: ZygoteKey) -> None:
        """Try again what the system had no room for."""
        for attempt in self._waiting.pop(key, deque[Attempt]()):
            if not attempt.finished:
                self.place(attempt)

    def _top_up(self, zygote: ZygoteLink) -> None:
        """Have as many children waiting as the reserve should have, and runs wait for."""
        wanted = self._reserve.size(zygote) + len(self._waiting.get(key_of(zygote), ()))
        zygote.fork(wanted - len(zygote.waiting) - zygote.ordered)

    def _fail(self, attempt: Attempt, message: str, details: str = "") -> None:
        state = StateRecord(StateType.FAILED, "Failed", time.time(), message)
        self._owner.on_unplaceable(attempt, Finished(state), details)

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
        key = key_of(zygote)
        queue = self._waiting.get(key)
        while queue and zygote.waiting:
            self.place(queue.popleft())
            queue = self._waiting.get(key)
        if not queue:
            self._waiting.pop(key, None)
        if zygote.faults:
            self._stillborn.pop(zygote, None)
            self._top_up(zygote)

    def on_failed(self, zygote: ZygoteLink) -> None:
        """The runs that wait for it fail; unless a file was being edited: then it tries again."""
        stale = zygote.is_stale() or self._wear.installation.is_replaced()
        self.zygotes.retire(zygote)
        for attempt in self._waiting.pop(key_of(zygote), deque[Attempt]()):
            if stale:
                self.place(attempt)
            else:
                self._fail(attempt, zygote.message, zygote.traceback)
        self._send(wire.ZygoteChanged(key=zygote.code.key, state="failed", message=zygote.message))

    def on_child_exit(self, zygote: ZygoteLink, child: ChildLink, code: int | None) -> None:
        """Clear up after it, and tell whose attempt it had."""
        wipe(os.path.join(self._nest.tmp, str(child.pid)), self._loop)
        if child.attempt is None:
            if not child.dismissed:
                self._on_stillborn(zygote, code)
            return
        zygote.running -= 1
        self._stillborn.pop(zygote, None)
        if zygote.birth_error:
            # What this run held may be what the next child needs for its import.
            self._top_up(zygote)
        self._owner.on_child_end(child.attempt, child, code)

    def _on_stillborn(self, zygote: ZygoteLink, code: int | None) -> None:
        if zygote.state is not ZygoteState.READY:
            # It was given up, or is dead itself.
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
        for attempt in self._waiting.pop(key_of(zygote), deque[Attempt]()):
            if not zygote.message or self._wear.installation.is_replaced():
                self.place(attempt)
            elif code < 0:
                # Somebody may have killed it: it counts as lost, as a run's own process would.
                state = crashed(f"{zygote.message}: {describe_exit(code)}", time.time())
                self._owner.on_unplaceable(attempt, Finished(state, lost=True))
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
