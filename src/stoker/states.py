"""States of runs as users see them: what a run's state means, and the value that it holds."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

from stoker.domain.errors import StokerError
from stoker.domain.states import TERMINAL, ResultRecord, StateRecord, StateType
from stoker.engine import resolve

if TYPE_CHECKING:
    from stoker.engine.steps import Outcome

__all__ = [
    "Cancelled",
    "CancelledRun",
    "Completed",
    "Crashed",
    "CrashedRun",
    "Failed",
    "FailedRun",
    "MissingResult",
    "Pending",
    "Running",
    "Scheduled",
    "State",
    "StateType",
    "UnfinishedRun",
]

R = TypeVar("R")


class FailedRun(StokerError):
    """The result was asked for of a run that failed without an exception to raise."""


class CrashedRun(FailedRun):
    """The result was asked for of a run whose process died."""


class CancelledRun(FailedRun):
    """The result was asked for of a run that was cancelled."""


class UnfinishedRun(StokerError):
    """The result was asked for of a run that is not over."""


class MissingResult(StokerError):
    """The run completed, but what it returned was not kept."""


class _Missing:
    def __call__(self) -> Any:
        raise MissingResult("the run completed, but what it returned was not kept")


class State(Generic[R]):
    """The state of a run at one moment.

    Attributes:
        type: What it means to the orchestrator, a `StateType`.
        name: What people call it, for example ``"TimedOut"`` for a `FAILED` run.
        message: One line for people.
        timestamp: When the run entered it, seconds since the epoch.

    Example:
        >>> Failed("no data").is_failed()
        True
        >>> Completed(data=3).result()
        3
    """

    __slots__ = ("_data", "_load", "message", "name", "timestamp", "type")

    def __init__(
        self,
        type: StateType,
        name: str | None = None,
        message: str = "",
        data: R | BaseException | None = None,
        timestamp: float | None = None,
    ) -> None:
        self.type = StateType(type)
        self.name = name or self.type.value.capitalize()
        self.message = message
        self.timestamp = time.time() if timestamp is None else timestamp
        self._data: Any = data
        self._load: Callable[[], Any] | None = None

    @classmethod
    def of(cls, outcome: "Outcome") -> "State[Any]":
        """Make the state of a run that ended in this process."""
        record = outcome.state
        failure = outcome.failure()
        data = outcome.value if failure is None else failure
        return State[Any](record.type, record.name, record.message, data, record.at)

    @classmethod
    def from_record(cls, record: StateRecord, result: ResultRecord | None = None) -> "State[Any]":
        """Make the state of a run that was read; its result is decoded when it is asked for."""
        state = State[Any](record.type, record.name, record.message, None, record.at)
        if result is not None:

            def load() -> Any:
                from stoker.results import decode

                return decode(result)

            state._load = load
        elif record.type is StateType.COMPLETED:
            state._load = _Missing()
        return state

    @property
    def data(self) -> Any:
        """What the run returned, or the exception that ended it.

        Raises:
            MissingResult: It was not kept, or cannot be read here; the message says why.
        """
        if self._load is not None:
            self._data = self._load()
            self._load = None
        return self._data

    def error(self) -> BaseException:
        """Return the exception to raise for a run that did not complete."""
        data = self.data
        if isinstance(data, BaseException):
            return data
        kind = _ERRORS.get(self.type, FailedRun)
        text = f"the run is {self.name}"
        return kind(f"{text}: {self.message}" if self.message else text)

    @overload
    def result(self, raise_on_failure: Literal[True] = True) -> R: ...
    @overload
    def result(self, raise_on_failure: bool) -> R | BaseException: ...
    def result(self, raise_on_failure: bool = True) -> R | BaseException:
        """Return what the run returned.

        Args:
            raise_on_failure: Raise the exception of a run that did not complete; otherwise it
                is returned.

        Raises:
            UnfinishedRun: The run is not over.
            MissingResult: The run completed, but its result was not kept.
        """
        if not self.is_final():
            raise UnfinishedRun(f"the run is {self.name}; it has no result yet")
        if self.is_completed():
            return cast(R, self.data)
        error = self.error()
        if raise_on_failure:
            raise error
        return error

    def is_scheduled(self) -> bool:
        """Whether the run waits to be started."""
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        """Whether the run has a slot and is being started."""
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        """Whether the run is running."""
        return self.type is StateType.RUNNING

    def is_completed(self) -> bool:
        """Whether the run ended well."""
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        """Whether the run failed."""
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        """Whether the run's process died."""
        return self.type is StateType.CRASHED

    def is_cancelled(self) -> bool:
        """Whether the run was cancelled."""
        return self.type is StateType.CANCELLED

    def is_cancelling(self) -> bool:
        """Whether the run is being cancelled."""
        return self.type is StateType.CANCELLING

    def is_paused(self) -> bool:
        """Whether the run is paused."""
        return self.type is StateType.PAUSED

    def is_final(self) -> bool:
        """Whether the run is over."""
        return self.type in TERMINAL

    def __repr__(self) -> str:
        return f"{self.name}({self.message!r})" if self.message else f"{self.name}()"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        mine = (self.type, self.name, self.message)
        return mine == (other.type, other.name, other.message)

    __hash__ = object.__hash__

    def __reduce__(self) -> Any:
        # A result that cannot be read here cannot be read by who unpickles this either.
        return (State, (self.type, self.name, self.message, self.data, self.timestamp))


_ERRORS: dict[StateType, type[StokerError]] = {
    StateType.FAILED: FailedRun,
    StateType.CRASHED: CrashedRun,
    StateType.CANCELLED: CancelledRun,
}


def Completed(message: str = "", *, data: R = None, name: str | None = None) -> State[R]:
    """Make a `COMPLETED` state; a flow or task that returns it ends so."""
    return State[R](StateType.COMPLETED, name, message, data)


def Failed(message: str = "", *, data: Any = None, name: str | None = None) -> State[Any]:
    """Make a `FAILED` state; a flow or task that returns it ends so."""
    return State[Any](StateType.FAILED, name, message, data)


def Crashed(message: str = "", *, data: Any = None, name: str | None = None) -> State[Any]:
    """Make a `CRASHED` state."""
    return State[Any](StateType.CRASHED, name, message, data)


def Cancelled(message: str = "", *, data: Any = None, name: str | None = None) -> State[Any]:
    """Make a `CANCELLED` state; a flow or task that returns it ends so."""
    return State[Any](StateType.CANCELLED, name, message, data)


def Pending(message: str = "", *, name: str | None = None) -> State[Any]:
    """Make a `PENDING` state."""
    return State[Any](StateType.PENDING, name, message)


def Running(message: str = "", *, name: str | None = None) -> State[Any]:
    """Make a `RUNNING` state."""
    return State[Any](StateType.RUNNING, name, message)


def Scheduled(message: str = "", *, name: str | None = None) -> State[Any]:
    """Make a `SCHEDULED` state."""
    return State[Any](StateType.SCHEDULED, name, message)


def _open(state: State[Any]) -> Any:
    if state.is_completed():
        return state.data
    message = f"it was given the state of a run that is {state!r}"
    raise resolve.UpstreamFailed(message) from state.error()


resolve.register(State, _open)
