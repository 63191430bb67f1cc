"""Two servers on one Postgres, workers and hosts with either: one of them is killed, or stopped."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stoker.client.http import Api
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.testing import Gate, Harness

Pair = Any
"""Two servers, each with a worker of a pool of its own; see conftest.py."""
TAKEOVER = 10.0
"""Seconds that it may take until another server leads, at any setting."""


def until(found: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait until something is so; return how many seconds that took."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.parametrize("victim", [0, 1])
def test_a_server_that_is_killed_under_load_loses_nothing(
    pair: Pair, gate: Gate, tmp_path: Path, victim: int
):
    folder = tmp_path / "marks"
    folder.mkdir()
    killed, other = pair.both[victim], pair.both[1 - victim]
    names = [f"{pool}-{number}" for number in range(30) for pool in ("left", "right")]
    near, far = (("left", "right"), ("right", "left"))[victim]
    waiting = killed.start(f"waiter/{near}", {"child": f"held/{far}", "gate": gate.path})
    arrival = gate.wait()
    runs: list[FlowRun] = []
    with Api(f"{killed.url},{other.url}") as api:
        for at, name in enumerate(names):
            if at == len(names) // 2:
                assert killed.server is not None
                killed.server.kill()
                died = time.monotonic()
            parameters = {"folder": str(folder), "name": name}
            deployment = f"noted/{name.partition('-')[0]}"
            runs.append(api.start_run(StartRun(deployment=deployment, parameters=parameters)))
        for run in runs:
            ended = api.wait_run(run.id, 30.0)
            assert ended.state.type is StateType.COMPLETED, ended.state
        # The wait goes on at the other server.
        arrival.release("done")
        assert api.wait_run(waiting.id, 30.0).state.type is StateType.COMPLETED
        # The other one plans: a host more is launched for what is new.
        until(lambda: led_by(pair, other), TAKEOVER - (time.monotonic() - died))
    assert {name: (folder / name).read_text() for name in names} == dict.fromkeys(names, "x")


def led_by(pair: Pair, one: Harness) -> bool:
    assert one.server is not None
    return "this server leads: " in one.server.output()


def test_a_server_that_was_stopped_and_goes_on_does_no_harm(pair: Pair, tmp_path: Path):
    folder = tmp_path / "marks"
    folder.mkdir()
    leader = next(one for one in pair.both if led_by(pair, one))
    other = pair.both[1 - pair.both.index(leader)]
    assert leader.server is not None
    leader.server.send(signal.SIGSTOP)
    try:
        assert until(lambda: led_by(pair, other), TAKEOVER) < TAKEOVER
        with other.api as api:
            runs = [
                api.start_run(
                    StartRun(
                        deployment=f"noted/{pool}",
                        parameters={"folder": str(folder), "name": f"{pool}-{number}"},
                    )
                )
                for number in range(5)
                for pool in ("left", "right")
            ]
    finally:
        leader.server.send(signal.SIGCONT)
    for run in runs:
        assert other.wait(run, 30.0).state.type is StateType.COMPLETED
    assert {file.read_text() for file in folder.iterdir()} == {"x"}
    assert len(list(folder.iterdir())) == len(runs)
