"""What is pruned by age, and the sums that outlive it."""

from collections.abc import Sequence

from stoker.domain.ids import first_id
from stoker.domain.rollups import Rollup, RollupKey
from stoker.domain.runs import FlowRun
from stoker.testing.memory.tables import Room, copies


class Retention(Room):
    """See `RetentionRecords`."""

    def _ended(self) -> list[FlowRun]:
        found = [run for run in self._tables.runs.values() if run.ended is not None]
        return sorted(found, key=lambda run: (run.ended or 0.0, run.id))

    def unrolled_runs(self, after: float, limit: int) -> list[tuple[str, float]]:
        found = [
            (run.id, run.ended or 0.0)
            for run in self._ended()
            if (run.ended or 0.0) > after and (run.id, run.attempt) not in self._tables.rolled
        ]
        return found[:limit]

    def note_rolled(self, run: FlowRun) -> bool:
        key = (run.id, run.attempt)
        if key in self._tables.rolled:
            return False
        self._tables.rolled[key] = True
        return True

    def rollup(self, key: RollupKey) -> Rollup | None:
        return self._tables.rollups.find(key)

    def put_rollups(self, rollups: Sequence[Rollup]) -> None:
        for one in rollups:
            self._tables.rollups.put((one.hour, one.pool, one.deployment), one)

    def rollups(self, first: int, last: int) -> list[Rollup]:
        found = sorted(self._tables.rollups.items())
        return copies(one for key, one in found if first <= key[0] <= last)

    def prunable_runs(self, before: float, limit: int) -> list[str]:
        return self._prunable(before)[:limit]

    def _prunable(self, before: float) -> list[str]:
        waited_for = {child for _, child in self._tables.waits}
        opened = [run for run in self._tables.runs.values() if run.ended is None]
        needed = waited_for | {run.parent_run_id for run in opened}
        open_ids = {run.id for run in opened}
        return [
            run.id
            for run in self._ended()
            if (run.ended or 0.0) < before
            and run.id not in needed
            and run.parent_run_id not in open_ids
        ]

    def count_prunable(self, before: float) -> int:
        return len(self._prunable(before))

    def prune_logs_of(self, run_id: str, limit: int) -> int:
        lines = [key for key, (owner, _) in self._tables.logs.items() if owner == run_id]
        return self._drop_logs(sorted(lines)[:limit])

    def _drop_logs(self, lines: list[int]) -> int:
        for one in lines:
            del self._tables.logs[one]
        return len(lines)

    def prune_run(self, run_id: str, before: float) -> bool:
        run = self._tables.runs.get(run_id)
        if run is None or run.ended is None or run.ended >= before:
            return False
        del self._tables.runs[run_id]
        for key in [one for one in self._tables.states if one[0] == run_id]:
            del self._tables.states[key]
        for key in [one for one in self._tables.rolled if one[0] == run_id]:
            del self._tables.rolled[key]
        for key in [one for one in self._tables.pauses if one[0] == run_id]:
            del self._tables.pauses[key]
        tasks = self._tables.task_runs
        for key in [key for key, one in tasks.items() if one.flow_run_id == run_id]:
            del tasks[key]
        for key in [key for key, owner in self._tables.keys.items() if owner == run_id]:
            del self._tables.keys[key]
        return True

    def prune_logs(self, before: float, limit: int) -> int:
        oldest = sorted(self._tables.logs.items())[:limit]
        last = max(self._tables.logs, default=0)
        return self._drop_logs(
            [key for key, (_, line) in oldest if line.at < before and key < last]
        )

    def count_logs(self, before: float) -> int:
        return sum(line.at < before for _, line in self._tables.logs.values())

    def prune_events(self, before: float, limit: int) -> int:
        events = self._tables.events
        read = min(self._tables.readers.values(), default=max(events, default=0))
        last = max(events, default=0)
        oldest = sorted(events.items())[:limit]
        dropped = [key for key, one in oldest if one.at < before and key < last and key <= read]
        for key in dropped:
            del events[key]
        return len(dropped)

    def count_events(self, before: float) -> int:
        return sum(one.at < before for one in self._tables.events.values())

    def prune_outbox(self, before: float, limit: int) -> int:
        found = [
            (one.ended, key)
            for key, one in self._tables.outbox.items()
            if one.ended is not None and one.ended < before
        ]
        for _, key in sorted(found)[:limit]:
            del self._tables.outbox[key]
        return min(limit, len(found))

    def prune_backfills(self, before: float, limit: int) -> int:
        busy = {run.schedule_id for run in self._tables.runs.values()}
        found = [
            key
            for key, one in self._tables.backfills.items()
            if one.state != "RUNNING" and key < first_id(before) and key not in busy
        ]
        for key in sorted(found)[:limit]:
            del self._tables.backfills[key]
        return min(limit, len(found))

    def probe(self, name: str, at: float) -> None:
        del name, at
