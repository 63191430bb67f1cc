"""Hosts that are replaced while runs come: none of the runs notices."""

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from stoker.domain.anatomy import StartClass
from stoker.domain.hosts import HostState
from stoker.domain.pools import WarmKnobs
from stoker.domain.runs import FlowRun
from stoker.testing import Harness
from stoker.wire.http import KnobChanges, PoolUpdate

SLOW_IMPORT = """
import os, time
from stoker import flow
if "STOKER_HOST_ID" in os.environ:
    time.sleep(0.3)
@flow
def quick() -> int:
    return os.getppid()
@flow
def other() -> int:
    return os.getppid()
"""
BEAT = 0.02
"""Seconds between two runs."""


def stream(stoker: Harness, name: str, generations: int, seconds: float) -> list[FlowRun]:
    """Start runs one after the other until so many hosts had some; return all when they ended."""
    hosts: set[str | None] = set()
    ids: list[str] = []
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while len(hosts) < generations:
        assert time.monotonic() < deadline, f"{len(hosts)} hosts after {seconds} s"
        ids.append(stoker.start(f"quick/{name}").id)
        ids.append(stoker.start(f"other/{name}").id)
        hosts.add(stoker.api.run(ids[-1]).host_id)
        hosts.discard(None)
        pause.wait(BEAT)
    return [stoker.wait(run_id) for run_id in ids]


def check(runs: list[FlowRun], generations: int) -> None:
    """All had a child that waited for them, and none noticed anything."""
    assert Counter(run.state.name for run in runs) == {"Completed": len(runs)}
    assert Counter(run.anatomy.start_class for run in runs) == {StartClass.HOT: len(runs)}
    assert {run.attempt for run in runs} == {1}
    assert len({run.host_id for run in runs}) >= generations


@pytest.mark.parametrize(
    ("knobs", "generations"),
    [
        ({"max_runs": 20}, 5),
        ({"max_age": 1.0}, 3),
        # What a host's bookkeeping takes in any case: it is worn as soon as it has had some runs.
        ({"max_memory_growth": 0.004}, 2),
    ],
    ids=["runs", "age", "memory"],
)
def test_no_run_meets_a_cold_start(
    stoker: Harness, tmp_path: Path, knobs: dict[str, float], generations: int
) -> None:
    name = f"recycle-{next(iter(knobs))}".replace("_", "-")
    file = tmp_path / "flows.py"
    file.write_text(SLOW_IMPORT)
    stoker.create_pool(name, warm=WarmKnobs(min=1, max=1, slots_per_host=4))
    worker = stoker.start_worker(name)
    stoker.deploy(file, name=name, pool=name)
    stoker.run(f"quick/{name}")
    stoker.api.update_pool(name, PoolUpdate(warm=KnobChanges(**knobs)))  # pyright: ignore
    check(stream(stoker, name, generations, 40.0), generations)
    assert sum(one.state is HostState.UP for one in stoker.api.pool(name).hosts) <= 2
    assert worker.stop() == 0
