"""Flow runs: their records, states and numbers of frames."""

from collections.abc import Sequence

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import Transition
from stoker.ports.store import RunFilter
from stoker.storage.records import rows
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Statements


class Runs(Statements):
    """See `RunRecords`."""

    def insert_runs(self, runs: Sequence[FlowRun], keys: Sequence[str | None]) -> None:
        values = [rows.run_values(run, key) for run, key in zip(runs, keys, strict=True)]
        self._many("insert_run", values)
        self._note(runs)

    def _note(self, runs: Sequence[FlowRun]) -> None:
        """Note in their claim groups that runs are queued; once a group, by its oldest one."""
        heads: dict[tuple[str, str, str, str], tuple[float, str]] = {}
        for run in runs:
            if run.queued:
                group = (run.pool or "", run.lane or "", run.queue or "", run.deployment_id or "")
                head = (run.due, run.id)
                heads[group] = min(head, heads.get(group, head))
        if heads:
            self._many("note_group", [(*group, *heads[group]) for group in sorted(heads)])

    def insert_subflow(self, run: FlowRun) -> bool:
        return self._do("insert_run", rows.run_values(run, None)).rowcount == 1

    def flow_run(self, run_id: str) -> FlowRun | None:
        row = self._one("flow_run", run_id)
        return rows.run_of(row) if row else None

    def run_of_key(self, idempotency_key: str) -> FlowRun | None:
        row = self._one("run_of_key", idempotency_key)
        return rows.run_of(row) if row else None

    def flow_runs(self, which: RunFilter) -> list[FlowRun]:
        found = self._do(
            "flow_runs",
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

    def open_subflows(self, run_id: str) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("open_subflows", run_id)]

    def open_runs_of(self, host_id: str) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("open_runs_of_script", host_id)]

    def apply(self, transitions: Sequence[Transition]) -> list[bool]:
        return [self._apply(transition) for transition in transitions]

    def _apply(self, transition: Transition) -> bool:
        state, result = transition.state, transition.result
        changed = self._do(
            "apply_transition",
            {
                "id": transition.run_id,
                "version": transition.version,
                "type": state.type,
                "name": state.name,
                "at": state.at,
                "message": state.message,
                "attempt": transition.attempt,
                "run_count": transition.run_count,
                "host_id": transition.host_id,
                "first_start": int(transition.first_start),
                "terminal": int(state.is_terminal),
                "due": transition.due,
                "queued": int(transition.queued),
                "crashes": transition.crashes,
                "paused_until": transition.paused_until,
                "result_format": result.format if result else None,
                "result_data": result.data if result else None,
                "result_file": result.file if result else None,
            },
        )
        if changed.rowcount != 1:
            return False
        run_id = transition.run_id
        history = (run_id, transition.version + 1, state.type, state.name, state.at, state.message)
        self._do("insert_state", history)
        if transition.ends_attempt:
            self._do("inherit_keys", {"run": run_id})
            self._do("unblock_freed", (run_id,))
            self._do("drop_lease", (run_id,))
            self._do("drop_waits_of", (run_id,))
        if transition.queued:
            self._do("note_run", (run_id,))
        return True

    def advance(self, run_id: str, seq: int) -> bool:
        return self._do("advance_seq", {"id": run_id, "seq": seq}).rowcount == 1

    def set_anatomy(self, run_id: str, anatomy: StartAnatomy) -> None:
        self._do("set_anatomy", (to_text(anatomy), run_id))

    def rename_run(self, run_id: str, name: str) -> None:
        self._do("rename_run", (name, run_id))

    def set_lane(self, run_id: str, lane: str) -> None:
        self._do("set_lane", (lane, run_id))
        self._do("note_run", (run_id,))

    def states(self, run_id: str) -> list[StateRecord]:
        return [
            StateRecord(StateType(kind), name, at, message)
            for kind, name, at, message in self._all("states", run_id)
        ]
