"""Schedules and backfills."""

from stoker.domain.runs import FlowRun
from stoker.domain.schedules import Backfill, DeploymentSchedule
from stoker.domain.states import StateType
from stoker.testing.memory.tables import Room, copies


class Schedules(Room):
    """See `ScheduleRecords`."""

    def put_schedule(self, schedule: DeploymentSchedule) -> bool:
        schedule.version += 1
        known = self._tables.schedules.get(schedule.id)
        if (known.version if known is not None else -1) != schedule.version - 1:
            return False
        for other in self._tables.schedules.values():
            same = (other.deployment_id, other.slug) == (schedule.deployment_id, schedule.slug)
            if same and other.id != schedule.id:
                raise KeyError("unique: name of a deployment's schedule")
        self._tables.schedules.put(schedule.id, schedule)
        return True

    def delete_schedule(self, schedule_id: str) -> None:
        self._tables.schedules.pop(schedule_id, None)

    def schedule(self, schedule_id: str) -> DeploymentSchedule | None:
        return self._tables.schedules.find(schedule_id)

    def schedules_of(self, deployment_id: str) -> list[DeploymentSchedule]:
        found = self._tables.schedules.values()
        return copies(
            sorted(
                (one for one in found if one.deployment_id == deployment_id),
                key=lambda one: one.slug,
            )
        )

    def _firing(self) -> list[tuple[float, DeploymentSchedule]]:
        found = self._tables.schedules.values()
        firing = [(one.next, one) for one in found if one.next is not None]
        return sorted(firing, key=lambda one: one[0])

    def schedules_due(self, now: float, limit: int) -> list[DeploymentSchedule]:
        return copies([one for at, one in self._firing() if at <= now][:limit])

    def next_schedule(self) -> float | None:
        return next((at for at, _ in self._firing()), None)

    def put_backfill(self, backfill: Backfill) -> bool:
        backfill.version += 1
        known = self._tables.backfills.get(backfill.id)
        if (known.version if known is not None else -1) != backfill.version - 1:
            return False
        for other in self._tables.backfills.values():
            if other.key == backfill.key and other.id != backfill.id:
                raise KeyError("unique: what a backfill was asked for")
        self._tables.backfills.put(backfill.id, backfill)
        return True

    def backfill(self, id_or_key: str) -> Backfill | None:
        found = self._tables.backfills.values()
        return next(iter(copies(one for one in found if id_or_key in (one.id, one.key))), None)

    def backfills(self, deployment_id: str | None = None, limit: int = 200) -> list[Backfill]:
        found = sorted(self._tables.backfills.items(), reverse=True)
        return copies(
            [one for _, one in found if deployment_id in (None, one.deployment_id)][:limit]
        )

    def backfills_running(self) -> list[Backfill]:
        found = sorted(self._tables.backfills.items())
        return copies(one for _, one in found if one.state == "RUNNING")

    def _occurrences(self, schedule_id: str) -> list[FlowRun]:
        found = sorted(self._tables.runs.items())
        return [one for _, one in found if one.schedule_id == schedule_id and one.ended is None]

    def open_occurrences(self, schedule_id: str) -> int:
        return len(self._occurrences(schedule_id))

    def queued_occurrences(self, schedule_id: str) -> list[str]:
        found = self._occurrences(schedule_id)
        return [run.id for run in found if run.state.type is StateType.SCHEDULED]
