"""Intervals from an anchor on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from math import floor, isfinite

from msgspec import Struct

from stoker.domain.errors import Invalid
from stoker.domain.scheduling.wall_time import instant_of, instants, wall_of, zone_of

DAY = 86_400
MICRO = 1_000_000
ANCHOR = "2020-01-01T00:00:00"
"""Where intervals and rules start that name no start: this wall time of their time zone."""

LONGEST = 100 * 366 * DAY


class IntervalSchedule(Struct, frozen=True, kw_only=True):
    """Instants at equal distances from an anchor, before it and after it.

    Intervals below a day are elapsed time. From a day on they are counted on the wall's clock, so
    that a run at nine stays at nine when clocks are set.

    Attributes:
        interval: Seconds, 1 or more.
        anchor_date: One of the instants, ISO 8601; `ANCHOR` for None. Without an offset it is a
            wall time of the time zone.
        timezone: IANA name; UTC for None.

    Raises:
        Invalid: `check`, where it is impossible.
    """

    interval: float
    anchor_date: str | None = None
    timezone: str | None = None

    def check(self) -> None:
        """Refuse a distance or an anchor that is impossible."""
        zone_of(self.timezone)
        if not isfinite(self.interval) or not 1 <= self.interval <= LONGEST:
            raise Invalid(
                f"interval: must be 1 second or more (and 100 years or less), not {self.interval:g}"
            )
        anchor_of(self.anchor_date, self.timezone)

    def occurrences(self, after: float) -> Iterator[float]:
        """Yield the instants after one, seconds since the epoch."""
        anchor = anchor_of(self.anchor_date, self.timezone)
        step = round(self.interval * MICRO)
        if step < DAY * MICRO:
            first = round(anchor * MICRO)
            # One earlier: what is after is compared exactly below.
            start = floor((after * MICRO - first) / step)
            found = ((first + number * step) / MICRO for number in count(start))
        else:
            zone = zone_of(self.timezone)
            begin, distance = wall_of(anchor, zone), timedelta(microseconds=step)
            # A clock that is set may go a day wrong at the most: where the date line moves.
            start = (wall_of(after, zone) - begin) // distance - 2
            found = instants(_walls(begin, distance, start), zone, twice=False)
        return (instant for instant in found if instant > after)


def _walls(begin: datetime, distance: timedelta, start: int) -> Iterator[datetime]:
    for number in count(start):
        try:
            yield begin + number * distance
        except OverflowError:
            if number > 0:
                return


def anchor_of(text: str | None, timezone: str | None) -> float:
    """Return the instant of an anchor, `ANCHOR` by default.

    Raises:
        Invalid: It is no date and time.
    """
    return instant_of(ANCHOR if text is None else text, timezone, "anchor_date")
