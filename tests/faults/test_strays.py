"""Nothing that a run has started outlives it, however it was started and however the run ends."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.domain.hosts import HostState
from stoker.domain.pools import WarmKnobs
from stoker.process_identity import start_time
from stoker.process_marks import marked
from stoker.testing import Arrival, Gate, Harness, harness
from stoker.testing.processes import Process, await_ends, end_all

PROJECT = Path(__file__).parent / "project"
SOON = 3.0
"""Seconds in which what is left has to be gone."""


@pytest.fixture
def stoker(tmp_path: Path) -> Iterator[Harness]:
    """A server and a worker with one host."""
    warm = WarmKnobs(min=1, max=1, slots_per_host=3)
    with harness(tmp_path / "home", warm=warm) as fresh:
        fresh.deploy(PROJECT / "strays.py")
        yield fresh


@pytest.fixture
def strays() -> Iterator[list[Process]]:
    """All that was left in the test; it is killed where the host did not do it."""
    left: list[Process] = []
    yield left
    end_all(left)


def haunt(
    stoker: Harness, gate: Gate, strays: list[Process], flow: str = "haunted"
) -> tuple[Arrival, list[Process]]:
    """Start a run and return it and what it has started, once all of that lives."""
    stoker.start(f"{flow}/test", {"gate": gate.path})
    arrival = gate.wait()
    left = [living(pid) for pid in arrival.note["strays"]]
    assert len(left) == 6
    strays += left
    return arrival, left


def living(pid: int) -> Process:
    """One living process."""
    started = start_time(pid)
    assert started is not None
    return Process(pid, started, "a stray")


def agent_of(stoker: Harness) -> Process:
    """The agent of its only host."""
    (agent,) = [one for one in stoker.processes() if "stoker.host.agent" in one.command]
    return agent


def test_only_those_of_the_run_that_ends_are_ended(
    stoker: Harness, gate: Gate, strays: list[Process]
) -> None:
    neighbour, others = haunt(stoker, gate, strays)

    def ends(arrival: Arrival, left: list[Process], name: str) -> None:
        ended = stoker.wait(arrival.note["run"])
        assert ended.state.name == name, ended.state
        assert await_ends(left, SOON) == [], name
        assert all(one.is_alive for one in others), name

    arrival, left = haunt(stoker, gate, strays)
    arrival.release()
    ends(arrival, left, "Completed")

    arrival, left = haunt(stoker, gate, strays)
    arrival.release("fail")
    ends(arrival, left, "Failed")

    arrival, left = haunt(stoker, gate, strays)
    stoker.api.cancel_run(arrival.note["run"])
    ends(arrival, left, "Cancelled")

    arrival, left = haunt(stoker, gate, strays)
    os.kill(arrival.pid, signal.SIGKILL)
    ends(arrival, left, "Crashed")

    arrival, left = haunt(stoker, gate, strays, "hurried")
    ends(arrival, left, "TimedOut")

    neighbour.release()
    others, was = [], others
    ends(neighbour, was, "Completed")


def test_a_process_that_becomes_another_all_the_time(stoker: Harness, gate: Gate) -> None:
    run = stoker.start("restless/test", {"gate": gate.path})
    gate.wait()
    host = stoker.api.run(run.id).host_id
    assert host is not None
    (zygote,) = agent_of(stoker).children
    gate.open()
    assert stoker.wait(run).state.name == "Completed"
    stoker.workers[0].stop()
    assert await_ends([zygote], SOON) == []
    assert marked(host) == []


def test_a_zygote_is_killed(stoker: Harness, gate: Gate, strays: list[Process]) -> None:
    (one, _), (other, _) = haunt(stoker, gate, strays), haunt(stoker, gate, strays)
    assert one.note["zygote"] == other.note["zygote"]
    os.kill(one.note["zygote"], signal.SIGKILL)
    assert await_ends(strays, SOON) == []
    for arrival in (one, other):
        assert stoker.wait(arrival.note["run"]).state.name == "Crashed"


BARE = """
import threading
from strays import haunt
from stoker import flow

threading.Thread(target=threading.Event().wait, daemon=True).start()

@flow
def unforked(gate: str) -> str:
    return haunt(gate)
"""


@pytest.mark.parametrize("flow", ["haunted", "unforked"])
def test_an_agent_is_killed_and_its_worker_too(
    stoker: Harness, gate: Gate, strays: list[Process], flow: str, tmp_path: Path
) -> None:
    """There is nobody to clear up but the zygotes, those of code that cannot be forked too."""
    shutil.copy(PROJECT / "strays.py", tmp_path)
    (tmp_path / "unforked.py").write_text(BARE)
    stoker.deploy(tmp_path / "unforked.py", "unforked")
    arrival, _ = haunt(stoker, gate, strays, flow)
    agent = agent_of(stoker)
    below = [arrival.pid, arrival.note["zygote"]]
    strays += [living(pid) for pid in below]
    stoker.workers[0].kill()
    agent.send(signal.SIGKILL)
    assert await_ends(strays, SOON) == []
    stoker.start_worker()
    assert "its host ended" in stoker.wait(arrival.note["run"]).state.message


def test_a_worker_proves_the_death_of_what_the_kernel_does_not_end(
    stoker: Harness, gate: Gate, strays: list[Process]
) -> None:
    """Agent, zygote and child are killed: init has what has left their sessions."""
    arrival, _ = haunt(stoker, gate, strays)
    agent = agent_of(stoker)
    host = stoker.api.run(arrival.note["run"]).host_id
    # Stopped first, so that none has time to clear up after another.
    family = [agent, *(living(pid) for pid in (arrival.note["zygote"], arrival.pid))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for one in family:
            one.send(number)
    assert "its host ended" in stoker.wait(arrival.note["run"]).state.message
    assert [one for one in strays if one.is_alive] == [], "they were gone before"
    (dead,) = [one for one in stoker.api.pool("default").hosts if one.id == host] or [None]
    assert dead is None or dead.state is HostState.DEAD


def test_everything_is_killed(stoker: Harness, gate: Gate, strays: list[Process]) -> None:
    arrival, _ = haunt(stoker, gate, strays)
    queued = [stoker.start("haunted/test", {"gate": gate.path}).id for _ in range(3)]
    for other in gate.wait_for(2):
        strays += [living(pid) for pid in other.note["strays"]]
    assert stoker.server is not None
    family = [one for one in stoker.processes() if "stoker" in one.command]
    assert len(family) >= 6
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for one in family:
            one.send(number)
    assert await_ends(family, SOON) == []
    for program in (stoker.server, *stoker.workers):
        program.process.wait(SOON)
    assert any(one.is_alive for one in strays), "nobody was there to end them"
    up = stoker.program("up", "--port", stoker.url.rpartition(":")[2])
    stoker.await_server(up)
    assert stoker.wait(arrival.note["run"]).state.name == "Crashed"
    assert [one for one in strays if one.is_alive] == [], "they were gone before"
    gate.open()
    states = [stoker.wait(run_id).state.name for run_id in queued]
    assert sorted(states) == ["Completed", "Crashed", "Crashed"]
    assert up.stop() == 0
