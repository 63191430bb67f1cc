"""What is pruned by age, and the sums that outlive it."""

from collections.abc import Sequence
from typing import Protocol

from stoker.domain.rollups import Rollup, RollupKey
from stoker.domain.runs import FlowRun


class RetentionRecords(Protocol):
    """Rollups, and pruning in small steps, within one transaction."""

    def unrolled_runs(self, after: float, limit: int) -> list[tuple[str, float]]:
        """Runs that ended after that time and are in no rollup, with their ends, oldest first."""
        ...

    def note_rolled(self, run: FlowRun) -> bool:
        """Note that a run's end is in a rollup; False if it was noted before."""
        ...

    def rollup(self, key: RollupKey) -> Rollup | None: ...
    def put_rollups(self, rollups: Sequence[Rollup]) -> None: ...
    def rollups(self, first: int, last: int) -> list[Rollup]:
        """Those of some hours, the last one included, oldest first."""
        ...

    def prunable_runs(self, before: float, limit: int) -> list[str]:
        """Runs that ended before that time, oldest first, which no open run needs.

        An open run needs what it waits for, its own parent, and what it has started.
        """
        ...

    def count_prunable(self, before: float) -> int: ...
    def prune_logs_of(self, run_id: str, limit: int) -> int:
        """Delete lines of a run's log, and say how many."""
        ...

    def prune_run(self, run_id: str, before: float) -> bool:
        """Delete a run that ended before that time, its states and task runs."""
        ...

    def prune_logs(self, before: float, limit: int) -> int:
        """Look at the oldest log lines, delete those from before that time, and say how many."""
        ...

    def count_logs(self, before: float) -> int: ...
    def prune_events(self, before: float, limit: int) -> int:
        """Look at the oldest events that all readers have read, delete those from before that
        time, and say how many."""
        ...

    def count_events(self, before: float) -> int: ...
    def prune_outbox(self, before: float, limit: int) -> int:
        """Delete what the outbox had done before that time, and say how much."""
        ...

    def prune_backfills(self, before: float, limit: int) -> int:
        """Delete backfills that are over, were begun before that time and have no run any more;
        and say how many."""
        ...

    def probe(self, name: str, at: float) -> None:
        """Write something, to find out whether that works."""
        ...
