"""Schedules and backfills over HTTP: what is made, and what is refused with the field's name."""

import time

import pytest

SCHEDULES = "/api/deployments/f/d/schedules"
BACKFILLS = "/api/deployments/f/d/backfills"


def refused(answer, status: int, text: str) -> None:
    assert answer.status == status, answer.content
    assert text in answer.json["detail"], answer.json


def test_a_schedule_from_its_making_to_its_end(server):
    body = {"cron": "0 9 * * *", "timezone": "Europe/Berlin", "parameters": {"x": 1}}
    made = server.call("POST", SCHEDULES, body)
    assert made.status == 201
    slug = made.json["slug"]
    assert slug.startswith("cron-")
    assert made.json["next"] == made.json["upcoming"][0] > time.time()
    assert len(made.json["upcoming"]) == 5
    (listed,) = server.get(SCHEDULES)
    assert (listed["id"], listed["deployment"]) == (made.json["id"], "f/d")
    refused(server.call("POST", SCHEDULES, body), 409, f"slug: f/d has a schedule '{slug}' already")
    paused = server.make("PATCH", f"{SCHEDULES}/{slug}", {"active": False})
    assert (paused["next"], paused["upcoming"]) == (None, [])
    assert server.make("PATCH", f"{SCHEDULES}/{slug}", {"active": True})["next"] is not None
    assert server.call("DELETE", f"{SCHEDULES}/{slug}").status == 204
    refused(server.call("DELETE", f"{SCHEDULES}/{slug}"), 404, f"f/d has no schedule '{slug}'")
    assert server.get(SCHEDULES) == []


def test_a_deployment_brings_its_schedules(server):
    schedules = [{"interval": 3600.0, "slug": "hourly"}, {"rrule": "FREQ=DAILY", "slug": "daily"}]
    put = server.deploy("d", schedules=schedules)
    assert put["schedules"] is None
    assert [one["slug"] for one in server.get(SCHEDULES)] == ["daily", "hourly"]
    server.deploy("d")
    assert len(server.get(SCHEDULES)) == 2
    server.deploy("d", schedules=[])
    assert server.get(SCHEDULES) == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "a schedule has one of cron, interval and rrule, not none"),
        ({"cron": "61 * * * *"}, "cron: '61 * * * *' has an impossible minute"),
        ({"cron": "@daily", "timezone": "Mars"}, "timezone: there is no time zone 'Mars'"),
        ({"cron": "@daily", "timezone": "a\x00b"}, "timezone: a text may hold no NUL"),
        ({"interval": -1}, "interval: must be 1 second or more"),
        ({"interval": "x"}, "interval"),
        ({"interval": 1e308}, "interval: must be 1 second or more (and 100 years or less)"),
        ({"interval": 60, "anchor_date": "0001-01-01"}, "is not of the years 100 to 8900"),
        ({"rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "so that it never fires"),
        ({"rrule": "DTSTART:00010101T000000 RRULE:FREQ=DAILY"}, "rrule: '00010101T000000' is no"),
        ({"cron": "@daily", "slug": "a/b"}, "'a/b' cannot name a schedule (slug)"),
        ({"cron": "@daily", "slug": "a\x00b"}, "slug: a text may hold no NUL"),
        ({"cron": "@daily", "slug": "a\x01b"}, "cannot name a schedule (slug)"),
        ({"cron": "@daily", "catchup": "most"}, "catchup: one of all, latest, none"),
        ({"cron": "@daily", "max_catchup": 0}, "max_catchup: 1 or more"),
        ({"cron": "@daily", "parameters": [1]}, "parameters"),
        ({"cron": 5}, "cron"),
    ],
)
def test_a_wrong_schedule_is_refused_with_its_field(shared, body, text):
    answer = shared.call("POST", SCHEDULES, body)
    assert 400 <= answer.status < 500
    assert text in answer.json["detail"]
    if body and "slug" not in body:
        deployed = {**shared.get("/api/deployments/f/d"), "name": "e", "schedules": [body]}
        again = shared.call("PUT", "/api/deployments", deployed)
        assert 400 <= again.status < 500


def test_a_backfill_is_made_once_and_can_be_cancelled(server):
    body = {
        "start": "2026-01-01",
        "stop": "2026-01-04",
        "schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"},
        "limit": 2,
        "param_instant": "day",
    }
    dry = server.make("POST", BACKFILLS, {**body, "dry_run": True})
    assert (dry["backfill"], dry["total"], dry["timezone"]) == (None, 3, "Europe/Berlin")
    assert dry["instants"][0] == 1_767_243_600.0
    assert server.get("/api/backfills") == []
    made = server.make("POST", BACKFILLS, body)["backfill"]
    again = server.make("POST", BACKFILLS, {**body, "limit": 1})["backfill"]
    assert (again["id"], again["limit"], again["total"]) == (made["id"], 1, 3)
    (listed,) = server.get("/api/backfills?deployment=f/d")
    assert listed["id"] == made["id"]
    cancelled = server.make("POST", f"/api/backfills/{made['id']}/cancel", None)
    assert (cancelled["state"], cancelled["open"]) == ("CANCELLED", 0)
    assert server.get(f"/api/backfills/{made['id']}")["state"] == "CANCELLED"


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"start": "soon"}, 422, "from: 'soon' is no date and time"),
        (
            {"start": "soon", "schedule": {"interval": 60, "anchor_date": "soon"}},
            422,
            "from: 'soon' is no date and time",
        ),
        ({"stop": "2025-01-01"}, 422, "to: must be later than from"),
        ({"stop": "9999-12-31"}, 422, "to: '9999-12-31' is not of the years"),
        ({"limit": 0}, 422, "limit: 1 run or more at a time, not 0"),
        ({"limit": "many"}, 422, "limit"),
        ({"schedule": None}, 422, "schedule, slug: give one of them"),
        ({"schedule": None, "slug": "x"}, 404, "f/d has no schedule 'x'"),
        ({"schedule": {"cron": "* * *"}}, 422, "cron: '* * *' has not five fields"),
        ({"schedule": {"interval": 1}}, 422, "from, to: 100000 runs at the most"),
        ({"schedule": {"cron": "0 0 29 2 *"}}, 422, "never fires in this time"),
    ],
)
def test_a_wrong_backfill_is_refused_with_its_field(shared, changes, status, text):
    body = {"start": "2026-01-01", "stop": "2026-02-01", "schedule": {"cron": "@daily"}}
    for dry_run in (True, False):
        answer = shared.call("POST", BACKFILLS, {**body, **changes, "dry_run": dry_run})
        refused(answer, status, text)


def test_what_there_is_not(shared):
    for method, path in [
        ("GET", "/api/deployments/f/none/schedules"),
        ("POST", "/api/backfills/none/cancel"),
        ("GET", "/api/backfills/none"),
        ("GET", "/api/backfills?deployment=f/none"),
    ]:
        assert shared.call(method, path).status == 404
    body = {"start": "2026-01-01", "stop": "2026-02-01", "schedule": {"cron": "@daily"}}
    missing = "/api/deployments/f/none/backfills"
    for dry_run in (True, False):
        assert shared.call("POST", missing, {**body, "dry_run": dry_run}).status == 404
    assert shared.call("PATCH", f"{SCHEDULES}/none", {"active": True}).status == 404
    assert shared.call("PATCH", f"{SCHEDULES}/none", {"activ": True}).status in (400, 422)
