"""What the step machine asks a driver to do. The machine itself does none of it."""

from collections.abc import Callable, Generator
from typing import Any

from msgspec import Struct

from stoker.domain.reports import Report
from stoker.domain.states import StateRecord, StateType
from stoker.engine.pool import TaskPool
from stoker.engine.slots import Claim


class Call(Struct, frozen=True, gc=False):
    """Call a user's function; answered with what it returns, or with its exception.

    ``timeout`` is in seconds; ``what`` names the run in the error that it causes.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    timeout: float | None = None
    what: str = ""


class Sleep(Struct, frozen=True):
    """Wait so many seconds, and a random part of ``jitter`` times as many on top."""

    seconds: float
    jitter: float = 0.0


class Tell(Struct, frozen=True, gc=False):
    """Report to the backend, about the flow run that the machine's context belongs to."""

    reports: tuple[Report, ...]


class Note(Struct, frozen=True):
    """Write a line into the run's log, with the traceback of ``error`` where there is one."""

    level: int
    text: str
    error: BaseException | None = None


class Resolve(Struct, frozen=True):
    """Replace futures and states in the arguments by their values, once ``wait_for`` is done.

    Answered with ``(args, kwargs)``.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    wait_for: Any = None


class Settle(Struct, frozen=True):
    """Wait for the submitted tasks.

    Where ``cancel``, those that have not begun never do; where ``abandon``, nobody waits.
    """

    pool: TaskPool
    cancel: bool = False
    abandon: bool = False


class Take(Struct, frozen=True):
    """Wait for the slots of a task run's tags."""

    claim: Claim


class GiveBack(Struct, frozen=True):
    """Give slots back."""

    claim: Claim


class Flush(Struct, frozen=True):
    """Return when everything reported so far is recorded for good."""


Step = Call | Sleep | Tell | Note | Resolve | Settle | Take | GiveBack | Flush


class Outcome(Struct):
    """How a run ended: its terminal state, and its value or what it raised."""

    state: StateRecord
    value: Any = None
    error: BaseException | None = None

    def failure(self) -> BaseException | None:
        """What made the run fail; ``sys.exit(0)``, though raised, is no failure."""
        return None if self.state.type is StateType.COMPLETED else self.error


Steps = Generator[Step, Any, Outcome]
"""A machine: yields what it wants done, receives the answer or the error, returns the end."""
