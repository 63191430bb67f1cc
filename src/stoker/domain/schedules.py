"""Schedules and backfills: which runs a deployment starts by itself, as they are sent and kept."""

from typing import Any

from msgspec import Struct, field

CATCHUPS = ("all", "latest", "none")
"""What becomes of the occurrences of a time in which no server was up."""

BACKFILL_STATES = ("RUNNING", "COMPLETED", "CANCELLED")
"""A backfill is running until each of its runs was made, or until it is cancelled."""


class Schedule(Struct, kw_only=True, omit_defaults=True):
    """When a deployment starts runs, and with what: exactly one of three kinds.

    `stoker.schedules` has a function for each kind.

    Attributes:
        cron: Five fields: minute, hour, day of the month, month, day of the week; or an alias
            such as ``"@daily"``.
        interval: Seconds between two runs, 1 or more.
        rrule: Lines of RFC 5545: ``RRULE`` (or its value alone), ``DTSTART``, ``RDATE``,
            ``EXDATE``, ``EXRULE``.
        timezone: IANA name of the time zone in which it is meant; UTC by default.
        anchor_date: ISO 8601: an instant of an interval, or the start of an ``rrule`` without
            ``DTSTART``. 2020-01-01T00:00 in the time zone by default.
        day_or: Whether a cron that names days of the month and of the week fires on either (True),
            or only where both fit.
        active: Whether it fires.
        parameters: Over the deployment's.
        slug: Its name, one of its deployment's; made of the kind and its text by default.
        catchup: What becomes of occurrences of a time in which no server was up: ``"all"``: each
            is run, in order; ``"latest"``: the newest one is; ``"none"``.
        max_catchup: How many missed occurrences are run at the most, the newest ones.
    """

    cron: str | None = None
    interval: float | None = None
    rrule: str | None = None
    timezone: str | None = None
    anchor_date: str | None = None
    day_or: bool = True
    active: bool = True
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    slug: str | None = None
    catchup: str = "all"
    max_catchup: int | None = None

    @property
    def text(self) -> str:
        """What it says, for people."""
        if self.cron is not None:
            said = f"cron {self.cron}"
        elif self.interval is not None:
            said = f"every {self.interval:g} s"
        else:
            said = f"rrule {' '.join((self.rrule or '').split())}"
        return said if self.timezone is None else f"{said} ({self.timezone})"

    def same_times(self, other: "Schedule") -> bool:
        """Whether another one has the same occurrences, as far as their texts tell."""
        return _times(self) == _times(other)


def _times(one: Schedule) -> tuple[object, ...]:
    return one.cron, one.interval, one.rrule, one.timezone, one.anchor_date, one.day_or


class DeploymentSchedule(Struct, kw_only=True):
    """A schedule of a deployment, as it is stored.

    Attributes:
        id: UUIDv7.
        deployment_id: Its deployment.
        slug: Its name within the deployment.
        schedule: When it fires, and with what.
        cursor: All occurrences up to this instant were dealt with, seconds since the epoch.
        next: The first occurrence after ``cursor``; None where it is paused, or fires no more.
        version: Counts its changes; what compare-and-set compares.
        created: Seconds since the epoch.
        updated: When it was last created, changed, paused or resumed.
        deployment: ``"flow/name"``, where it is shown.
        upcoming: Its next occurrences, where it is shown.
    """

    id: str
    deployment_id: str
    slug: str
    schedule: Schedule
    cursor: float
    next: float | None = None
    version: int = 0
    created: float = 0.0
    updated: float = 0.0
    deployment: str = ""
    upcoming: list[float] = field(default_factory=list[float])


class Backfill(Struct, kw_only=True):
    """Runs of a deployment for the occurrences of a period.

    Attributes:
        id: UUIDv7; the ``schedule_id`` of its runs.
        deployment_id: Its deployment.
        key: Hash of what was asked for: the same again is the same backfill.
        schedule: Which instants there are, and the parameters over the deployment's.
        start: First instant that counts, seconds since the epoch.
        stop: First instant that does not count any more.
        limit: Runs at a time.
        param_instant: Parameter that takes the run's instant, as ISO 8601 in the time zone.
        total: Number of its instants.
        made: Runs made so far.
        cursor: Instant of the newest run that was made; before ``start`` where none was.
        state: One of `BACKFILL_STATES`.
        version: Counts its changes; what compare-and-set compares.
        created: Seconds since the epoch.
        updated: Seconds since the epoch.
        deployment: ``"flow/name"``, where it is shown.
        open: Its runs that are not over, where it is shown.
    """

    id: str
    deployment_id: str
    key: str
    schedule: Schedule
    start: float
    stop: float
    limit: int
    total: int
    cursor: float
    param_instant: str | None = None
    made: int = 0
    state: str = "RUNNING"
    version: int = 0
    created: float = 0.0
    updated: float = 0.0
    deployment: str = ""
    open: int = 0
