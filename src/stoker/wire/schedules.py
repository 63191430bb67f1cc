"""Bodies of the HTTP API that are about schedules and backfills."""

from typing import Any

from msgspec import Struct, field

from stoker.domain.schedules import Backfill, Schedule


class SchedulePatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PATCH /api/deployments/{flow}/{name}/schedules/{slug}``."""

    active: bool


class BackfillStart(Struct, kw_only=True):
    """Body of ``POST /api/deployments/{flow}/{name}/backfills``.

    Attributes:
        start: First instant that counts, ISO 8601; without an offset in the schedule's time zone.
        stop: First instant that does not count any more.
        schedule: Which instants there are; None for those of ``slug``.
        slug: A schedule of the deployment.
        parameters: Over the deployment's and the schedule's.
        limit: Runs at a time.
        param_instant: Parameter that takes the run's instant, as ISO 8601.
        dry_run: Whether to say which runs there would be, and make none.
    """

    start: str
    stop: str
    schedule: Schedule | None = None
    slug: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    limit: int = 10
    param_instant: str | None = None
    dry_run: bool = False


class BackfillAnswer(Struct, kw_only=True):
    """Its answer.

    Attributes:
        backfill: The new one, or the one that was asked for in the same words before; None where
            it was a dry run.
        total: Number of its instants.
        instants: The first of them, seconds since the epoch.
        timezone: IANA name of the time zone that they are meant in.
    """

    backfill: Backfill | None
    total: int
    instants: list[float]
    timezone: str
