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


TABLE: dict[tuple[StateType, Command], tuple[StateType, str]] = {
    (S.SCHEDULED, Command.CLAIM): (S.PENDING, "Pending"),
    (S.PENDING, Command.RELEASE): (S.SCHEDULED, "Scheduled"),
    (S.PENDING, Command.START): (S.RUNNING, "Running"),
    (S.RUNNING, Command.START): (S.RUNNING, "Retrying"),
    (S.RUNNING, Command.RETRY): (S.RUNNING, "AwaitingRetry"),
    (S.PENDING, Command.FINISH): (S.COMPLETED, "Completed"),
    (S.RUNNING, Command.FINISH): (S.COMPLETED, "Completed"),
    (S.CANCELLING, Command.FINISH): (S.CANCELLED, "Cancelled"),
    (S.SCHEDULED, Command.CANCEL): (S.CANCELLED, "Cancelled"),
    (S.PENDING, Command.CANCEL): (S.CANCELLING, "Cancelling"),
    (S.RUNNING, Command.CANCEL): (S.CANCELLING, "Cancelling"),
    (S.PENDING, Command.CRASH): (S.CRASHED, "Crashed"),
    (S.RUNNING, Command.CRASH): (S.CRASHED, "Crashed"),
    (S.CANCELLING, Command.CRASH): (S.CANCELLED, "Cancelled"),
}
"""``(state, command) → (state, its usual name)``. What is not here is rejected.

A ``FINISH`` carries the terminal state that the run reports; the table's is only its default.
A run that was being cancelled ends as the run says: it may have completed first.
"""


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

    @property
    def ends_attempt(self) -> bool:
        """Whether the run gives back its leases with it."""
        return self.state.is_terminal or self.state.type is S.SCHEDULED


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
    """

    command: Command
    at: float
    attempt: int | None = None
    state: StateRecord | None = None
    result: ResultRecord | None = None
    message: str = ""
    host_id: str | None = None
    run_count: int | None = None


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
    found = TABLE.get((run.state.type, wish.command))
    if found is None:
        return Rejected(f"a run that is {run.state.name} cannot {wish.command}")
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
        host_id = wish.host_id
    elif wish.command is Command.RELEASE:
        host_id = None
    return Transition(
        run_id=run.id,
        version=run.version,
        state=state,
        attempt=run.attempt + (wish.command is Command.CLAIM),
        run_count=run_count,
        result=wish.result,
        host_id=host_id,
        first_start=wish.command is Command.START and run.started is None,
        due=run.due,
        queued=state.type is S.SCHEDULED and run.due <= wish.at,
    )
