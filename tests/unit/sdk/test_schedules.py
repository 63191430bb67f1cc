"""`stoker.schedules`, and the options of deployments that are made of it."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from stoker import flow
from stoker.domain.errors import Invalid
from stoker.domain.schedules import Schedule
from stoker.schedules import Cron, Interval, RRule


@flow
def etl(day: str = "") -> None: ...


def test_the_three_kinds():
    assert Cron("0 9 * * *", timezone="Europe/Berlin", parameters={"day": date(2026, 1, 2)}) == (
        Schedule(cron="0 9 * * *", timezone="Europe/Berlin", parameters={"day": "2026-01-02"})
    )
    assert Interval(timedelta(minutes=5), anchor_date=datetime(2026, 1, 2, tzinfo=UTC)) == (
        Schedule(interval=300.0, anchor_date="2026-01-02T00:00:00+00:00")
    )
    assert RRule("FREQ=DAILY", slug="d", active=False, catchup="none") == (
        Schedule(rrule="FREQ=DAILY", slug="d", active=False, catchup="none")
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cron("* * *"), "cron: .* has not five fields"),
        (lambda: Cron("@daily", timezone="Moon"), "timezone: there is no time zone 'Moon'"),
        (lambda: Interval(0), "interval: must be 1 second or more"),
        (lambda: Interval(timedelta(-1)), "interval: must be 1 second or more"),
        (lambda: RRule("FREQ=NEVER"), "rrule: FREQ is one of"),
    ],
)
def test_what_is_impossible_says_so_where_it_is_written(make, message):
    with pytest.raises(Invalid, match=message):
        make()


def test_a_deployment_is_described_with_its_schedules():
    assert etl.to_deployment("d").schedules is None
    assert etl.to_deployment("d", schedules=[]).schedules == []
    assert etl.to_deployment("d", cron="@daily").schedules == [Cron("@daily")]
    described = etl.to_deployment(
        "d",
        cron=["@daily", "@hourly"],
        interval=timedelta(hours=1),
        rrule="FREQ=DAILY",
        schedule=Cron("@weekly"),
        schedules=[Interval(5)],
    )
    assert described.schedules == [
        Cron("@daily"),
        Cron("@hourly"),
        Interval(3600),
        RRule("FREQ=DAILY"),
        Cron("@weekly"),
        Interval(5),
    ]


def test_what_is_no_schedule_is_refused():
    with pytest.raises(TypeError, match="schedules: takes what Cron"):
        etl.to_deployment("d", schedules=["@daily"])  # type: ignore[list-item]


def test_flows_without_schedules_load_nothing_of_them():
    code = (
        "import sys; from stoker import flow; import stoker.domain.schedules\n"
        "found = {'cronsim', 'dateutil', 'zoneinfo', 'stoker.schedules'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
