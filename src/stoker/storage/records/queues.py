"""The queues of runs that wait for a slot, and of those that wait for their time."""

from stoker.domain.runs import FlowRun
from stoker.ports.store import QueuedCount
from stoker.storage.records import rows
from stoker.storage.records.statements import Statements


class Queues(Statements):
    """See `QueueRecords`."""

    def queued(self, pool: str, queue: str, lane: str, limit: int) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("queued", pool, queue, lane, limit)]

    def queued_counts(self, pool: str) -> list[QueuedCount]:
        return [QueuedCount(*row) for row in self._all("queued_counts", pool)]

    def queued_nested(self, pool: str) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("queued_nested", pool)]

    # Runs that are scheduled for later

    def promote(self, now: float) -> list[str]:
        return sorted({row[0] for row in self._all("promote", now)})

    def next_due(self) -> float | None:
        return self._one("next_due")[0]
