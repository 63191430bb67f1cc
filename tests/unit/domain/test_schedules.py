"""Occurrences: compared with a clock on the wall that is read minute by minute."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.domain.errors import Invalid
from stoker.domain.schedules import Schedule
from stoker.domain.scheduling.timing import check, next_after, occurrences

MINUTE, HOUR, DAY = 60, 3600, 86_400

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # clocks were set at midnight
    "America/Havana",
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
    "Pacific/Apia",  # left out a day in 2011
    "Africa/Casablanca",
    "Asia/Kathmandu",
)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def utc(instants: object) -> list[str]:
    found = [datetime.fromtimestamp(one, UTC) for one in instants]  # type: ignore[attr-defined]
    return [one.isoformat(" ", "minutes").removesuffix("+00:00") for one in found]


@cache
def changes(zone: str) -> list[int]:
    """Instants of 1995 to 2035, to the day, by which the clocks of a zone were set."""
    place, found, last = ZoneInfo(zone), [], None
    for day in range(9131, 24_000):
        offset = datetime.fromtimestamp(day * DAY, place).utcoffset()
        if last is not None and offset != last:
            found.append(day * DAY)
        last = offset
    return found or [11_574 * DAY]


def read_off(
    fits: Callable[[datetime], bool], zone: str, start: int, stop: int, *, twice: bool
) -> list[float]:
    """What fires in (start, stop], by looking at the wall's clock at each minute."""
    place = ZoneInfo(zone)
    fired: list[float] = []
    seen: set[datetime] = set()
    last = None
    for instant in range(start - 2 * DAY, stop + 1, MINUTE):
        wall = datetime.fromtimestamp(instant, UTC).astimezone(place).replace(tzinfo=None, fold=0)
        due = fits(wall) and (twice or wall not in seen)
        skipped = last + timedelta(minutes=1) if last is not None else wall
        while skipped < wall:
            due = due or fits(skipped)
            skipped += timedelta(minutes=1)
        seen.add(wall)
        last = wall
        if due and instant > start:
            fired.append(float(instant))
    return fired


@st.composite
def windows(draw: st.DrawFn) -> tuple[str, int, int]:
    """A zone, and a time of it in which its clocks are set (where they ever are)."""
    zone = draw(st.sampled_from(ZONES))
    change = draw(st.sampled_from(changes(zone)))
    start = change - draw(st.integers(1, 40)) * HOUR - draw(st.integers(0, 59)) * MINUTE
    return zone, start, start + draw(st.integers(1, 70)) * HOUR


def some(low: int, high: int) -> st.SearchStrategy[set[int]]:
    return st.sets(st.integers(low, high), min_size=1, max_size=4)


def field(values: set[int] | None) -> str:
    return "*" if values is None else ",".join(map(str, sorted(values)))


def pieces(schedule: Schedule, start: float, stop: float, cuts: list[float]) -> list[float]:
    """The occurrences of a time, asked for piece by piece."""
    found: list[float] = []
    for end in [*sorted(start + cut * (stop - start) for cut in cuts), stop]:
        found += occurrences(schedule, start, until=end)
        start = end
    return found


CUTS = st.lists(st.floats(0, 1), max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    windows(), some(0, 59), st.none() | some(0, 23), st.none() | some(1, 31), st.booleans(), CUTS
)
def test_cron_fires_as_the_clock_on_the_wall_says(
    window: tuple[str, int, int],
    minutes: set[int],
    hours: set[int] | None,
    days: set[int] | None,
    every_minute: bool,
    cuts: list[float],
) -> None:
    zone, start, stop = window
    some_minutes = None if every_minute else minutes
    cron = f"{field(some_minutes)} {field(hours)} {field(days)} * *"

    def fits(wall: datetime) -> bool:
        return (
            (some_minutes is None or wall.minute in some_minutes)
            and (hours is None or wall.hour in hours)
            and (days is None or wall.day in days)
        )

    expected = read_off(fits, zone, start, stop, twice=hours is None)
    schedule = Schedule(cron=cron, timezone=zone)
    assert list(occurrences(schedule, start, until=stop)) == expected
    assert pieces(schedule, start, stop, cuts) == expected


@settings(max_examples=40, deadline=None)
@given(windows(), st.integers(1, 3), st.integers(0, 1439), CUTS)
def test_intervals_of_days_keep_the_time_on_the_wall(
    window: tuple[str, int, int], days: int, minute: int, cuts: list[float]
) -> None:
    zone, start, stop = window
    anchor = datetime.fromisoformat("2004-05-06") + timedelta(minutes=minute)

    def fits(wall: datetime) -> bool:
        return (wall - anchor) % timedelta(days=days) == timedelta(0)

    expected = read_off(fits, zone, start, stop, twice=False)
    schedule = Schedule(interval=days * DAY, anchor_date=anchor.isoformat(), timezone=zone)
    assert list(occurrences(schedule, start, until=stop)) == expected
    assert pieces(schedule, start, stop, cuts) == expected


@settings(max_examples=40, deadline=None)
@given(
    windows(),
    st.sampled_from(["DAILY", "HOURLY", "MINUTELY"]),
    st.none() | some(0, 23),
    some(0, 59),
    CUTS,
)
def test_rrules_fire_as_the_clock_on_the_wall_says(
    window: tuple[str, int, int],
    frequency: str,
    hours: set[int] | None,
    minutes: set[int],
    cuts: list[float],
) -> None:
    zone, start, stop = window
    rule = f"FREQ={frequency};BYMINUTE={field(minutes)}"
    if hours is not None:
        rule += f";BYHOUR={field(hours)}"
    # The start's own hour, where none is named.
    when = {0} if hours is None and frequency == "DAILY" else hours

    def fits(wall: datetime) -> bool:
        return wall.minute in minutes and (when is None or wall.hour in when)

    expected = read_off(fits, zone, start, stop, twice=when is None)
    schedule = Schedule(rrule=rule, timezone=zone, anchor_date="1990-01-01T00:00:00")
    assert list(occurrences(schedule, start, until=stop)) == expected
    assert pieces(schedule, start, stop, cuts) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(
        [
            {"cron": "*/7 * * * *"},
            {"cron": "15 2 1,15 * 5"},
            {"cron": "0 0 L * *"},
            {"interval": 90.0},
            {"interval": 1.5},
            {"interval": 36 * 3600.0},
            {"rrule": "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=2,23"},
            {"rrule": "DTSTART:19990131T023000 RRULE:FREQ=MONTHLY"},
            {"rrule": "DTSTART:19960229T000000 RRULE:FREQ=YEARLY"},
            {"rrule": "FREQ=WEEKLY;INTERVAL=3;WKST=SU;BYDAY=SU,WE"},
            {"rrule": "FREQ=SECONDLY;INTERVAL=45 EXRULE:FREQ=DAILY"},
            {"rrule": "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=MO,SU"},
        ]
    ),
    st.integers(0, 2**31),
    st.integers(1, 12),
)
def test_occurrences_ascend_and_do_not_depend_on_where_one_begins(
    zone: str, times: dict[str, object], start: int, count: int
) -> None:
    schedule = Schedule(timezone=zone, **times)  # type: ignore[arg-type]
    found = list(occurrences(schedule, start, limit=count))
    assert len(found) == count
    assert found[0] > start
    assert all(one < two for one, two in pairwise(found))
    step_by_step, instant = [], float(start)
    for _ in range(count):
        instant = next_after(schedule, instant) or 0.0
        step_by_step.append(instant)
    assert step_by_step == found


def test_where_clocks_are_set_forward_what_is_left_out_fires_when_they_are() -> None:
    night = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    assert utc(occurrences(night, at("2026-03-27T12:00Z"), limit=3)) == [
        "2026-03-28 01:30",
        "2026-03-29 01:00",
        "2026-03-30 00:30",
    ]


def test_where_clocks_are_set_back_what_names_an_hour_fires_once() -> None:
    night = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    assert utc(occurrences(night, at("2026-10-24T12:00Z"), limit=2)) == [
        "2026-10-25 00:30",
        "2026-10-26 01:30",
    ]


def test_what_is_hourly_fires_every_hour_that_passes() -> None:
    for hourly in ({"cron": "0 * * * *"}, {"interval": 3600.0}, {"rrule": "FREQ=HOURLY"}):
        schedule = Schedule(timezone="Europe/Berlin", **hourly)  # type: ignore[arg-type]
        for day in ("2026-03-29", "2026-10-25"):
            found = list(occurrences(schedule, at(f"{day}T00:00Z") - 1, limit=6))
            assert found == [at(f"{day}T00:00Z") + hour * HOUR for hour in range(6)]


def test_day_or_says_whether_both_days_have_to_fit() -> None:
    either = Schedule(cron="0 0 13 * 5")
    both = Schedule(cron="0 0 13 * 5", day_or=False)
    start = at("2026-01-01T00:00Z")
    assert utc(occurrences(either, start, limit=2)) == ["2026-01-02 00:00", "2026-01-09 00:00"]
    assert utc(occurrences(both, start, limit=2)) == ["2026-02-13 00:00", "2026-03-13 00:00"]


def test_sets_of_rules_and_their_ends() -> None:
    schedule = Schedule(
        rrule="DTSTART;TZID=America/New_York:20260101T090000\n"
        "RRULE:FREQ=DAILY;UNTIL=20260104T150000Z\nRDATE:20260110T120000\nEXDATE:20260102T090000"
    )
    check(schedule)
    assert utc(occurrences(schedule, 0)) == [
        "2026-01-01 14:00",
        "2026-01-03 14:00",
        "2026-01-04 14:00",
        "2026-01-10 17:00",
    ]
    counted = Schedule(rrule="DTSTART:20260101T000000 RRULE:FREQ=DAILY;COUNT=3")
    assert len(list(occurrences(counted, 0))) == 3


@pytest.mark.parametrize(
    ("wrong", "field_and_help"),
    [
        ({"cron": "61 * * * *"}, "cron: '61 * * * *' has an impossible minute"),
        ({"cron": "0 9 * *"}, "cron: '0 9 * *' has not five fields"),
        ({"cron": "0 0 30 2 *"}, "cron: '0 0 30 2 *' has an impossible day-of-month"),
        ({"cron": "0 0 31 4 1#1", "day_or": False}, "never fires"),
        ({"cron": "* * * * *", "timezone": "Mars/Base"}, "timezone: there is no time zone"),
        ({"cron": "* * * * *", "timezone": "../../etc/passwd"}, "timezone: there is no"),
        ({"cron": "* * * * *", "timezone": ""}, "timezone: there is no time zone ''"),
        ({"cron": "@daily", "anchor_date": "2026-01-01"}, "anchor_date: belongs to an interval"),
        ({"interval": 0.0}, "interval: must be 1 second or more"),
        ({"interval": -3.0}, "interval: must be 1 second or more"),
        ({"interval": float("nan")}, "interval: must be 1 second or more"),
        ({"interval": 60.0, "anchor_date": "soon"}, "anchor_date: 'soon' is no date and time"),
        ({"rrule": ""}, "rrule: '' has no rule"),
        ({"rrule": "FREQ=OFTEN"}, "rrule: FREQ is one of YEARLY, MONTHLY"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "rrule: INTERVAL is a number of 1 to"),
        ({"rrule": "FREQ=DAILY;BYHOUR=24"}, "rrule: BYHOUR takes numbers of 0 to 23"),
        ({"rrule": "FREQ=DAILY;BYMONTHDAY=0"}, "rrule: BYMONTHDAY takes numbers of -31 to 31"),
        ({"rrule": "FREQ=DAILY;NEVER=1"}, "rrule: 'NEVER=1' is not known"),
        ({"rrule": "FREQ=DAILY;BYDAY=XX"}, "rrule: 'FREQ=DAILY;BYDAY=XX' cannot be read"),
        ({"rrule": "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"}, "so that it never fires"),
        ({"rrule": "FREQ=DAILY;UNTIL=20190101T000000"}, "never fires"),
        ({"rrule": "FREQ=DAILY;UNTIL=then"}, "rrule: 'THEN' is no date"),
        ({"rrule": "SUMMARY:x FREQ=DAILY"}, "rrule: 'SUMMARY' is not known"),
        ({"rrule": "X" * 7000}, "rrule: 6500 characters at the most"),
        ({}, "one of cron, interval and rrule, not none"),
        ({"cron": "@daily", "interval": 5.0}, "one of cron, interval and rrule, not cron and"),
        ({"cron": "@daily", "catchup": "some"}, "catchup: one of all, latest, none"),
        ({"cron": "@daily", "max_catchup": 0}, "max_catchup: 1 or more"),
    ],
)
def test_what_is_impossible_is_refused_in_one_line(
    wrong: dict[str, object], field_and_help: str
) -> None:
    with pytest.raises(Invalid) as caught:
        check(Schedule(**wrong))  # type: ignore[arg-type]
    assert field_and_help in str(caught.value)
    assert "\n" not in str(caught.value)
