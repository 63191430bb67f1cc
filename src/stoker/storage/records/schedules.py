"""Schedules and backfills."""

import msgspec

from stoker.domain.schedules import Backfill, DeploymentSchedule
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Statements

_schedule = msgspec.json.Decoder(DeploymentSchedule).decode
_backfill = msgspec.json.Decoder(Backfill).decode


class Schedules(Statements):
    """See `ScheduleRecords`."""

    def put_schedule(self, schedule: DeploymentSchedule) -> bool:
        schedule.version += 1
        values = (
            schedule.id,
            schedule.deployment_id,
            schedule.slug,
            schedule.version,
            schedule.next,
            to_text(schedule),
        )
        return self._do("put_schedule", values).rowcount == 1

    def delete_schedule(self, schedule_id: str) -> None:
        self._do("delete_schedule", (schedule_id,))

    def schedule(self, schedule_id: str) -> DeploymentSchedule | None:
        row = self._one("schedule", schedule_id)
        return _schedule(row[0]) if row else None

    def schedules_of(self, deployment_id: str) -> list[DeploymentSchedule]:
        return [_schedule(row[0]) for row in self._all("schedules_of", deployment_id)]

    def schedules_due(self, now: float, limit: int) -> list[DeploymentSchedule]:
        return [_schedule(row[0]) for row in self._all("schedules_due", now, limit)]

    def next_schedule(self) -> float | None:
        return self._one("next_schedule")[0]

    def put_backfill(self, backfill: Backfill) -> bool:
        backfill.version += 1
        values = (
            backfill.id,
            backfill.deployment_id,
            backfill.key,
            backfill.version,
            int(backfill.state == "RUNNING"),
            to_text(backfill),
        )
        return self._do("put_backfill", values).rowcount == 1

    def backfill(self, id_or_key: str) -> Backfill | None:
        row = self._one("backfill", id=id_or_key)
        return _backfill(row[0]) if row else None

    def backfills(self, deployment_id: str | None = None, limit: int = 200) -> list[Backfill]:
        found = self._all("backfills", deployment=deployment_id, limit=limit)
        return [_backfill(row[0]) for row in found]

    def backfills_running(self) -> list[Backfill]:
        return [_backfill(row[0]) for row in self._all("backfills_running")]

    def open_occurrences(self, schedule_id: str) -> int:
        return self._one("open_occurrences", schedule_id)[0]

    def queued_occurrences(self, schedule_id: str) -> list[str]:
        return [row[0] for row in self._all("queued_occurrences", schedule_id)]
