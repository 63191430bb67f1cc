"""Pauses: what a run has asked for, and when it ends by itself."""

from stoker.domain.pauses import Pause, PauseEnd
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.domain.transitions import SUSPENDING
from stoker.testing.memory.tables import Room, copies


class Pauses(Room):
    """See `PauseRecords`."""

    def put_pause(self, pause: Pause) -> None:
        self._tables.pauses.put((pause.run_id, pause.key), pause)

    def pause(self, run_id: str, key: str) -> Pause | None:
        return self._tables.pauses.find((run_id, key))

    def end_pauses(self, run_id: str, end: PauseEnd) -> None:
        for key, pause in list(self._tables.pauses.items()):
            if pause.run_id == run_id and pause.end is PauseEnd.OPEN:
                self._tables.pauses.change(key, end=end)

    def drop_pauses(self, run_id: str) -> None:
        for key in [key for key in self._tables.pauses if key[0] == run_id]:
            del self._tables.pauses[key]

    def shelved_runs(self, deployment_id: str) -> list[FlowRun]:
        return copies(
            run
            for run in self._tables.runs.values()
            if run.deployment_id == deployment_id
            and (
                (run.state.type is StateType.SCHEDULED and not run.queued)
                or (run.state.type is StateType.PAUSED and run.host_id is None)
                or run.state.name == SUSPENDING
            )
        )

    def _ending(self) -> list[tuple[float, FlowRun]]:
        found = [
            (run.paused_until, run)
            for run in self._tables.runs.values()
            if run.paused_until is not None and run.state.name != SUSPENDING
        ]
        return sorted(found, key=lambda one: one[0])

    def overdue_pauses(self, now: float, limit: int) -> list[FlowRun]:
        return copies([run for until, run in self._ending() if until <= now][:limit])

    def next_overdue(self) -> float | None:
        return next((until for until, _ in self._ending()), None)
