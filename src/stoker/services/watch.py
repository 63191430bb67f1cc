"""Who waits for what on this server: ends of runs, and new log lines. Answers are pushed."""

import asyncio
from typing import TypeVar

from stoker.domain.runs import FlowRun

K = TypeVar("K")
V = TypeVar("V")


class Watch:
    """Futures by what they wait for. Used from the event loop alone.

    Attributes:
        closed: Whether the server ends: callers are sent away with what there is.
    """

    def __init__(self) -> None:
        self.closed = False
        self._ends: dict[tuple[str, str | None], list[asyncio.Future[FlowRun]]] = {}
        self._waits: dict[str, list[asyncio.Future[FlowRun]]] = {}
        self._lines: dict[str, list[asyncio.Future[None]]] = {}
        self._pauses: dict[str, list[asyncio.Future[None]]] = {}

    def end_of(self, run_id: str, waiter: str | None) -> asyncio.Future[FlowRun]:
        """Return a future of a run's end; with a waiter, of the end of that one's wait.

        One without a waiter is cancelled when the server ends.
        """
        future: asyncio.Future[FlowRun] = asyncio.get_running_loop().create_future()
        _enter(self._ends, (run_id, waiter), future)
        if waiter is not None:
            _enter(self._waits, waiter, future)
        if self.closed and waiter is None:
            future.cancel()
        return future

    def lines_of(self, run_id: str) -> asyncio.Future[None]:
        """Return a future of new lines in a run's log, or of the run's end."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        _enter(self._lines, run_id, future)
        return future

    def look(self) -> None:
        """Have those who wait for log lines, or for the end of a pause, look for themselves."""
        for run_id in list(self._lines):
            self.logged(run_id)
        for run_id in list(self._pauses):
            self.unpaused(run_id)

    def pause_of(self, run_id: str) -> asyncio.Future[None]:
        """Return a future of the end of a run's pause."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        _enter(self._pauses, run_id, future)
        return future

    def close(self) -> None:
        """Send callers away. Runs that wait stay: their hosts ask the next server again."""
        self.closed = True
        for (_, waiter), futures in list(self._ends.items()):
            if waiter is None:
                for future in list(futures):
                    future.cancel()
        self.look()

    @property
    def awaited(self) -> list[tuple[str, str | None]]:
        """``(run, waiter)`` of all ends of runs, or of waits, that somebody is told of."""
        return list(self._ends)

    def concerns(self, run_id: str) -> bool:
        """Whether anybody would be told of a run's end."""
        return (run_id, None) in self._ends or run_id in self._waits or run_id in self._lines

    def waits(self, run_id: str, waiter: str) -> int:
        """Return how many requests of one run wait for the end of another."""
        return len(self._ends.get((run_id, waiter), ()))

    def ended(self, run: FlowRun) -> None:
        """Answer those who wait for a run's end and lend it nothing; it waits for none itself."""
        self.abandoned(run.id)
        _answer(self._ends, (run.id, None), run)
        _answer(self._lines, run.id, None)

    def abandoned(self, run_id: str) -> None:
        """An attempt of a run is over: nobody waits any more in its name."""
        for future in [*self._waits.pop(run_id, []), *self._pauses.pop(run_id, [])]:
            future.cancel()

    def unpaused(self, run_id: str) -> None:
        """Answer a run whose pause is over."""
        _answer(self._pauses, run_id, None)

    def resumed(self, waiter: str, run: FlowRun) -> None:
        """Answer a run that waits for another and may go on."""
        _answer(self._ends, (run.id, waiter), run)

    def logged(self, run_id: str) -> None:
        """Answer those who wait for log lines."""
        _answer(self._lines, run_id, None)


def _enter(table: dict[K, list[asyncio.Future[V]]], key: K, future: asyncio.Future[V]) -> None:
    table.setdefault(key, []).append(future)

    def forget(done: asyncio.Future[V]) -> None:
        waiting = table.get(key)
        if waiting is not None and done in waiting:
            waiting.remove(done)
            if not waiting:
                del table[key]

    future.add_done_callback(forget)


def _answer(table: dict[K, list[asyncio.Future[V]]], key: K, value: V) -> None:
    for future in table.pop(key, []):
        if not future.done():
            future.set_result(value)
