"""``kill -9`` of the server in the middle of schedules and backfills: none lost, none doubled."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stoker.domain.runs import FlowRun
from stoker.domain.schedules import Schedule
from stoker.testing import Harness
from stoker.wire.schedules import BackfillStart

PROJECT = Path(__file__).parent / "project"
AWAY = 3.0
"""Seconds for which there is no server."""


def until(ready: Callable[[], Any], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.05)


def deploy(stoker: Harness, tmp_path: Path) -> Path:
    ledger = tmp_path / "ledger"
    stoker.deploy(PROJECT / "occurrences.py", parameters={"ledger": str(ledger)})
    return ledger


def runs_of(stoker: Harness, schedule_id: str) -> list[FlowRun]:
    """Its runs by their instants."""
    found: list[FlowRun] = []
    before = None
    while True:
        page = stoker.api.runs(deployment="occur/test", limit=1000, before=before)
        found += [run for run in page.runs if run.schedule_id == schedule_id]
        before = page.next
        if before is None:
            return sorted(found, key=lambda run: run.instant or 0.0)


def test_a_server_that_is_killed_loses_and_doubles_no_occurrence(
    stoker: Harness, tmp_path: Path
) -> None:
    ledger = deploy(stoker, tmp_path)
    ids = {}
    for catchup in ("all", "latest", "none"):
        made = stoker.api.create_schedule(
            "occur/test", Schedule(interval=1.0, slug=catchup, catchup=catchup)
        )
        ids[catchup] = made.id
    assert stoker.server is not None
    for _ in range(2):
        count = len(runs_of(stoker, ids["none"]))
        until(lambda count=count: len(runs_of(stoker, ids["none"])) >= count + 2)
        stoker.server.kill()
        time.sleep(AWAY)
        stoker.start_server()
    count = len(runs_of(stoker, ids["none"]))
    until(lambda: len(runs_of(stoker, ids["none"])) >= count + 2)
    for catchup in ids:
        stoker.api.set_schedule_active("occur/test", catchup, active=False)
    found = {catchup: runs_of(stoker, key) for catchup, key in ids.items()}
    for runs in found.values():
        for run in runs:
            assert stoker.wait(run).state.name == "Completed"
    instants = {catchup: [run.instant for run in runs] for catchup, runs in found.items()}
    first, last = instants["all"][0], instants["all"][-1]
    assert first is not None
    assert last is not None
    assert instants["all"] == [first + n for n in range(int(last - first) + 1)]
    assert len(instants["all"]) >= 6 + 2 * AWAY - 2
    for catchup in ("latest", "none"):
        assert len(set(instants[catchup])) == len(instants[catchup])
        assert set(instants[catchup]) < set(instants["all"])
    assert len(instants["all"]) > len(instants["latest"]) > len(instants["none"])
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    begun = [(entry[1], entry[2]) for entry in entries if entry[0] == "begin"]
    runs = [run for of_one in found.values() for run in of_one]
    expected = [(one.id, datetime.fromtimestamp(one.instant or 0, UTC).isoformat()) for one in runs]
    assert sorted(begun) == sorted(expected), "each was begun once, and knew its instant"


def test_a_backfill_goes_on_after_a_kill_and_keeps_its_limit(
    stoker: Harness, tmp_path: Path
) -> None:
    ledger = deploy(stoker, tmp_path)
    request = BackfillStart(
        start="2026-01-01",
        stop="2026-02-10",
        schedule=Schedule(interval=86_400.0, anchor_date="2026-01-01"),
        parameters={"seconds": 0.1},
        limit=2,
        param_instant="day",
    )
    started = stoker.api.start_backfill("occur/test", request).backfill
    assert started is not None
    assert stoker.server is not None
    for share in (10, 20, 30):
        until(lambda share=share: stoker.api.backfill(started.id).made >= share)
        stoker.server.kill()
        stoker.start_server()
        again = stoker.api.start_backfill("occur/test", request).backfill
        assert again is not None
        assert again.id == started.id
    until(lambda: stoker.api.backfill(started.id).state == "COMPLETED")
    runs = runs_of(stoker, started.id)
    for run in runs:
        assert stoker.wait(run).state.name == "Completed"
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(40)]
    assert [run.instant for run in runs] == [day.timestamp() for day in days]
    assert [run.parameters["day"] for run in runs] == [day.isoformat() for day in days]
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    ended = [entry[2] for entry in entries if entry[0] == "end"]
    assert sorted(ended) == [day.isoformat() for day in days]
    most = now = 0
    for word, *_ in sorted(entries, key=lambda entry: entry[3]):
        now += 1 if word == "begin" else -1
        most = max(most, now)
    assert 1 <= most <= 2
