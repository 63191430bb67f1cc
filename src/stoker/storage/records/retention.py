"""What is pruned by age, and the sums that outlive it."""

from collections.abc import Sequence

import msgspec

from stoker.domain.ids import first_id
from stoker.domain.rollups import Rollup, RollupKey
from stoker.domain.runs import FlowRun
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Statements

_rollup = msgspec.json.Decoder(Rollup).decode


class Retention(Statements):
    """See `RetentionRecords`."""

    def unrolled_runs(self, after: float, limit: int) -> list[tuple[str, float]]:
        found = self._all("unrolled_runs", after=after, limit=limit)
        return [(run_id, ended) for run_id, ended in found]

    def note_rolled(self, run: FlowRun) -> bool:
        return self._do("note_rolled", (run.id, run.attempt)).rowcount == 1

    def rollup(self, key: RollupKey) -> Rollup | None:
        row = self._one("rollup", *key)
        return _rollup(row[0]) if row else None

    def put_rollups(self, rollups: Sequence[Rollup]) -> None:
        rows = [(one.hour, one.pool, one.deployment, to_text(one)) for one in rollups]
        self._many("put_rollup", rows)

    def rollups(self, first: int, last: int) -> list[Rollup]:
        return [_rollup(row[0]) for row in self._all("rollups", first, last)]

    def prunable_runs(self, before: float, limit: int) -> list[str]:
        return [row[0] for row in self._all("prunable_runs", before=before, limit=limit)]

    def count_prunable(self, before: float) -> int:
        return self._one("count_prunable", before=before)[0]

    def prune_logs_of(self, run_id: str, limit: int) -> int:
        return self._do("prune_logs_of", (run_id, limit)).rowcount

    def prune_run(self, run_id: str, before: float) -> bool:
        if not self._do("prune_run", (run_id, before)).rowcount:
            return False
        for query in ("prune_states", "prune_task_runs", "prune_rolled", "drop_pauses"):
            self._do(query, (run_id,))
        return True

    def prune_logs(self, before: float, limit: int) -> int:
        return self._do("prune_logs", {"before": before, "limit": limit}).rowcount

    def count_logs(self, before: float) -> int:
        return self._one("count_logs", before)[0]

    def prune_events(self, before: float, limit: int) -> int:
        return self._do("prune_events", {"before": before, "limit": limit}).rowcount

    def count_events(self, before: float) -> int:
        return self._one("count_events", before)[0]

    def prune_outbox(self, before: float, limit: int) -> int:
        return self._do("prune_outbox", (before, limit)).rowcount

    def prune_backfills(self, before: float, limit: int) -> int:
        return self._do("prune_backfills", (first_id(before), limit)).rowcount

    def probe(self, name: str, at: float) -> None:
        self._do("probe", (name, at))
