"""Metrics, readiness and logs of a real server, and what it deletes."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

from stoker.testing import Harness, harness

FLOW = """
from stoker import flow

@flow
def big() -> str:
    return "x" * 2_000_000
"""


def get(stoker: Harness, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(stoker.url + path, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sample(text: str, name: str) -> float:
    """The value of the first sample that begins so."""
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def await_sums(stoker: Harness) -> list[dict[str, object]]:
    deadline = time.monotonic() + 20
    while True:
        found = json.loads(get(stoker, "/api/rollups")[1])
        if found:
            return found
        assert time.monotonic() < deadline, "nothing is rolled up"
        time.sleep(0.05)


def test_a_run_is_counted_and_deleted_and_its_sums_stay(tmp_path: Path) -> None:
    file = tmp_path / "flows.py"
    file.write_text(FLOW)
    with harness(tmp_path / "home", settings={"log_format": "json"}) as stoker:
        stoker.deploy(file)
        run = stoker.run("big/test")
        status, text = get(stoker, "/metrics")
        assert status == 200
        assert sample(text, 'stoker_flow_runs_ended_total{state="completed"}') == 1
        assert sample(text, "stoker_claims_total") == 1
        assert sample(text, "stoker_start_seconds_count") == 1
        assert sample(text, "stoker_wait_seconds_count") == 1
        assert sample(text, 'stoker_hosts{pool="default",state="up"}') == 1
        assert sample(text, "stoker_db_write_seconds_count") > 3
        assert 'route="/api/flow-runs/{run_id}' in text, "not a route for each run"
        assert run.id not in text

        assert get(stoker, "/api/ready") == (200, '{"ready":true,"problems":[]}')
        stored = list((tmp_path / "home" / "results").iterdir())
        assert len(stored) == 1
        counted = json.loads(
            stoker.cli("database", "prune", "--older-than", "0", "--dry-run", "--json").stdout
        )
        assert counted["runs"] == 1
        pruned = json.loads(stoker.cli("database", "prune", "--older-than", "0", "--json").stdout)
        assert pruned["runs"] == 1
        assert list((tmp_path / "home" / "results").iterdir()) == []
        assert stoker.api.runs().runs == []
        (sums,) = await_sums(stoker)
        assert (sums["completed"], sums["deployment"]) == (1, "big/test")

        assert stoker.server is not None
        logs = [stoker.server.output(), stoker.workers[0].output()]
        logs += [one.read_text() for one in (tmp_path / "home" / "logs").glob("host-*.log")]
        lines = [json.loads(line) for text in logs for line in text.splitlines()]
        assert {"time", "level", "logger", "message", "pid"} <= set(lines[0])


def test_a_server_prunes_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "flows.py"
    file.write_text(FLOW)
    with harness(tmp_path / "home", settings={"retention_runs": 1e-7}) as stoker:
        stoker.deploy(file)
        stoker.run("big/test")
        # Its next round is at its start.
        assert stoker.server is not None
        stoker.server.stop()
        stoker.start_server()
        deadline = time.monotonic() + 20
        while stoker.api.runs().runs:
            assert time.monotonic() < deadline, "the run is still there"
            time.sleep(0.05)
        (sums,) = await_sums(stoker)
        assert sums["completed"] == 1
