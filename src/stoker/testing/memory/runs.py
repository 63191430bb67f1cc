"""Flow runs: their records, states and numbers of frames."""

from collections.abc import Sequence

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord
from stoker.domain.transitions import Transition
from stoker.ports.store import RunFilter
from stoker.testing.memory.leases import KEYS
from stoker.testing.memory.queues import enter
from stoker.testing.memory.tables import Room, copies


class Runs(Room):
    """See `RunRecords`."""

    def insert_runs(self, runs: Sequence[FlowRun], keys: Sequence[str | None]) -> None:
        heads: dict[tuple[str, str, str, str], FlowRun] = {}
        for run, key in zip(runs, keys, strict=True):
            self._insert(run, key)
            if run.queued:
                group = (run.pool or "", run.lane or "", run.queue or "", run.deployment_id or "")
                heads[group] = min(heads.get(group, run), run, key=lambda one: (one.due, one.id))
        for group in sorted(heads):
            enter(self._tables, heads[group])

    def _insert(self, run: FlowRun, key: str | None) -> bool:
        tables = self._tables
        if run.id in tables.runs:
            return False
        instants = {(one.schedule_id, one.instant) for one in tables.runs.values()}
        if run.schedule_id is not None and (run.schedule_id, run.instant) in instants:
            raise KeyError("unique: schedule and instant of a run")
        whole = (run.deployment_id or "", key or "")
        if key is not None and whole in tables.keys:
            raise KeyError("unique: idempotency key of a run")
        tables.runs.put(run.id, run)
        tables.runs.change(run.id, waiting_for=None)
        if key is not None:
            tables.keys[whole] = run.id
        return True

    def insert_subflow(self, run: FlowRun) -> bool:
        return self._insert(run, None)

    def flow_run(self, run_id: str) -> FlowRun | None:
        return self._tables.runs.find(run_id)

    def runs_of_keys(self, deployment_id: str, keys: Sequence[str]) -> dict[str, FlowRun]:
        found = {
            key: self.flow_run(self._tables.keys.get((deployment_id, key), "")) for key in keys
        }
        return {key: run for key, run in found.items() if run is not None}

    def flow_runs(self, which: RunFilter) -> list[FlowRun]:
        found = [
            run
            for run in self._tables.runs.values()
            if (which.before is None or run.id < which.before)
            and (not which.states or run.state.type in which.states)
            and which.deployment in (None, run.deployment)
            and which.flow in (None, run.flow_name)
            and which.pool in (None, run.pool)
            and which.parent in (None, run.parent_run_id)
        ]
        return copies(sorted(found, key=lambda run: run.id, reverse=True)[: which.limit])

    def flow_runs_of(self, run_ids: Sequence[str]) -> list[FlowRun]:
        return copies(self._tables.runs[one] for one in set(run_ids) if one in self._tables.runs)

    def open_subflows(self, run_ids: Sequence[str]) -> list[FlowRun]:
        found: list[FlowRun] = []
        parents = list(run_ids)
        while parents:
            parent = parents.pop()
            for run in self._tables.runs.values():
                if run.parent_run_id == parent and run.deployment_id is None:
                    parents.append(run.id)
                    found.append(run)
        return copies(run for run in found if run.ended is None)

    def open_runs_of(self, host_id: str) -> list[FlowRun]:
        return copies(
            run
            for run in self._tables.runs.values()
            if run.host_id == host_id and run.deployment_id is None and run.ended is None
        )

    def apply(self, transitions: Sequence[Transition]) -> list[bool]:
        return [self._apply(transition) for transition in transitions]

    def _apply(self, change: Transition) -> bool:
        tables = self._tables
        run = tables.runs.get(change.run_id)
        if run is None or run.version != change.version:
            return False
        if run.attempt != change.attempt:
            tables.seqs.pop(run.id, None)
        tables.runs.change(
            run.id,
            state=change.state,
            version=run.version + 1,
            attempt=change.attempt,
            run_count=change.run_count,
            host_id=change.host_id,
            started=change.state.at if change.first_start else run.started,
            ended=change.state.at if change.state.is_terminal else None,
            result=change.result,
            due=change.due,
            queued=change.queued,
            crashes=change.crashes,
            paused_until=change.paused_until,
        )
        tables.states.put((run.id, run.version + 1), change.state)
        if change.ends_attempt:
            self._end_attempt(run.id)
        if change.queued:
            enter(tables, tables.runs[run.id])
        return True

    def _end_attempt(self, run_id: str) -> None:
        tables = self._tables
        gone = tables.leases.pop(run_id, None)
        if gone is not None:
            for lease in list(tables.leases.values()):
                lent = [key for key in KEYS if getattr(lease, key) == run_id]
                tables.leases.change(lease.run_id, **{key: getattr(gone, key) for key in lent})
            for key, group in list(tables.groups.items()):
                if group.blocked and key[3] == gone.deployment_id:
                    tables.groups.change(key, blocked=False)
        for waiter, child in list(tables.waits):
            if waiter == run_id:
                del tables.waits[waiter, child]

    def advance(self, run_id: str, seq: int) -> bool:
        if run_id not in self._tables.runs or self._tables.seqs.get(run_id, 0) >= seq:
            return False
        self._tables.seqs[run_id] = seq
        return True

    def set_anatomy(self, run_id: str, anatomy: StartAnatomy) -> None:
        self._tables.runs.change(run_id, anatomy=anatomy)

    def rename_run(self, run_id: str, name: str) -> None:
        self._tables.runs.change(run_id, name=name)

    def move_run(self, run_id: str, pool: str, queue: str, lane: str) -> None:
        self._tables.runs.change(run_id, pool=pool, queue=queue, lane=lane)

    def delete_run(self, run_id: str) -> None:
        gone = {run_id}
        grown = True
        while grown:
            inner = {
                run.id
                for run in self._tables.runs.values()
                if run.parent_run_id in gone and run.deployment_id is None
            }
            grown = not inner <= gone
            gone |= inner
        tables = self._tables
        for one in gone:
            tables.runs.pop(one, None)
        for state in [key for key in tables.states if key[0] in gone]:
            del tables.states[state]
        for pause in [key for key in tables.pauses if key[0] in gone]:
            del tables.pauses[pause]
        for number in [number for number, entry in tables.logs.items() if entry[0] in gone]:
            del tables.logs[number]
        for task in [task for task in tables.task_runs.values() if task.flow_run_id in gone]:
            del tables.task_runs[task.id]

    def set_lane(self, run_id: str, lane: str) -> None:
        self._tables.runs.change(run_id, lane=lane)
        run = self._tables.runs.get(run_id)
        if run is not None and run.queued:
            enter(self._tables, run)

    def states(self, run_id: str) -> list[StateRecord]:
        found = self._tables.states
        return copies(found[key] for key in sorted(found) if key[0] == run_id)
