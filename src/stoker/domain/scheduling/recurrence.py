"""One recurrence rule: its parts, checked, and its wall times from any time on.

dateutil counts from a rule's start, to the end of the calendar where nothing fits. So a start is
moved near to what is asked for, and what never fits is found before.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from dateutil.rrule import rrulestr
from msgspec import Struct

from stoker.domain.errors import Invalid
from stoker.domain.scheduling.wall_time import EPOCH

LENGTHS = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3600, "DAILY": 86_400, "WEEKLY": 7 * 86_400}
"""Seconds between two periods of the frequencies of which all are equally long."""

FREQUENCIES = ("YEARLY", "MONTHLY", *reversed(LENGTHS))

MOST_COUNT = 100_000
MOST_INTERVAL = 1_000_000
MOST_PER_DAY = 1440
"""Times of day of a frequency of days and longer."""

_RANGES = {
    "BYSECOND": (0, 59),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYSETPOS": (-366, 366),
    "BYEASTER": (-366, 366),
}
_BY_DAY = ("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYEASTER")
_KNOWN = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_RANGES)


class Rule(Struct, frozen=True):
    """A rule whose parts were read.

    Attributes:
        parts: Its parts by name.
        start: Its ``DTSTART``, a wall time.
        until: Its end, a wall time.
    """

    parts: dict[str, str]
    start: datetime
    until: datetime | None

    @property
    def frequency(self) -> str:
        """For example ``"DAILY"``."""
        return self.parts["FREQ"]

    @property
    def interval(self) -> int:
        """Every how many periods it fires."""
        return int(self.parts.get("INTERVAL", "1"))

    @property
    def hourly(self) -> bool:
        """Whether it fires each hour in the same way, so that it means time that passes."""
        length = LENGTHS.get(self.frequency, 86_400) * self.interval
        return 3600 % length == 0 and "BYHOUR" not in self.parts and "COUNT" not in self.parts

    def check(self) -> None:
        """Refuse days that no calendar has: the next search for them would take seconds."""
        days = {name: self.parts[name] for name in ("BYMONTH", *_BY_DAY) if name in self.parts}
        if "BYDAY" in days and self.frequency in ("YEARLY", "MONTHLY"):
            # With a number in front it means something else in a rule of days.
            del days["BYDAY"]
        if not days:
            return
        # The calendar repeats itself after 400 years, which end with the last year there is.
        test = Rule({"FREQ": "DAILY", **days}, EPOCH.replace(year=9600), None)
        if next(test.walls(test.start), None) is None:
            raise Invalid(f"rrule: no day fits {_text(days)}, so that it never fires")

    def walls(self, wall: datetime) -> Iterator[datetime]:
        """Yield its wall times, from some before ``wall`` on, ascending."""
        parts, start = self._near(wall)
        # Its end is looked at here: dateutil looks at it only where something fits.
        found = iter(_built(parts, start))
        while True:
            try:
                one = next(found)
            except (StopIteration, OverflowError, ValueError):
                # The last one: intervals and hours that never meet.
                return
            if self.until is not None and one > self.until:
                return
            yield one

    def _near(self, wall: datetime) -> tuple[dict[str, str], datetime]:
        """The rule with a start that is at least a period before ``wall``, and few."""
        parts, start, step = dict(self.parts), self.start, self.interval
        if "COUNT" in parts or wall <= start:
            return parts, start
        length = LENGTHS.get(self.frequency)
        if length is not None:
            period = timedelta(seconds=length * step)
            return parts, start + max(0, (wall - start) // period - 2) * period
        if not any(name in parts for name in _BY_DAY):
            parts["BYMONTHDAY"] = str(start.day)
            if self.frequency == "YEARLY":
                parts.setdefault("BYMONTH", str(start.month))
        if self.frequency == "YEARLY":
            years = ((wall.year - start.year) // step - 1) * step
            return (parts, start.replace(start.year + years, 1, 1)) if years > 0 else (parts, start)
        months = (wall.year - start.year) * 12 + wall.month - start.month
        months = (months // step - 1) * step
        if months <= 0:
            return parts, start
        years, month = divmod(start.month - 1 + months, 12)
        return parts, start.replace(start.year + years, month + 1, 1)


def _built(parts: dict[str, str], start: datetime) -> Iterator[datetime]:
    rule = rrulestr(_text(parts), dtstart=start)
    return iter(rule)


def _text(parts: dict[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items())


def read_rule(text: str, start: datetime, wall: Callable[[str], datetime]) -> Rule:
    """Read a rule.

    Args:
        text: Its parts, for example ``"FREQ=DAILY;BYHOUR=9"``.
        start: Its ``DTSTART``.
        wall: Reads a date.

    Raises:
        Invalid: A part is unknown or impossible; names it.
    """
    parts: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        name, equals, value = part.upper().partition("=")
        name = "BYDAY" if name == "BYWEEKDAY" else name
        if not equals or name not in _KNOWN:
            raise Invalid(f"rrule: {part!r} is not known; a rule's parts are {', '.join(_KNOWN)}")
        parts[name] = value
    if parts.get("FREQ") not in FREQUENCIES:
        raise Invalid(
            f"rrule: FREQ is one of {', '.join(FREQUENCIES)}, not {parts.get('FREQ', 'nothing')!r}"
        )
    _number(parts, "INTERVAL", 1, MOST_INTERVAL)
    _number(parts, "COUNT", 1, MOST_COUNT)
    per_day = 1
    for name, (low, high) in _RANGES.items():
        values = parts[name].split(",") if name in parts else []
        for value in values:
            zero = low < 0 and name != "BYEASTER" and value.strip("+-0") == ""
            if not _is_number(value) or not low <= int(value) <= high or zero:
                allowed = f"{low} to {high}" + (", not 0" if low < 0 else "")
                raise Invalid(f"rrule: {name} takes numbers of {allowed}, not {value!r}")
        if name in ("BYSECOND", "BYMINUTE", "BYHOUR"):
            per_day *= max(1, len(set(values)))
    if LENGTHS.get(parts["FREQ"], 86_400) >= 86_400 and per_day > MOST_PER_DAY:
        raise Invalid(
            f"rrule: {MOST_PER_DAY} times of day at the most, not {per_day}; for more there are "
            "FREQ=MINUTELY and FREQ=SECONDLY"
        )
    until = wall(parts.pop("UNTIL")) if "UNTIL" in parts else None
    rule = Rule(parts, start, until)
    try:
        _built(parts, start)
    except (ValueError, TypeError, KeyError) as error:
        raise Invalid(f"rrule: {text!r} cannot be read: {error}") from None
    return rule


def _number(parts: dict[str, str], name: str, low: int, high: int) -> None:
    value = parts.get(name, str(low))
    if not _is_number(value) or not low <= int(value) <= high:
        raise Invalid(f"rrule: {name} is a number of {low} to {high}, not {value!r}")


def _is_number(value: str) -> bool:
    digits = value.lstrip("+-")
    return (
        digits.isascii() and digits.isdigit() and len(digits) < 10 and len(value) - len(digits) < 2
    )
