"""States of flow runs and task runs: their types, names and groups."""

from enum import StrEnum

from msgspec import Struct


class StateType(StrEnum):
    """What a state means to the orchestrator; the name beside it is for people."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"


TERMINAL = frozenset(
    {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
)
"""No run leaves these."""

ACTIVE = frozenset({StateType.PENDING, StateType.RUNNING, StateType.CANCELLING})
"""A run in one of these belongs to an attempt and holds leases."""


class StateRecord(Struct, frozen=True, omit_defaults=True):
    """One state of one run, as it is stored and sent.

    Attributes:
        type: What it means.
        name: What people call it, for example ``"Retrying"`` for a `RUNNING` run.
        at: When the run entered it, seconds since the epoch.
        message: One line for people: why, and what to do.
    """

    type: StateType
    name: str
    at: float
    message: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether a run in this state is over."""
        return self.type in TERMINAL


class ResultRecord(Struct, frozen=True, omit_defaults=True):
    """What a run returned, serialised.

    Attributes:
        format: ``"json"``, ``"pickle"``, or ``"error"`` (an exception).
        data: The bytes; empty where they lie in a file.
        file: Path below the results folder, for results too large for the store.
    """

    format: str
    data: bytes = b""
    file: str = ""
