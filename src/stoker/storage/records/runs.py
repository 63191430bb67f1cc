"""Flow runs: their records, states and numbers of frames."""

from collections.abc import Sequence

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import Transition
from stoker.ports.store import RunFilter
from stoker.storage.records import rows
from stoker.storage.records.pending import Known
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Statements


class Runs(Statements):
    """See `RunRecords`."""

    def insert_runs(self, runs: Sequence[FlowRun], keys: Sequence[str | None]) -> None:
        for run, key in zip(runs, keys, strict=True):
            self._pending.insert(rows.run_values(run, key))
            if run.queued:
                group = (run.pool or "", run.lane or "", run.queue or "", run.deployment_id or "")
                self._pending.note(group, (run.due, run.id))

    def insert_subflow(self, run: FlowRun) -> bool:
        return self._do("insert_run", rows.run_values(run, None)).rowcount == 1

    def flow_run(self, run_id: str) -> FlowRun | None:
        row = self._one("flow_run", run_id)
        return self._run_of(row) if row else None

    def flow_runs_of(self, run_ids: Sequence[str]) -> list[FlowRun]:
        return [self._run_of(row) for row in self._all("flow_runs_of", to_text(run_ids))]

    def runs_of_keys(self, deployment_id: str, keys: Sequence[str]) -> dict[str, FlowRun]:
        if not keys:
            return {}
        found = self._all("runs_of_keys", to_text(keys), deployment_id)
        return {row[28]: rows.run_of(row) for row in found}

    def flow_runs(self, which: RunFilter) -> list[FlowRun]:
        # One query with all filters would let SQLite use no index, whichever are given.
        query = "flow_runs"
        if which.deployment is not None:
            query = "flow_runs_of_deployment"
        elif which.parent is not None:
            query = "flow_runs_of_parent"
        found = self._do(
            query,
            {
                "states": to_text(list(which.states)) if which.states else None,
                "deployment": which.deployment,
                "flow": which.flow,
                "pool": which.pool,
                "parent": which.parent,
                "before": which.before,
                "limit": which.limit,
            },
        )
        return [rows.run_of(row) for row in found.fetchall()]

    def open_subflows(self, run_ids: Sequence[str]) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("open_subflows", to_text(run_ids))]

    def open_runs_of(self, host_id: str) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("open_runs_of_script", host_id)]

    def apply(self, transitions: Sequence[Transition]) -> list[bool]:
        return [self._apply(transition) for transition in transitions]

    def _apply(self, transition: Transition) -> bool:
        known = self._known(transition.run_id)
        if known is None or known.version != transition.version:
            return False
        self._pending.enter(self._session, transition)
        known.version += 1
        if known.attempt != transition.attempt:
            known.attempt, known.seq = transition.attempt, 0
        return True

    def _known(self, run_id: str) -> Known | None:
        if run_id not in self._pending.known:
            self.flow_run(run_id)
        return self._pending.known.get(run_id)

    def advance(self, run_id: str, seq: int) -> bool:
        known = self._known(run_id)
        if known is None or seq <= known.seq:
            return False
        known.seq = seq
        self._pending.change(run_id).set(seq=seq)
        return True

    def set_anatomy(self, run_id: str, anatomy: StartAnatomy) -> None:
        self._pending.change(run_id).set(anatomy=to_text(anatomy))

    def rename_run(self, run_id: str, name: str) -> None:
        self._pending.change(run_id).set(run_name=name)

    def delete_run(self, run_id: str) -> None:
        for query in (
            "delete_run_logs",
            "delete_run_run_states",
            "delete_run_task_runs",
            "delete_run_pauses",
            "delete_run_flow_runs",
        ):
            self._do(query, (run_id,))

    def move_run(self, run_id: str, pool: str, queue: str, lane: str) -> None:
        self._do("move_run", (pool, queue, lane, run_id))

    def set_lane(self, run_id: str, lane: str) -> None:
        self._do("set_lane", (lane, run_id))
        self._pending.note_run(run_id)

    def states(self, run_id: str) -> list[StateRecord]:
        return [
            StateRecord(StateType(kind), name, at, message)
            for kind, name, at, message in self._all("states", run_id)
        ]
