"""Two servers on one Postgres look at one schedule, and each is killed in its turn."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.client.http import Api
from stoker.domain.runs import FlowRun
from stoker.domain.schedules import Schedule
from stoker.testing import Harness

PROJECT = Path(__file__).parent / "project"
QUICKLY = {"heartbeat": 0.5, "lease": 3.0, "sweep": 0.5}


@pytest.fixture
def servers(tmp_path: Path, postgres_url: str) -> Iterator[list[Harness]]:
    """Two servers, and a worker of the first that goes on with either."""
    settings = {"database_url": postgres_url, **QUICKLY}
    made = [Harness(tmp_path / name, settings) for name in ("left", "right")]
    try:
        for one in made:
            one.start_server()
        for one in made:
            one.environ["STOKER_API_URL"] = f"{made[0].url},{made[1].url}"
        made[0].create_pool("default")
        made[0].start_worker("default")
        yield made
    finally:
        for one in made:
            one.close()


def until(ready: Callable[[], Any], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.05)


def test_with_another_server_up_no_occurrence_is_missed(
    servers: list[Harness], tmp_path: Path
) -> None:
    left, right = servers
    left.deploy(PROJECT / "occurrences.py", parameters={"ledger": str(tmp_path / "ledger")})
    with Api(f"{left.url},{right.url}") as api:
        # With "none", whatever a server takes for missed shows as a gap.
        schedule = Schedule(interval=1.0, slug="each", catchup="none")
        api.create_schedule("occur/test", schedule)

        def runs() -> list[FlowRun]:
            found = api.runs(deployment="occur/test", limit=1000).runs
            return sorted(found, key=lambda run: run.instant or 0.0)

        for victim in (left, right):
            count = len(runs())
            until(lambda count=count: len(runs()) >= count + 2)
            assert victim.server is not None
            victim.server.kill()
            count = len(runs())
            until(lambda count=count: len(runs()) >= count + 2)
            victim.start_server()
        count = len(runs())
        until(lambda: len(runs()) >= count + 2)
        api.set_schedule_active("occur/test", "each", active=False)
        found = runs()
        for run in found:
            assert api.wait_run(run.id, 30.0).state.name == "Completed"
    instants = [run.instant or 0.0 for run in found]
    assert instants == [instants[0] + n for n in range(len(instants))]
