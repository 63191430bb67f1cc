"""The queues of runs that wait for a slot, and of those that wait for their time."""

from typing import Protocol

from msgspec import Struct

from stoker.domain.runs import FlowRun


class QueuedCount(Struct, frozen=True):
    """How many runs wait in one claim group."""

    queue: str
    lane: str
    runs: int


class QueueRecords(Protocol):
    """Runs in queues, within one transaction."""

    def queued(self, pool: str, queue: str, lane: str, limit: int) -> list[FlowRun]:
        """The first runs of one claim group, oldest first."""
        ...

    def queued_counts(self, pool: str) -> list[QueuedCount]: ...
    def queued_nested(self, pool: str) -> list[FlowRun]:
        """Queued runs that a running one waits for, oldest first."""
        ...

    # Runs that are scheduled for later
    def promote(self, now: float) -> list[str]:
        """Put the runs into their queues that are due; return their pools."""
        ...

    def next_due(self) -> float | None:
        """When the next run is due that is in no queue yet, seconds since the epoch."""
        ...
