"""Two servers on one Postgres, workers and hosts with either: what one does the other knows."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stoker.client.http import Api
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.testing import Gate, Harness

FLOWS = Path(__file__).parent / "project" / "spread.py"
QUICKLY = {"heartbeat": 0.5, "lease": 3.0, "sweep": 0.5}
TAKEOVER = 10.0
"""Seconds that it may take until another server leads, at any setting."""


class Pair:
    """Two servers on homes of their own, each with a worker of a pool of its own."""

    def __init__(self, folder: Path, database: str) -> None:
        settings = {"database_url": database, **QUICKLY}
        self.left = Harness(folder / "left", settings)
        self.right = Harness(folder / "right", settings)
        self.both = (self.left, self.right)
        for one in self.both:
            one.start_server()
        # Whoever is with one goes on with the other.
        addresses = (
            {
                "STOKER_API_URL": f"{self.left.url},{self.right.url}",
            },
            {"STOKER_API_URL": f"{self.right.url},{self.left.url}"},
        )
        for one, pool, environ in zip(self.both, ("left", "right"), addresses, strict=True):
            one.environ.update(environ)
            one.create_pool(pool)
            one.start_worker(pool)
            one.deploy(FLOWS, name=pool, pool=pool)

    def api(self) -> Api:
        """A client of both."""
        return Api(f"{self.left.url},{self.right.url}")

    def close(self) -> None:
        """End all; a server that was killed has been started again by then."""
        for one in self.both:
            one.close()


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str) -> Iterator[Pair]:
    made = Pair(tmp_path, postgres_url)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate() as opened:
        yield opened


def until(found: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait until something is so; return how many seconds that took."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


def test_what_one_server_is_asked_for_the_hosts_of_the_other_do(pair: Pair, gate: Gate):
    # Posted to the server that does not hold the host.
    assert pair.left.value("quick/right", {"n": 1}) == 1
    assert pair.right.value("quick/left", {"n": 2}) == 2

    # A wait that spans both, held by the server of the run that waits.
    parent = pair.right.start("waiter/left", {"child": "held/right", "gate": gate.path})
    gate.wait().release("done")
    assert pair.right.wait(parent).state.type is StateType.COMPLETED

    # Its log, followed at the other server.
    run = pair.left.start("talker/right", {"gate": gate.path})
    for line in range(3):
        arrival = gate.wait()
        pair.left.await_log(run, lambda one, line=line: one.message == f"line {line}", 10.0)
        arrival.release()
    pair.left.wait(run)

    # Cancelled at the other server.
    run = pair.left.start("held/right", {"gate": gate.path})
    gate.wait()
    asked = time.monotonic()
    pair.left.api.cancel_run(run.id)
    assert pair.left.wait(run, 10.0).state.type is StateType.CANCELLED
    assert time.monotonic() - asked < 5.0

    # What either says of a pool.
    for one in pair.both:
        assert [len(one.api.pool(pool).workers) for pool in ("left", "right")] == [1, 1]
        assert one.api.pool("right").zygotes


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
