"""Schedules and backfills."""

from typing import Protocol

from stoker.domain.schedules import Backfill, DeploymentSchedule


class ScheduleRecords(Protocol):
    """Schedules and backfills, within one transaction."""

    def put_schedule(self, schedule: DeploymentSchedule) -> bool:
        """Store a schedule as the next version of what it was read as; a new one has version 0.

        Returns False, and changes nothing, where somebody else has changed or deleted it meanwhile.
        """
        ...

    def delete_schedule(self, schedule_id: str) -> None: ...
    def schedule(self, schedule_id: str) -> DeploymentSchedule | None: ...
    def schedules_of(self, deployment_id: str) -> list[DeploymentSchedule]:
        """A deployment's, by their names."""
        ...

    def schedules_due(self, now: float, limit: int) -> list[DeploymentSchedule]:
        """Those that fire by now, the most overdue first."""
        ...

    def next_schedule(self) -> float | None:
        """When the next one fires, seconds since the epoch."""
        ...

    def put_backfill(self, backfill: Backfill) -> bool:
        """Store a backfill; see `put_schedule`."""
        ...

    def backfill(self, id_or_key: str) -> Backfill | None: ...
    def backfills(self, deployment_id: str | None = None, limit: int = 200) -> list[Backfill]:
        """The newest ones, of all deployments or of one; newest first."""
        ...

    def backfills_running(self) -> list[Backfill]:
        """Those that have runs to make, oldest first."""
        ...

    def open_occurrences(self, schedule_id: str) -> int:
        """How many runs of a schedule or backfill are not over."""
        ...

    def queued_occurrences(self, schedule_id: str) -> list[str]:
        """Ids of its runs that have not been given a slot, oldest first."""
        ...
