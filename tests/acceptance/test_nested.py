"""Runs that wait for deployed runs never deadlock their pool, and its limit always holds."""

import runpy
from pathlib import Path

import pytest

from stoker.domain.pools import WarmKnobs
from stoker.domain.requests import StartRun
from stoker.testing import Harness, result_of

PROJECT = Path(__file__).parent / "project"

PARENTS = 50


@pytest.mark.parametrize(
    ("pool", "limit", "warm"),
    [
        ("two-at-a-time", 2, WarmKnobs(min=1, max=2, slots_per_host=4)),
        ("two-slots", None, WarmKnobs(min=1, max=1, slots_per_host=2)),
    ],
)
def test_three_levels_and_fifty_parents_at_once(
    either: Harness, tmp_path: Path, pool: str, limit: int | None, warm: WarmKnobs
) -> None:
    stoker = either
    ledger = runpy.run_path(str(PROJECT / "ledger.py"))
    stoker.create_pool(pool, limit=limit, warm=warm)
    worker = stoker.start_worker(pool)
    levels = ("grandparent", "parent", "child")
    stoker.deploy(PROJECT / "nesting.py", *levels, name=pool, pool=pool)
    path = str(tmp_path / "ledger")
    ids = stoker.api.start_runs(
        [
            StartRun(
                deployment=f"grandparent/{pool}", parameters={"path": path, "n": n, "name": pool}
            )
            for n in range(PARENTS)
        ]
    )
    ended = [stoker.wait(run_id, 60) for run_id in ids]
    assert [result_of(run) for run in ended] == [n * 1000 + 110 for n in range(PARENTS)]

    entries = ledger["read"](path)
    runs = {entry.run for entry in entries}
    assert len(runs) == 3 * PARENTS
    assert sum(entry.event == "start" for entry in entries) == 3 * PARENTS, "each ran once"
    assert ledger["most_at_once"](entries) == 2, "two at every moment, and not one by one"
    assert worker.stop() == 0
