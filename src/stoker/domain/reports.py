"""What a running flow reports. Reports are sent in order, and each is applied at most once."""

from msgspec import Struct

from stoker.domain.events import EmitEvent
from stoker.domain.runs import FlowRun, LogLine, TaskRun
from stoker.domain.states import ResultRecord, StateRecord


class Started(Struct, tag="started", frozen=True, omit_defaults=True):
    """The user's function is about to be called (again, where ``run_count`` is above 1)."""

    at: float
    run_count: int = 1
    name: str = ""
    """A run name made from the parameters, where the flow asks for one."""


class AwaitingRetry(Struct, tag="awaiting_retry", frozen=True):
    """The user's function failed and will be called again after a delay."""

    at: float
    message: str


class Finished(Struct, tag="finished", frozen=True, omit_defaults=True):
    """The run is over, or its process where it is suspended; ``state`` is terminal or `PAUSED`."""

    state: StateRecord
    result: ResultRecord | None = None
    lost: bool = False
    """Whether its process ended without a word, so that another attempt may do better."""


class SubflowCreated(Struct, tag="subflow", frozen=True):
    """A flow was called in the process of another one, or of a script; its record."""

    run: FlowRun


class TaskRunChanged(Struct, tag="task_run", frozen=True):
    """A task run is now as this record says."""

    task_run: TaskRun


class Logged(Struct, tag="logged", frozen=True):
    """Log lines, in order."""

    lines: list[LogLine]


class HandedOver(Struct, tag="handed_over", frozen=True, omit_defaults=True, kw_only=True):
    """The host's agent gave the run to a child (its part of the start anatomy)."""

    received: float
    handed_over: float
    assigned: float | None = None
    imported: float | None = None
    import_seconds: float | None = None


class SlotsGivenBack(Struct, tag="slots", frozen=True):
    """The slots of an `AcquireSlots` are needed no more, or not waited for any more."""

    id: str


class Emitted(Struct, tag="emitted", frozen=True):
    """The flow says that something has happened."""

    event: EmitEvent


Report = (
    Started
    | AwaitingRetry
    | Finished
    | SubflowCreated
    | TaskRunChanged
    | Logged
    | HandedOver
    | SlotsGivenBack
    | Emitted
)
"""Everything that can be reported about one flow run."""


class Frame(Struct, frozen=True, array_like=True):
    """Reports about one flow run, under the attempt and sequence number that guard them.

    Attributes:
        run_id: The flow run.
        attempt: The attempt that reports; an older one than the current changes nothing.
        seq: Grows by one per frame of an attempt; a number seen before is dropped.
        reports: The reports, in order.
    """

    run_id: str
    attempt: int
    seq: int
    reports: list[Report]
