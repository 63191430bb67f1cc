"""Pauses: what a run has asked for, and when it ends by itself."""

from stoker.domain.pauses import Pause, PauseEnd
from stoker.domain.runs import FlowRun
from stoker.storage.records import rows
from stoker.storage.records.statements import Statements


class Pauses(Statements):
    """See `PauseRecords`."""

    def put_pause(self, pause: Pause) -> None:
        self._do("put_pause", (pause.run_id, pause.key, pause.end))

    def pause(self, run_id: str, key: str) -> Pause | None:
        row = self._one("pause", run_id, key)
        return Pause(run_id=run_id, key=key, end=PauseEnd(row[0])) if row else None

    def end_pauses(self, run_id: str, end: PauseEnd) -> None:
        self._do("end_pauses", (end, run_id))

    def drop_pauses(self, run_id: str) -> None:
        self._do("drop_pauses", (run_id,))

    def shelved_runs(self, deployment_id: str) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("shelved_runs", deployment=deployment_id)]

    def overdue_pauses(self, now: float, limit: int) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("overdue_pauses", now, limit)]

    def next_overdue(self) -> float | None:
        return self._one("next_overdue")[0]
