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
        values = {
            "id": schedule.id,
            "deployment": schedule.deployment_id,
            "slug": schedule.slug,
            "version": schedule.version,
            "next": schedule.next,
            "record": to_text(schedule),
        }
        query = "change_schedule" if schedule.version else "put_schedule"
        return self._do(query, values).rowcount == 1

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
        values = {
            "id": backfill.id,
            "deployment": backfill.deployment_id,
            "key": backfill.key,
            "version": backfill.version,
            "running": int(backfill.state == "RUNNING"),
            "record": to_text(backfill),
        }
        query = "change_backfill" if backfill.version else "put_backfill"
        return self._do(query, values).rowcount == 1

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
