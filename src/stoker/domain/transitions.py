"""The one table of what can happen to a flow run, and the function that reads it."""

from enum import StrEnum

from msgspec import Struct

from stoker.domain.runs import FlowRun
from stoker.domain.states import ResultRecord, StateRecord, StateType

S = StateType


class Command(StrEnum):
    """What somebody wants to happen to a run."""

    CLAIM = "claim"
    RELEASE = "release"
    START = "start"
    RETRY = "retry"
    FINISH = "finish"
    CANCEL = "cancel"
    CRASH = "crash"
    RECOVER = "recover"
    LATE = "become late"
    PAUSE = "pause"
    SUSPEND = "suspend"
    LEAVE = "leave its process"
    RESUME = "resume"
    EXPIRE = "expire"
    RERUN = "run again"


Row = tuple[StateType, str]
Key = tuple[StateType, Command]

SUSPENDING = "Suspending"
"""Name of a paused run whose process is being ended."""
AWAITING_CRASH_RETRY = "AwaitingCrashRetry"
"""Name of a scheduled run whose last attempt was lost."""
LATE = "Late"
"""Name of a scheduled run that has waited too long for a slot."""

TABLE: dict[Key, Row] = {
    (S.SCHEDULED, Command.CLAIM): (S.PENDING, "Pending"),
    (S.SCHEDULED, Command.LATE): (S.SCHEDULED, LATE),
    (S.PENDING, Command.RELEASE): (S.SCHEDULED, "Scheduled"),
    (S.PENDING, Command.START): (S.RUNNING, "Running"),
    (S.RUNNING, Command.START): (S.RUNNING, "Retrying"),
    (S.RUNNING, Command.RETRY): (S.RUNNING, "AwaitingRetry"),
    (S.PENDING, Command.FINISH): (S.COMPLETED, "Completed"),
    (S.RUNNING, Command.FINISH): (S.COMPLETED, "Completed"),
    (S.PAUSED, Command.FINISH): (S.COMPLETED, "Completed"),
    (S.CANCELLING, Command.FINISH): (S.CANCELLED, "Cancelled"),
    (S.SCHEDULED, Command.CANCEL): (S.CANCELLED, "Cancelled"),
    (S.PENDING, Command.CANCEL): (S.CANCELLING, "Cancelling"),
    (S.RUNNING, Command.CANCEL): (S.CANCELLING, "Cancelling"),
    (S.PAUSED, Command.CANCEL): (S.CANCELLING, "Cancelling"),
    (S.PENDING, Command.CRASH): (S.CRASHED, "Crashed"),
    (S.RUNNING, Command.CRASH): (S.CRASHED, "Crashed"),
    (S.PAUSED, Command.CRASH): (S.CRASHED, "Crashed"),
    (S.CANCELLING, Command.CRASH): (S.CANCELLED, "Cancelled"),
    (S.PENDING, Command.RECOVER): (S.SCHEDULED, AWAITING_CRASH_RETRY),
    (S.RUNNING, Command.RECOVER): (S.SCHEDULED, AWAITING_CRASH_RETRY),
    (S.PAUSED, Command.RECOVER): (S.SCHEDULED, AWAITING_CRASH_RETRY),
    (S.RUNNING, Command.PAUSE): (S.PAUSED, "Paused"),
    (S.PENDING, Command.SUSPEND): (S.PAUSED, SUSPENDING),
    (S.RUNNING, Command.SUSPEND): (S.PAUSED, SUSPENDING),
    (S.PAUSED, Command.SUSPEND): (S.PAUSED, SUSPENDING),
    (S.SCHEDULED, Command.SUSPEND): (S.PAUSED, "Suspended"),
    (S.RUNNING, Command.LEAVE): (S.PAUSED, "Suspended"),
    (S.PAUSED, Command.LEAVE): (S.PAUSED, "Suspended"),
    (S.PAUSED, Command.RESUME): (S.RUNNING, "Running"),
    (S.PAUSED, Command.EXPIRE): (S.RUNNING, "Running"),
    (S.COMPLETED, Command.RERUN): (S.SCHEDULED, "AwaitingRetry"),
    (S.FAILED, Command.RERUN): (S.SCHEDULED, "AwaitingRetry"),
    (S.CRASHED, Command.RERUN): (S.SCHEDULED, "AwaitingRetry"),
    (S.CANCELLED, Command.RERUN): (S.SCHEDULED, "AwaitingRetry"),
}
"""``(state, command) → (state, its usual name)``. What is not here is rejected.

A ``FINISH`` carries the terminal state that the run reports; the table's is only its default.
A run that was being cancelled ends as the run says: it may have completed first.
"""

SUSPENDED: dict[Key, Row] = {
    (S.PAUSED, Command.CANCEL): (S.CANCELLED, "Cancelled"),
    (S.PAUSED, Command.RESUME): (S.SCHEDULED, "Resuming"),
    (S.PAUSED, Command.EXPIRE): (S.FAILED, "Failed"),
}
"""The rows of a paused run that has no process: all that can happen to it."""


def sources(command: Command) -> list[StateType]:
    """Return the states in which a command applies: what set-based statements select by.

    Example:
        >>> sources(Command.CLAIM)
        [<StateType.SCHEDULED: 'SCHEDULED'>]
    """
    return [state for state, known in TABLE if known is command]


class Transition(Struct, frozen=True, kw_only=True):
    """One change of one run, for the store to apply if the run is still at ``version``.

    Attributes:
        run_id: The run.
        version: The version that it must still have.
        state: The state that it enters.
        attempt: Its attempt afterwards.
        run_count: Calls of the user's function afterwards.
        result: What it returned, with a terminal state.
        host_id: The host of its attempt; None where it has none afterwards.
        first_start: Whether ``state.at`` is when it was first called.
        due: From when it may be given a slot.
        queued: Whether it is in its queue afterwards.
        crashes: How many of its attempts were lost by then.
        paused_until: When its pause ends by itself.
    """

    run_id: str
    version: int
    state: StateRecord
    attempt: int
    run_count: int
    result: ResultRecord | None = None
    host_id: str | None = None
    first_start: bool = False
    due: float = 0.0
    queued: bool = False
    crashes: int = 0
    paused_until: float | None = None

    @property
    def ends_attempt(self) -> bool:
        """Whether the run gives back its leases with it."""
        suspended = self.state.type is S.PAUSED and self.host_id is None
        return self.state.is_terminal or self.state.type is S.SCHEDULED or suspended


class Rejected(Struct, frozen=True):
    """The command does not apply.

    Attributes:
        reason: Why, for people.
    """

    reason: str


class Wish(Struct, frozen=True, kw_only=True):
    """A command with its details.

    Attributes:
        command: What shall happen.
        at: When, seconds since the epoch.
        attempt: The attempt that speaks; None where it is not one (a user, a sweep).
        state: With ``FINISH``: the terminal state reported.
        result: With ``FINISH``: what the run returned.
        message: For people.
        host_id: With ``CLAIM``: the host.
        run_count: With ``START``: calls of the user's function, this one included.
        due: Where it makes the run scheduled: from when it may be given a slot; at once by default.
        until: With ``PAUSE`` and ``SUSPEND``: when the pause ends by itself; None for never.
    """

    command: Command
    at: float
    attempt: int | None = None
    state: StateRecord | None = None
    result: ResultRecord | None = None
    message: str = ""
    host_id: str | None = None
    run_count: int | None = None
    due: float | None = None
    until: float | None = None


def decide(run: FlowRun, wish: Wish) -> Transition | Rejected:
    """Look a wish up in the table.

    Example:
        >>> run = FlowRun(id="r", name="n", flow_name="f",
        ...     state=StateRecord(StateType.SCHEDULED, "Scheduled", 1.0))
        >>> decide(run, Wish(command=Command.CLAIM, at=2.0, host_id="h")).attempt
        1
        >>> decide(run, Wish(command=Command.START, at=2.0)).reason
        'a run that is Scheduled cannot start'
    """
    if wish.attempt is not None and wish.attempt != run.attempt:
        return Rejected(f"attempt {wish.attempt} is over; the current one is {run.attempt}")
    found = _row(run, wish.command)
    if isinstance(found, Rejected):
        return found
    run_count, name = run.run_count, found[1]
    if wish.command is Command.START:
        run_count = max(1, wish.run_count or 0)
        if run.state.type is S.RUNNING and run_count <= run.run_count:
            return Rejected(f"call {run_count} of its function was reported already")
        if run_count == 1:
            # A run that is recorded as running before its first call is not retrying.
            name = "Running"
    state = StateRecord(found[0], name, wish.at, wish.message)
    if wish.command is Command.FINISH and wish.state is not None:
        if not wish.state.is_terminal:
            return Rejected(f"{wish.state.name} does not end a run")
        state = wish.state
    host_id = run.host_id
    if wish.command is Command.CLAIM:
        host_id, run_count = wish.host_id, 0
    elif state.type is S.SCHEDULED or (state.type, state.name) == TABLE[S.PAUSED, Command.LEAVE]:
        host_id = None
    due = _due(run, wish, state)
    return Transition(
        run_id=run.id,
        version=run.version,
        state=state,
        attempt=run.attempt + (wish.command is Command.CLAIM),
        run_count=run_count,
        result=wish.result,
        host_id=host_id,
        first_start=wish.command is Command.START and run.started is None,
        due=due,
        queued=state.type is S.SCHEDULED and (_had_its_turn(run, wish) or due <= wish.at),
        crashes=_crashes(run, wish, state),
        paused_until=_until(run, wish, state),
    )


def _row(run: FlowRun, command: Command) -> Row | Rejected:
    """The row of the table that says what becomes of a run."""
    state = run.state
    suspended = state.type is S.PAUSED and run.host_id is None
    found = (SUSPENDED if suspended else TABLE).get((state.type, command))
    repeated = command in (Command.LATE, Command.SUSPEND) and found == (state.type, state.name)
    if found is None or repeated:
        return Rejected(f"a run that is {state.name} cannot {command}")
    if found[0] is not S.PAUSED and state.name == SUSPENDING:
        if command in (Command.CRASH, Command.RECOVER):
            # It has no process any more, however that ended.
            return TABLE[S.PAUSED, Command.LEAVE]
        if command in (Command.RESUME, Command.EXPIRE):
            return Rejected("it is being suspended, and its process has not ended yet")
    return found


def _due(run: FlowRun, wish: Wish, state: StateRecord) -> float:
    """Its place in the queue, which it keeps where it is only put back."""
    if state.type is not S.SCHEDULED or wish.command in (Command.RELEASE, Command.LATE):
        return run.due
    if wish.command is Command.RESUME and not run.attempt:
        return max(run.due, wish.at)
    return wish.at if wish.due is None else wish.due


def _had_its_turn(run: FlowRun, wish: Wish) -> bool:
    """Whether it was due already, whatever a clock says that was set back meanwhile."""
    return wish.command is Command.RELEASE or (wish.command is Command.LATE and run.queued)


def _crashes(run: FlowRun, wish: Wish, state: StateRecord) -> int:
    if wish.command is Command.RERUN:
        return 0
    return run.crashes + (wish.command is Command.RECOVER and state.type is S.SCHEDULED)


def _until(run: FlowRun, wish: Wish, state: StateRecord) -> float | None:
    if state.type is not S.PAUSED:
        return None
    asked = wish.command in (Command.PAUSE, Command.SUSPEND)
    return wish.until if asked else run.paused_until
