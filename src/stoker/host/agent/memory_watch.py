"""Ends a run that holds more memory than it may, before its neighbours suffer for it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from stoker.domain.limits import MEGABYTE
from stoker.host.agent import memory
from stoker.host.agent.attempt import Attempt, Doom, Key
from stoker.host.agent.child_link import ChildLink
from stoker.host.agent.zygote_link import ZygoteLink

PERIOD, LONGEST = 0.2, 1.0
"""Seconds between two looks: the first, or more where looking takes long."""
EFFORT = 0.01
"""Part of a processor that looking takes at the most."""
RESERVE = 0.05
"""Part of all memory: with less available, the run that holds most is ended."""


class WatchedRun(Struct, frozen=True):
    """A run that has a process.

    Attributes:
        key: Which.
        pid: Its own process.
        zygote: The process that this was forked from.
        limit: Megabytes that its processes may hold; None for no limit of its own.
        ending: Whether it is being killed: its memory is about to be free.
    """

    key: Key
    pid: int
    zygote: int
    limit: float | None = None
    ending: bool = False


class Memory(Protocol):
    """Knows how much memory there is; see `memory.Machine`."""

    def memory(self) -> tuple[int, int]:
        """Return all bytes, and those that are available."""
        ...

    def swapped(self) -> int:
        """Return the bytes that are swapped out."""
        ...


class MemoryWatch:
    """Looks now and then while there are runs, in a thread: it may be thousands of processes.

    Args:
        slots: Runs that the host takes at a time; each has as large a share of the memory.
        running: The runs that there are, with their processes.
        on_excess: Called with a run that holds too much, and what is to be said of its end.
    """

    def __init__(
        self,
        slots: int,
        running: Mapping[Key, tuple[ZygoteLink, ChildLink]],
        on_excess: Callable[[Attempt, str], None],
    ) -> None:
        self._judge = Judge(slots, memory.Machine())
        self._running = running
        self._on_excess = on_excess
        self._thread = ThreadPoolExecutor(1, "memory")
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """There is a run: look from time to time until there is none."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        pause = PERIOD
        try:
            while True:
                await asyncio.sleep(pause)
                runs = self._runs()
                if not runs:
                    return
                try:
                    look = loop.run_in_executor(self._thread, self._judge.look, runs)
                except RuntimeError:
                    continue  # The system has no thread to give now.
                excess, effort = await look
                if excess is not None:
                    self._tell(*excess)
                pause = min(LONGEST, max(PERIOD, effort / EFFORT))
        finally:
            self._task = None

    def _runs(self) -> list[WatchedRun]:
        return [
            WatchedRun(
                key=key,
                pid=child.pid,
                zygote=zygote.pid,
                limit=child.attempt.job.limits.max_memory,
                ending=child.attempt.doom not in {None, Doom.CANCEL},
            )
            for key, (zygote, child) in self._running.items()
            if child.attempt is not None
        ]

    def _tell(self, key: Key, reason: str) -> None:
        # It may have ended meanwhile.
        _, child = self._running.get(key, (None, None))
        if child is not None and child.attempt is not None:
            self._on_excess(child.attempt, reason)

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=False)


class Judge:
    """Decides whose memory is too much.

    Args:
        slots: See `MemoryWatch`.
        machine: Tells how much there is.
    """

    def __init__(self, slots: int, machine: Memory) -> None:
        self._slots = slots
        self._machine = machine

    def look(self, runs: Sequence[WatchedRun]) -> tuple[tuple[Key, str] | None, float]:
        """Return a run that is to be ended, with the reason, and the seconds that this took."""
        began = time.thread_time()
        excess = None
        with suppress(OSError):  # No descriptor is left: the next look may have one.
            excess = self._above_limit(runs) or self._above_share(runs)
        return excess, time.thread_time() - began

    def _above_limit(self, runs: Sequence[WatchedRun]) -> tuple[Key, str] | None:
        limited = [
            (run, run.limit, run.limit * MEGABYTE)
            for run in runs
            if run.limit is not None and not run.ending
        ]
        swapped = self._machine.swapped() if limited else 0
        for run, limit, most in limited:
            if memory.bound(run.pid) + swapped <= most:
                continue
            held = memory.held(run.pid, run.zygote)
            if held > most:
                return run.key, (
                    f"ended by its host: its processes held {_megabytes(held)}, and its "
                    f"max_memory is {limit:g} MB"
                )
        return None

    def _above_share(self, runs: Sequence[WatchedRun]) -> tuple[Key, str] | None:
        """The run that holds most, where memory is short and that is more than its share."""
        if any(run.ending for run in runs):
            return None
        total, available = self._machine.memory()
        if available >= total * RESERVE:
            return None
        held, run = max(
            ((memory.held(run.pid, run.zygote), run) for run in runs), key=lambda pair: pair[0]
        )
        if held <= total / self._slots:
            return None
        return run.key, (
            f"ended by its host, where memory was running out: of {_megabytes(total)} only "
            f"{_megabytes(available)} were left, and its processes held {_megabytes(held)}, more "
            f"than the share of one of {self._slots} slots"
        )


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.0f} MB"
