"""Cron expressions."""

from collections.abc import Iterator
from datetime import datetime

from cronsim import CronSim, CronSimError
from msgspec import Struct

from stoker.domain.errors import Invalid
from stoker.domain.scheduling.wall_time import EPOCH, first_wall, instants, zone_of

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_SOME_DAY = EPOCH.replace(year=2000)
_FIELDS = "minute hour day-of-month month day-of-week"


class CronSchedule(Struct, frozen=True, kw_only=True):
    """Wall times that fit five fields.

    One that fits every hour goes on through the hour that is repeated when clocks are set back,
    since it is meant to be run each hour that passes. Any other one fires at the first pass alone.

    Attributes:
        cron: The fields, or one of `ALIASES`.
        timezone: IANA name; UTC for None.
        day_or: Whether it fires where either of two restricted day fields fits, or where both do.

    Raises:
        Invalid: `check`, where it is impossible.
    """

    cron: str
    timezone: str | None = None
    day_or: bool = True

    def check(self) -> None:
        """Refuse what cannot be read, or never fires."""
        zone_of(self.timezone)
        # 400 years later the calendar is the same; nothing waits longer than 50.
        if next(iter(self._fields(_SOME_DAY)), None) is None:
            raise Invalid(f"cron: {self.cron!r} never fires: no date fits its days and months")

    def occurrences(self, after: float) -> Iterator[float]:
        """Yield the instants after one, seconds since the epoch."""
        zone = zone_of(self.timezone)
        twice = len(self._fields(_SOME_DAY).hours) == 24
        start = first_wall(after, zone, twice=twice)
        found = instants(self._fields(start), zone, twice=twice)
        return (instant for instant in found if instant > after)

    def _fields(self, start: datetime) -> CronSim:
        text = ALIASES.get(self.cron.strip().lower(), self.cron)
        if len(text.split()) != 5:
            raise Invalid(
                f"cron: {self.cron!r} has not five fields: {_FIELDS}; for example "
                f"'0 9 * * 1-5', or one of {', '.join(ALIASES)}"
            )
        try:
            found = CronSim(text, start)
        except CronSimError as error:
            what = str(error).removeprefix("Bad ")
            raise Invalid(
                f"cron: {self.cron!r} has an impossible {what}; fields are {_FIELDS}, "
                "in the ranges 0-59, 0-23, 1-31, 1-12, 0-7 (Sunday is 0 and 7)"
            ) from None
        if not self.day_or:
            found.day_and = True
        return found
