"""Times and schedules on the command line."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

from stoker.domain.schedules import DeploymentSchedule, Schedule

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)

SCHEDULE_FIELDS = {
    "cron": "--cron",
    "interval": "--interval",
    "rrule": "--rrule",
    "timezone": "--timezone",
    "anchor_date": "--anchor",
}
"""Which option a field of a schedule comes from."""


def seconds_of(text: str, option: str) -> float:
    """Read a span of time.

    Raises:
        BadParameter: It is none.

    Example:
        >>> seconds_of("90", "--every"), seconds_of("15m", "--every"), seconds_of("1d", "--every")
        (90.0, 900.0, 86400.0)
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise click.BadParameter(
            f"{text!r} is no span of time; it takes a number with s, m, h, d or w, for example "
            "90s, 15m, 1d",
            param_hint=option,
        )
    return float(found[1]) * _UNITS[found[2].lower()]


def start_of(start_at: str | None, start_in: str | None) -> float | None:
    """Read from when a run may begin, of ``--start-at`` and ``--start-in``; None for at once.

    Raises:
        UsageError: Both are there.
        BadParameter: One is no time.

    Example:
        >>> start_of("1970-01-02T01:00+01:00", None)
        86400.0
    """
    if start_at is not None and start_in is not None:
        raise click.UsageError("give one of --start-at and --start-in")
    if start_in is not None:
        return time.time() + seconds_of(start_in, "--start-in")
    if start_at is None:
        return None
    try:
        at = datetime.fromisoformat(start_at)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{start_at!r} is no date and time; it takes ISO 8601, for example "
            "2026-01-31T09:00:00+01:00 or 2026-01-31T09:00 (UTC)",
            param_hint="--start-at",
        ) from None


def schedules_given(
    crons: Sequence[str],
    intervals: Sequence[str],
    rrules: Sequence[str],
    timezone: str | None,
    anchor: str | None,
) -> list[Schedule] | None:
    """Return the schedules that options of ``stoker deploy`` name; None where none does.

    Raises:
        UsageError: A time zone or an anchor belongs to nothing.
        BadParameter: An interval is no span of time.
    """
    if timezone is not None and not (crons or intervals or rrules):
        raise click.UsageError("--timezone belongs to --cron, --interval or --rrule")
    if anchor is not None and not (intervals or rrules):
        raise click.UsageError("--anchor belongs to --interval or --rrule")
    found = [Schedule(cron=one, timezone=timezone) for one in crons]
    found += [
        Schedule(interval=seconds_of(one, "--interval"), timezone=timezone, anchor_date=anchor)
        for one in intervals
    ]
    found += [Schedule(rrule=one, timezone=timezone, anchor_date=anchor) for one in rrules]
    return found or None


def shown(instant: float | None, timezone: str | None) -> str | None:
    """An instant as the clock on the wall of a time zone shows it, with its offset."""
    if instant is None:
        return None
    at = datetime.fromtimestamp(instant, ZoneInfo(timezone or "UTC"))
    return at.isoformat(" ", "seconds")


def summary(one: DeploymentSchedule) -> str:
    """A schedule on one line, with its next occurrences."""
    if not one.schedule.active:
        return f"{one.slug}: {one.schedule.text}, paused"
    times = [shown(instant, one.schedule.timezone) for instant in one.upcoming[:3]]
    upcoming = ", ".join(str(time) for time in times) or "never again"
    return f"{one.slug}: {one.schedule.text}, next {upcoming}"
