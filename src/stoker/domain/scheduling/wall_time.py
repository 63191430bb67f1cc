"""Wall times of a time zone as instants, where clocks are set forward and back too."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

from stoker.domain.errors import Invalid

LAST_YEAR = 9000
"""No occurrence is looked for after it: a wall time has four digits for the year."""

EARLIEST, LATEST = -6e10, 2.2e11
"""Instants before and after all that anyone schedules, well within the calendar."""

EPOCH = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
"""As a wall time, without a zone: what adds up is what the clocks on walls show."""


def zone_of(name: str | None) -> ZoneInfo:
    """Return a time zone by its IANA name; UTC for None.

    Raises:
        Invalid: There is none of that name.
    """
    try:
        return ZoneInfo("UTC" if name is None else name)
    # A name that is a folder, or leaves it, or is no name at all.
    except (KeyError, ValueError, OSError):
        raise Invalid(
            f"timezone: there is no time zone {name!r}; it takes IANA names, for example "
            "'Europe/Berlin' or 'UTC'"
        ) from None


def instant_of(text: str, timezone: str | None, field: str) -> float:
    """Return the instant of a text; without an offset it is a wall time of a time zone.

    Args:
        text: ISO 8601.
        timezone: IANA name; UTC for None.
        field: What it is, for the error.

    Raises:
        Invalid: It is no date and time, or one of the first or the ninetieth century.

    Example:
        >>> instant_of("1970-01-02", "Europe/Berlin", "from")
        82800.0
    """
    zone = zone_of(timezone)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"{field}: {text!r} is no date and time; it takes ISO 8601, for example "
            "'2026-01-31T09:00:00+01:00' or '2026-01-31'"
        ) from None
    offset = found.utcoffset()
    wall = found.replace(tzinfo=None)
    if not 100 <= found.year <= 8900:
        raise Invalid(f"{field}: {text!r} is not of the years 100 to 8900")
    return first_instant(wall, zone) if offset is None else (wall - EPOCH - offset).total_seconds()


def wall_of(instant: float, zone: ZoneInfo) -> datetime:
    """Return what the clock on the wall shows at an instant (without a time zone)."""
    utc = EPOCH.replace(tzinfo=UTC) + timedelta(seconds=instant)
    return utc.astimezone(zone).replace(tzinfo=None, fold=0)


def moment(instant: float, zone: ZoneInfo) -> str:
    """Return an instant as ISO 8601 with the zone's offset.

    Example:
        >>> moment(0.0, zone_of("Europe/Berlin"))
        '1970-01-01T01:00:00+01:00'
    """
    utc = EPOCH.replace(tzinfo=UTC) + timedelta(seconds=instant)
    return utc.astimezone(zone).isoformat()


def first_instant(wall: datetime, zone: ZoneInfo) -> float:
    """Return the instant of a wall time: the first of two, where clocks are set back.

    Where clocks are set forward over it, it is the instant at which they are.
    """
    early, late = _both(wall, zone)
    return early if early <= late else _jump(late, early, zone)


def first_wall(after: float, zone: ZoneInfo, *, twice: bool) -> datetime:
    """Return a wall time from which on all those after an instant are found; see `instants`."""
    wall = wall_of(after, zone)
    if twice:
        early, late = _both(wall, zone)
        # In the hour that is repeated later, what was before will be once more.
        return wall - timedelta(seconds=max(0.0, late - early))
    return wall


def instants(walls: Iterator[datetime], zone: ZoneInfo, *, twice: bool) -> Iterator[float]:
    """Turn ascending wall times into ascending instants, each of them once.

    Args:
        walls: Wall times without a time zone.
        zone: Where the wall is.
        twice: Whether a time that the clock shows twice stands for both instants, or for the
            first one.
    """
    again: list[float] = []
    last = float("-inf")
    for wall in walls:
        if wall.year > LAST_YEAR:
            break
        early, late = _both(wall, zone)
        found = early if early <= late else _jump(late, early, zone)
        while again and again[0] <= found:
            second = heappop(again)
            if second > last:
                yield (last := second)
        if found > last:
            yield (last := found)
        if twice and late > early:
            heappush(again, late)
    while again:
        second = heappop(again)
        if second > last:
            yield (last := second)


def _both(wall: datetime, zone: ZoneInfo) -> tuple[float, float]:
    """The instants of a wall time by the offset before and after a change; mostly the same."""
    early = wall.replace(tzinfo=zone, fold=0)
    late = wall.replace(tzinfo=zone, fold=1)
    before, after = early.utcoffset(), late.utcoffset()
    since = wall - EPOCH
    if before is None or after is None:
        raise AssertionError("a zone knows its offset")
    return (since - before).total_seconds(), (since - after).total_seconds()


def _jump(before: float, after: float, zone: ZoneInfo) -> float:
    """The instant between two, to the second, at which the clocks are set forward."""
    offset = _offset(before, zone)
    low, high = int(before), int(after)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return float(high)


def _offset(instant: float, zone: ZoneInfo) -> timedelta | None:
    return (EPOCH.replace(tzinfo=UTC) + timedelta(seconds=instant)).astimezone(zone).utcoffset()
