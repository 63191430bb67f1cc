"""Deaths that come together, or at a bad moment."""

import os
import signal
import time
from pathlib import Path

import pytest

from stoker.domain.hosts import HostState
from stoker.domain.pools import WarmKnobs
from stoker.domain.reports import Finished
from stoker.testing import Gate, Harness, harness, result_of
from stoker.testing.processes import Process, await_ends
from stoker.testing.spools import read_frames

PROJECT = Path(__file__).parent / "project"


def agents(stoker: Harness) -> list[Process]:
    """The agents of its hosts."""
    return [one for one in stoker.processes() if "stoker.host.agent" in one.command]


def process(stoker: Harness, pid: int) -> Process:
    """One of its processes."""
    (found,) = [one for one in stoker.processes() if one.pid == pid]
    return found


def await_spooled_end(stoker: Harness, run_id: str) -> None:
    """Return when a host has the end of a run on disk."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for spool in (stoker.home / "spool").iterdir():
            for frame in read_frames(spool):
                if frame.run_id == run_id and isinstance(frame.reports[-1], Finished):
                    return
        time.sleep(0.01)
    raise TimeoutError(f"the end of {run_id} is in no spool")


def test_what_a_host_had_on_disk_arrives_where_it_dies_while_the_server_is_away(
    stoker: Harness, gate: Gate, tmp_path: Path
) -> None:
    parameters = {"gate": gate.path, "ledger": str(tmp_path / "ledger")}
    run = stoker.start("work/test", parameters)
    arrival = gate.wait()
    child = process(stoker, arrival.pid)
    (agent,) = agents(stoker)
    assert stoker.server is not None
    stoker.server.kill()
    arrival.release()
    assert await_ends([child], 10) == []
    await_spooled_end(stoker, run.id)
    agent.send(signal.SIGKILL)
    assert await_ends([agent], 10) == []
    stoker.start_server()
    ended = stoker.wait(run, 10)
    assert ended.state.name == "Completed"
    assert result_of(ended) == run.id
    assert len(stoker.logs(run)) == 101


def test_what_a_host_had_on_disk_arrives_where_everything_dies(
    stoker: Harness, gate: Gate, tmp_path: Path
) -> None:
    parameters = {"gate": gate.path, "ledger": str(tmp_path / "ledger")}
    runs = [stoker.start("work/test", parameters) for _ in range(2)]
    arrivals = {arrival.note["run"]: arrival for arrival in gate.wait_for(2)}
    done, lost = runs
    child = process(stoker, arrivals[done.id].pid)
    assert stoker.server is not None
    stoker.server.kill()
    arrivals[done.id].release()
    assert await_ends([child], 10) == []
    await_spooled_end(stoker, done.id)
    known = stoker.processes()
    stoker.workers[0].kill()
    for agent in agents(stoker):
        agent.send(signal.SIGKILL)
    up = stoker.program("up", "--port", stoker.url.rpartition(":")[2])
    stoker.await_server(up)
    assert stoker.wait(done, 10).state.name == "Completed"
    assert stoker.wait(lost, 10).state.name == "Crashed"
    assert await_ends(known, 5) == []
    assert len(stoker.logs(done)) == 101


def test_a_zygote_that_dies_while_it_imports(stoker: Harness, tmp_path: Path, gate: Gate) -> None:
    (tmp_path / "slow.py").write_text(
        "import os\n"
        "from stoker import flow\n"
        "from stoker.testing import arrive\n"
        "if 'STOKER_HOST_ID' in os.environ:\n"
        f"    arrive({gate.path!r})\n"
        "@flow\n"
        "def slow() -> int:\n"
        "    return 1\n"
    )
    stoker.deploy(tmp_path / "slow.py")
    run = stoker.start("slow/test")
    os.kill(gate.wait().pid, signal.SIGKILL)
    ended = stoker.wait(run, 5)
    assert ended.state.name == "Crashed"
    assert "SIGKILL" in ended.state.message
    assert "slow.py" in ended.state.message
    gate.open()
    assert stoker.value("slow/test") == 1


def test_children_that_wait_for_a_run(stoker: Harness) -> None:
    """Their deaths cost no run: others take their place."""
    stoker.run("quick/test", {"n": 1})
    (agent,) = agents(stoker)
    for _ in range(5):
        for zygote in agent.children:
            for child in zygote.children:
                child.send(signal.SIGKILL)
        assert stoker.value("quick/test", {"n": 3}) == 3


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3])
def test_a_worker_that_dies_while_it_launches_a_host(tmp_path: Path, delay: float) -> None:
    warm = WarmKnobs(min=0, max=1, slots_per_host=1)
    with harness(tmp_path / "home", warm=warm) as stoker:
        stoker.deploy(PROJECT / "flows.py", "quick")
        run = stoker.start("quick/test", {"n": 1})
        # Not a wait for a state: the worker shall die at any moment of the launch.
        time.sleep(delay)
        stoker.workers[0].kill()
        stoker.start_worker()
        ended = stoker.wait(run, 20)
        assert ended.state.name == "Completed"
        present = [h for h in stoker.api.pool("default").hosts if h.state is not HostState.DEAD]
        assert len(present) == len(agents(stoker)) == 1


def test_a_host_that_is_silent_keeps_its_runs(tmp_path: Path, gate: Gate) -> None:
    settings = {"heartbeat": 0.2, "lease": 0.6, "sweep": 0.1, "ack_timeout": 0.5}
    warm = WarmKnobs(min=1, max=1, slots_per_host=2)
    with harness(tmp_path / "home", warm=warm, settings=settings) as stoker:
        stoker.deploy(PROJECT / "flows.py")
        parameters = {"gate": gate.path, "ledger": str(tmp_path / "ledger")}
        run = stoker.start("work/test", parameters)
        arrival = gate.wait()
        (agent,) = agents(stoker)
        agent.send(signal.SIGSTOP)
        try:
            deadline = time.monotonic() + 10
            while stoker.api.pool("default").hosts[0].state is not HostState.UNREACHABLE:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert stoker.api.run(run.id).state.name == "Running"
            arrival.release()
        finally:
            agent.send(signal.SIGCONT)
        ended = stoker.wait(run, 10)
        assert ended.state.name == "Completed"
        assert ended.attempt == 1
        assert stoker.value("quick/test", {"n": 1}) == 1
