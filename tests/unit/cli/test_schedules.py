"""``stoker deployment schedule`` and ``stoker deployment backfill``."""

import pytest

from stoker.domain.schedules import Backfill, DeploymentSchedule, Schedule
from stoker.wire.http import Problem
from stoker.wire.schedules import BackfillAnswer

NINE = DeploymentSchedule(
    id="s1",
    deployment_id="d1",
    slug="nine",
    schedule=Schedule(cron="0 9 * * *", timezone="Europe/Berlin", parameters={"n": 1}, slug="nine"),
    cursor=0.0,
    next=8 * 3600.0,
    upcoming=[8 * 3600.0, 32 * 3600.0],
)
BACKFILL = Backfill(
    id="b1",
    deployment_id="d1",
    deployment="f/d",
    key="k",
    schedule=Schedule(interval=86_400.0),
    start=0.0,
    stop=172_800.0,
    limit=3,
    total=2,
    cursor=-1.0,
)
PATH = "/api/deployments/f/d/schedules"


def test_create_sends_what_was_given(stoker, api):
    api.answer(f"POST {PATH}", NINE, 201)
    out = stoker(
        "deployment", "schedule", "create", "f/d", "--cron", "0 9 * * *", "--timezone",
        "Europe/Berlin", "--param", "n=1", "--slug", "nine", "--inactive", "--catchup", "latest",
        "--max-catchup", "3", "--day-and",
    ).out  # fmt: skip
    assert out == (
        "nine: cron 0 9 * * * (Europe/Berlin), next 1970-01-01 09:00:00+01:00, "
        "1970-01-02 09:00:00+01:00\n"
    )
    assert api.requests[0].json() == {
        "cron": "0 9 * * *",
        "timezone": "Europe/Berlin",
        "parameters": {"n": 1},
        "slug": "nine",
        "active": False,
        "catchup": "latest",
        "max_catchup": 3,
        "day_or": False,
    }


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1.5m", 90.0), ("2h", 7200.0), ("1d", 86_400.0)]
)
def test_an_interval_has_a_unit(stoker, api, text, seconds):
    api.answer(f"POST {PATH}", NINE, 201)
    stoker("deployment", "schedule", "create", "f/d", "--interval", text, "--anchor", "2026-01-01")
    assert api.requests[0].json() == {
        "interval": seconds,
        "anchor_date": "2026-01-01",
        "parameters": {},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--cron", "@daily", "--interval", "5"),
        ("--interval", "soon"),
        ("--interval", "5 moons"),
        ("--cron", "@daily", "--catchup", "some"),
        ("--cron", "@daily", "--max-catchup", "0"),
        ("--cron", "@daily", "--param", "x"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(stoker, api, arguments):
    stoker("deployment", "schedule", "create", "f/d", *arguments, code=2)
    assert not api.requests


def test_schedules_are_listed_paused_resumed_and_deleted(stoker, api):
    api.answer(f"GET {PATH}", [NINE])
    api.answer(f"PATCH {PATH}/nine", NINE)
    out = stoker("deployment", "schedule", "ls", "f/d").out
    assert "1970-01-01 09:00:00+01:00" in out
    assert "n=1" in out
    assert stoker("deployment", "schedule", "ls", "f/d", "--json").json[0]["slug"] == "nine"
    stoker("deployment", "schedule", "pause", "f/d", "nine")
    stoker("deployment", "schedule", "resume", "f/d", "nine")
    stoker("deployment", "schedule", "delete", "f/d", "nine")
    assert [one.json() for one in api.asked(f"PATCH {PATH}/nine")] == [
        {"active": False},
        {"active": True},
    ]
    assert api.asked(f"DELETE {PATH}/nine")
    api.answer(f"GET {PATH}", [])
    assert "No schedules" in stoker("deployment", "schedule", "ls", "f/d").out


def test_a_backfill_starts_by_its_deployments_name(stoker, api):
    answer = BackfillAnswer(backfill=BACKFILL, total=2, instants=[0.0, 86_400.0], timezone="UTC")
    api.answer("POST /api/deployments/f/d/backfills", answer, 201)
    out = stoker(
        "deployment", "backfill", "f/d", "--from", "1970-01-01", "--to", "1970-01-03",
        "--every", "1d", "--limit", "3", "--param-instant", "day", "--param", "x=1",
    ).out  # fmt: skip
    assert "Backfill b1 of f/d: 0 of 2 runs made, 3 at a time, running." in out
    assert api.requests[0].json() == {
        "start": "1970-01-01",
        "stop": "1970-01-03",
        "schedule": {"interval": 86_400.0, "anchor_date": "1970-01-01", "parameters": {}},
        "slug": None,
        "parameters": {"x": 1},
        "limit": 3,
        "param_instant": "day",
        "dry_run": False,
    }


def test_a_dry_run_says_which_runs_there_would_be(stoker, api):
    answer = BackfillAnswer(backfill=None, total=3, instants=[0.0, 86_400.0], timezone="UTC")
    api.answer("POST /api/deployments/f/d/backfills", answer, 201)
    out = stoker(
        "deployment", "backfill", "--dry-run", "f/d", "--from", "1970-01-01", "--to", "1970-01-04",
        "--schedule", "nine",
    ).out  # fmt: skip
    assert out.splitlines() == [
        "1970-01-01 00:00:00+00:00",
        "1970-01-02 00:00:00+00:00",
        "… and 1 more",
        "3 runs of f/d; none was made.",
    ]
    assert api.requests[0].json()["slug"] == "nine"


@pytest.mark.parametrize(
    "arguments",
    [
        ("f/d", "--from", "1970-01-01", "--to", "1970-01-03"),
        ("f/d", "--from", "1970-01-01", "--to", "1970-01-03", "--every", "1d", "--cron", "@daily"),
        ("f/d", "--from", "1970-01-01", "--every", "1d"),
        ("f/d", "--from", "a", "--to", "b", "--every", "1d", "--limit", "0"),
        ("f/d", "--from", "a", "--to", "b", "--schedule", "s", "--timezone", "UTC"),
    ],
)
def test_a_backfill_that_makes_no_sense_is_a_usage_error(stoker, api, arguments):
    stoker("deployment", "backfill", *arguments, code=2)
    assert not api.requests


def test_backfills_are_listed_and_cancelled(stoker, api):
    api.answer("GET /api/backfills", [BACKFILL])
    api.answer("POST /api/backfills/b1/cancel", BACKFILL)
    assert "0 of 2" in stoker("deployment", "backfill", "ls").out
    stoker("deployment", "backfill", "ls", "f/d")
    assert api.requests[-1].query == "deployment=f%2Fd"
    assert "b1" in stoker("deployment", "backfill", "cancel", "b1").out


@pytest.mark.parametrize(
    ("command", "detail", "said"),
    [
        ("backfill", "from: 'a' is no date", "--from: 'a' is no date"),
        ("backfill", "anchor_date: 'a' is no date", "--from: 'a' is no date"),
        ("backfill", "from, to: 100000 runs at the most", "--from, --to: 100000 runs at the most"),
        ("backfill", "interval: must be 1 second", "--every: must be 1 second"),
        ("backfill", "f/d has no schedule", "f/d has no schedule"),
        ("schedule", "anchor_date: 'a' is no date", "--anchor: 'a' is no date"),
        ("schedule", "slug: there is one", "--slug: there is one"),
        ("schedule", "elsewhere: wrong", "elsewhere: wrong"),
    ],
)
def test_an_error_names_the_option_and_not_the_field(stoker, api, command, detail, said):
    wrong = Problem(error="Invalid", detail=detail)
    api.answer("POST /api/deployments/f/d/backfills", wrong, 422)
    api.answer(f"POST {PATH}", wrong, 422)
    arguments = {
        "backfill": ("backfill", "f/d", "--from", "a", "--to", "b", "--every", "0"),
        "schedule": ("schedule", "create", "f/d", "--interval", "1d", "--anchor-date", "a"),
    }
    assert stoker("deployment", *arguments[command], code=1).err == f"Error: {said}\n"
