"""Recurrence rules of RFC 5545, whole or as sets, read line by line."""

import re
from collections.abc import Iterator
from datetime import datetime
from heapq import merge
from itertools import count

from msgspec import Struct

from stoker.domain.errors import Invalid
from stoker.domain.scheduling.intervals import anchor_of
from stoker.domain.scheduling.recurrence import read_rule
from stoker.domain.scheduling.wall_time import (
    EARLIEST,
    EPOCH,
    LAST_YEAR,
    first_instant,
    first_wall,
    instants,
    wall_of,
    zone_of,
)

LONGEST = 6500
"""Characters of a text; Prefect's bound."""

EXCLUDED = 700_000
"""Occurrences in a row that others exclude, after which no more is looked for.

That is above a week of seconds.
"""

_HELP = "for example 'FREQ=DAILY;BYHOUR=9' or 'DTSTART:20260101T090000 RRULE:FREQ=WEEKLY'"


class RRuleSchedule(Struct, frozen=True, kw_only=True):
    """Wall times that rules give, less those that others exclude.

    Attributes:
        rrule: Its lines, parted by line breaks or blanks.
        timezone: IANA name; else that of ``DTSTART;TZID=…``, else UTC.
        anchor_date: Start, where there is no ``DTSTART``.

    Raises:
        Invalid: `check`, where it is impossible.
    """

    rrule: str
    timezone: str | None = None
    anchor_date: str | None = None

    def check(self) -> None:
        """Refuse what cannot be read, or never fires."""
        lines = _Lines(self)
        for rule in (*lines.rules, *lines.excluded):
            rule.check()
        if next(self.occurrences(EARLIEST), None) is None:
            raise Invalid(f"rrule: {self.rrule!r} never fires")

    def occurrences(self, after: float) -> Iterator[float]:
        """Yield the instants after one, seconds since the epoch."""
        lines = _Lines(self)
        twice = bool(lines.rules) and all(rule.hourly for rule in lines.rules)
        start = first_wall(after, lines.zone, twice=twice)
        found = instants(lines.walls(start), lines.zone, twice=twice)
        return (instant for instant in found if instant > after)


class _Lines:
    """What the lines say, as wall times of one time zone."""

    def __init__(self, schedule: RRuleSchedule) -> None:
        text = schedule.rrule.replace("\\n", "\n")
        if len(text) > LONGEST:
            raise Invalid(f"rrule: {LONGEST} characters at the most, not {len(text)}")
        lines = [_split(line) for line in text.split()]
        zones = [zone for name, zone, _ in lines if name == "DTSTART" and zone]
        self._name = schedule.timezone or (zones[0] if zones else None)
        self.zone = zone_of(self._name)
        self.dates: list[datetime] = []
        self.without: set[datetime] = set()
        rules: list[str] = []
        excluded: list[str] = []
        start = None
        for name, zone, value in lines:
            if name == "RRULE":
                rules.append(value)
            elif name == "EXRULE":
                excluded.append(value)
            elif name == "DTSTART":
                start = self._wall(value, zone)
            else:
                walls = [self._wall(one, zone) for one in value.split(",")]
                self.dates.extend(walls) if name == "RDATE" else self.without.update(walls)
        if not rules and not self.dates:
            raise Invalid(f"rrule: {schedule.rrule!r} has no rule; {_HELP}")
        if start is None:
            start = wall_of(anchor_of(schedule.anchor_date, self._name), self.zone)
        self.dates.sort()
        self.rules = [read_rule(one, start, self._until) for one in rules]
        self.excluded = [read_rule(one, start, self._until) for one in excluded]

    def walls(self, start: datetime) -> Iterator[datetime]:
        """Yield the wall times from about ``start`` on, ascending."""
        sources = [rule.walls(start) for rule in self.rules]
        excluded = merge(*(rule.walls(start) for rule in self.excluded))
        hidden = next(excluded, None)
        in_a_row = count(1)
        for wall in merge(iter(self.dates), *sources):
            while hidden is not None and hidden < wall:
                hidden = next(excluded, None)
            if wall != hidden and wall not in self.without:
                in_a_row = count(1)
                yield wall
            elif next(in_a_row) > EXCLUDED or wall.year > LAST_YEAR:
                return

    def _until(self, value: str) -> datetime:
        return self._wall(value, None)

    def _wall(self, value: str, zone: str | None) -> datetime:
        text = value.upper()
        try:
            if not _DATE.fullmatch(text):
                raise ValueError
            found = datetime.fromisoformat(text.removesuffix("Z"))
            if not 100 <= found.year <= LAST_YEAR:
                raise ValueError
        except ValueError:
            raise Invalid(
                f"rrule: {value!r} is no date; it takes the forms 20260131T090000, "
                "20260131T090000Z (UTC) and 20260131"
            ) from None
        if text.endswith("Z"):
            return wall_of((found - EPOCH).total_seconds(), self.zone)
        if zone is not None and zone != self._name:
            return wall_of(first_instant(found, zone_of(zone)), self.zone)
        return found


_DATE = re.compile(r"\d{8}(T\d{6}Z?)?", re.ASCII)
_NAMES = ("RRULE", "EXRULE", "DTSTART", "RDATE", "EXDATE")


def _split(line: str) -> tuple[str, str | None, str]:
    """Return a line's name, time zone and value."""
    head, colon, value = line.partition(":")
    if not colon:
        return "RRULE", None, line
    name, *options = head.split(";")
    zone = None
    for option in options:
        if option.upper().startswith("TZID="):
            zone = option[5:]
    if name.upper() not in _NAMES:
        raise Invalid(f"rrule: {name!r} is not known; lines begin with {', '.join(_NAMES)}")
    return name.upper(), zone, value
