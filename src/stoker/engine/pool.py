"""The submitted tasks of one flow run, and the threads that run them."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

LENT_TO_SLOTS = 128
"""Threads of a pool that lend their place while they wait for a slot of a limit, at the most."""


class TaskPool(Protocol):
    """What runs the submitted tasks of one flow run."""

    @property
    def cancelled(self) -> bool:
        """Whether tasks that have not begun must not begin any more."""
        ...

    def expect(self) -> None:
        """Count one more task; `settle` waits for it until it has run."""
        ...

    def put(self, work: Callable[[], None]) -> None:
        """Run an expected task as soon as there is room. ``work`` must not raise."""
        ...

    def settle(self, *, cancel: bool, abandon: bool) -> None:
        """Wait for all expected tasks, then let the threads go; see `Settle`."""
        ...


class ThreadPool:
    """Runs tasks in up to ``limit`` threads, begun when there is work for them.

    A thread that waits for another task lends its place: one more may run meanwhile, so that
    tasks that submit tasks never wait for each other for ever.
    """

    def __init__(self, limit: int) -> None:
        self.cancelled = False
        self._limit = limit
        self._threads = 0
        self._idle = 0
        self._busy = 0
        self._lent = 0
        self._returning = 0
        self._expected = 0
        self._closed = False
        self._queue: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._done = threading.Condition(self._lock)

    def expect(self) -> None:
        with self._lock:
            self._expected += 1

    def put(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._queue.append(work)
            self._staff()

    def settle(self, *, cancel: bool, abandon: bool) -> None:
        with self._lock:
            self.cancelled = self.cancelled or cancel
            if not abandon:
                self._done.wait_for(lambda: not self._expected)
            self._closed = True
            self._work.notify_all()

    @contextmanager
    def lending(self) -> Generator[None]:
        """While the block waits for another task, let one more thread run."""
        with self._lock:
            self._lent += 1
            self._free_place()
        try:
            yield
        finally:
            with self._lock:
                self._returning += 1
                self._room.wait_for(lambda: self._busy < self._limit)
                self._returning -= 1
                self._lent -= 1
                self._busy += 1

    @property
    def lent(self) -> int:
        """How many threads lend their place."""
        return self._lent

    def _free_place(self) -> None:
        """Give up a place: to a thread that takes its own back first, then to new work."""
        self._busy -= 1
        if self._returning:
            self._room.notify()
        self._staff()

    def _has_place(self) -> bool:
        return self._busy + self._returning < self._limit

    def _staff(self) -> None:
        if not self._queue or not self._has_place():
            return
        if self._idle:
            self._work.notify()
        # Some of the idle may have been woken for earlier work: rather one thread too many.
        if self._idle < len(self._queue) and self._threads - self._lent < self._limit:
            self._threads += 1
            # A daemon: a thread that a cancelled run leaves behind keeps no process alive.
            threading.Thread(target=self._serve, name="stoker-task", daemon=True).start()

    def _serve(self) -> None:
        _thread.pool = self
        while True:
            with self._lock:
                while not self._queue or not self._has_place():
                    if self._closed and not self._queue:
                        self._threads -= 1
                        return
                    self._idle += 1
                    self._work.wait()
                    self._idle -= 1
                work = self._queue.popleft()
                self._busy += 1
            try:
                work()
            finally:
                del work
                with self._lock:
                    self._expected -= 1
                    self._free_place()
                    if not self._expected:
                        self._done.notify_all()


class _Thread(threading.local):
    pool: ThreadPool | None = None


_thread = _Thread()


@contextmanager
def waiting() -> Generator[None]:
    """Wrap a wait for another task: a thread of a pool lends its place meanwhile."""
    pool = _thread.pool
    if pool is None:
        yield
    else:
        with pool.lending():
            yield


@contextmanager
def waiting_for_slots() -> Generator[None]:
    """Wrap a wait for slots of a limit: tasks of other limits need not wait behind it."""
    pool = _thread.pool
    if pool is None or pool.lent >= LENT_TO_SLOTS:
        yield
    else:
        with pool.lending():
            yield
