"""Futures: what a submitted task will return."""

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar, cast, overload

from stoker.domain.states import StateRecord, StateType
from stoker.engine import resolve
from stoker.engine.pool import waiting
from stoker.engine.steps import Outcome
from stoker.states import State

__all__ = [
    "Future",
    "FutureList",
    "UpstreamFailed",
    "allow_failure",
    "as_completed",
    "unmapped",
    "wait",
]

R = TypeVar("R")
T = TypeVar("T")

UpstreamFailed = resolve.UpstreamFailed


class Future(Generic[R]):
    """A task run that was submitted: in work, or done.

    Given to another task as an argument, alone or inside a list, tuple, set or dictionary, it
    stands for its result, and that task waits for it.

    Attributes:
        task_run_id: Its task run's id.
        name: Its task run's name.
    """

    __slots__ = ("_inner", "_queued", "name", "task_run_id")

    def __init__(self, task_run_id: str, name: str, queued: StateRecord) -> None:
        self.task_run_id = task_run_id
        self.name = name
        self._queued = queued
        self._inner: concurrent.futures.Future[Outcome] = concurrent.futures.Future()

    @property
    def state(self) -> State[R]:
        """The task run's state: its final one once it is done, else ``Pending``."""
        if self._inner.done():
            return State.of(self._inner.result())
        return State.from_record(self._queued)

    def done(self) -> bool:
        """Whether the task run is over."""
        return self._inner.done()

    def wait(self, timeout: float | None = None) -> "Future[R]":
        """Wait until the task run is over, for at most ``timeout`` seconds; returns itself."""
        if not self._inner.done():
            with waiting():
                concurrent.futures.wait([self._inner], timeout)
        return self

    @overload
    def result(self, timeout: float | None = None, raise_on_failure: Literal[True] = True) -> R: ...
    @overload
    def result(
        self, timeout: float | None = None, *, raise_on_failure: bool
    ) -> R | BaseException: ...
    def result(
        self, timeout: float | None = None, raise_on_failure: bool = True
    ) -> R | BaseException:
        """Wait for the task run and return what it returned.

        Args:
            timeout: Seconds to wait at most; None for ever.
            raise_on_failure: Raise the exception of a task run that failed; otherwise it is
                returned.

        Raises:
            TimeoutError: The task run is not over in time.
        """
        self.wait(timeout)
        if not self._inner.done():
            raise TimeoutError(f"task run {self.name!r} is not over after {timeout:g} s")
        return self._value(raise_on_failure)

    async def result_async(self, raise_on_failure: bool = True) -> R | BaseException:
        """Return what the task run returned, without blocking the event loop."""
        import asyncio

        if not self._inner.done():
            await asyncio.wait([asyncio.wrap_future(self._inner)])
        return self._value(raise_on_failure)

    def add_done_callback(self, callback: Callable[["Future[R]"], None]) -> None:
        """Call a function once the task run is over, at once where it is already."""
        self._inner.add_done_callback(lambda _: callback(self))

    def finish(self, outcome: Outcome) -> None:
        """Set the end of the task run; for task runners."""
        self._inner.set_result(outcome)

    def _value(self, raise_on_failure: bool) -> R | BaseException:
        outcome = self._inner.result()
        if outcome.error is None:
            return outcome.value
        if raise_on_failure:
            raise outcome.error
        return outcome.error

    def __repr__(self) -> str:
        return f"<Future {self.name}: {self.state!r}>"


class FutureList(list[Future[R]]):
    """The futures of a `map`, in the order of its input."""

    def wait(self, timeout: float | None = None) -> "FutureList[R]":
        """Wait for all, for at most ``timeout`` seconds together; returns itself."""
        wait(self, timeout)
        return self

    @overload
    def result(
        self, timeout: float | None = None, raise_on_failure: Literal[True] = True
    ) -> list[R]: ...
    @overload
    def result(
        self, timeout: float | None = None, *, raise_on_failure: bool
    ) -> list[R | BaseException]: ...
    def result(
        self, timeout: float | None = None, raise_on_failure: bool = True
    ) -> list[R] | list[R | BaseException]:
        """Return all results, in order; see `Future.result`.

        Raises:
            TimeoutError: Not all are over in time.
        """
        wait(self, timeout)
        return [future.result(0, raise_on_failure=raise_on_failure) for future in self]


class Waited(tuple[list[Future[R]], list[Future[R]]]):
    """Futures that are done, and those that are not."""

    @property
    def done(self) -> list[Future[R]]:
        """Those that are done."""
        return self[0]

    @property
    def not_done(self) -> list[Future[R]]:
        """Those that are not."""
        return self[1]


def wait(futures: Iterable[Future[R]], timeout: float | None = None) -> Waited[R]:
    """Wait for futures, for at most ``timeout`` seconds together.

    Example:
        ```python
        done, not_done = wait(task.map(range(10)), timeout=5)
        ```
    """
    known = list(futures)
    with waiting():
        concurrent.futures.wait([_inner(future) for future in known], timeout)
    done = [future for future in known if future.done()]
    return Waited((done, [future for future in known if not future.done()]))


def as_completed(futures: Iterable[Future[R]], timeout: float | None = None) -> Iterator[Future[R]]:
    """Yield futures as they are done.

    Raises:
        TimeoutError: Not all are over within ``timeout`` seconds.
    """
    known = {_inner(future): future for future in futures}
    done = concurrent.futures.as_completed(known, timeout)
    while True:
        with waiting():
            inner = next(done, None)
        if inner is None:
            return
        yield known[inner]


def _inner(future: Future[Any]) -> concurrent.futures.Future[Outcome]:
    return cast(Any, future)._inner


class unmapped(Generic[T]):
    """Wraps an argument of `Task.map` that every task run gets whole.

    Example:
        ```python
        add.map([1, 2, 3], unmapped([10, 20]))
        ```
    """

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


class allow_failure(Generic[T]):
    """Wraps a future whose failure shall not keep a task from running: it gets the exception."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


def _open(future: Future[Any]) -> Any:
    future.wait()
    state = future.state
    if state.is_completed():
        return state.data
    message = f"task run {future.name!r}, whose result it was given, is {state!r}"
    raise UpstreamFailed(message) from state.error()


def _open_allowed(wrapper: allow_failure[Any]) -> Any:
    inner = wrapper.value
    if type(inner) is Future:
        return cast(Future[Any], inner).result(raise_on_failure=False)
    if isinstance(inner, State):
        return cast(State[Any], inner).result(raise_on_failure=False)
    return resolve.resolved(inner)


def _open_unmapped(wrapper: unmapped[Any]) -> Any:
    return resolve.resolved(wrapper.value)


resolve.register(Future, _open)
resolve.register(allow_failure, _open_allowed)
resolve.register(unmapped, _open_unmapped)


def pending(*values: Any) -> list[Future[Any]]:
    """Return the futures in some values that are not done yet."""
    found: list[Future[Any]] = []
    for value in values:
        for holder in resolve.placeholders(value):
            inner = holder.value if type(holder) in {unmapped, allow_failure} else holder
            if type(inner) is Future:
                if not inner.done():
                    found.append(cast(Future[Any], inner))
            elif inner is not holder:
                found += pending(inner)
    return found


def resolve_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put values in the place of futures and states; do it once ``wait_for`` is done.

    Raises:
        UpstreamFailed: One of them did not complete.
    """
    if wait_for is not None:
        resolve.resolved(wait_for if isinstance(wait_for, list) else list(wait_for))
    return resolve.resolved(args), resolve.resolved(kwargs)


def queued_state(at: float) -> StateRecord:
    """Return the state of a task run that was submitted and has not ended."""
    return StateRecord(StateType.PENDING, "Pending", at)
