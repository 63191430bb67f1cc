"""Times and schedules on the command line."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from stoker.domain.schedules import DeploymentSchedule

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)


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
