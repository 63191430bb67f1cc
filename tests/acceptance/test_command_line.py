"""The command line, from nothing to a drained stop."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness
from stoker.testing.processes import await_ends
from stoker.testing.programs import Program
from stoker.wire.http import QueuePut

FLOWS = """
from stoker import flow
from stoker.testing import arrive

@flow(log_prints=True)
def hello(name: str, times: int = 1) -> str:
    for _ in range(times):
        print("Hello", name)
    return name

@flow
def meet(gate: str) -> str | None:
    return arrive(gate)
"""
PROJECT = Path(__file__).parent / "project"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's folder with a file of flows."""
    (tmp_path / "flows.py").write_text(FLOWS)
    return tmp_path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Harness]:
    """A home on which nothing runs yet."""
    with Harness(tmp_path / "home") as fresh:
        yield fresh


def up(home: Harness, *options: str) -> Program:
    """Run ``stoker up``."""
    program = home.program("up", "--port", "0", *options)
    home.await_server(program)
    return program


def test_from_nothing_to_a_run_and_a_drained_stop(home: Harness, project: Path, gate: Gate) -> None:
    program = up(home)
    done = home.cli("deploy", "flows.py:hello", "-n", "first", cwd=project)
    assert "stoker deployment run hello/first --param name=" in done.stdout
    home.cli("deploy", "flows.py:meet", "-n", "first", "-p", "default", cwd=project)
    done = home.cli("deployment", "run", "hello/first", "--param", "name=Ada", "--watch")
    assert "Hello Ada" in done.stdout
    assert "Completed" in done.stdout
    assert "start" in done.stdout

    done = home.cli("deployment", "run", "hello/first", "--params", '{"name": "B", "times": 3}')
    (last,) = json.loads(home.cli("flow-run", "ls", "--limit", "1", "--json").stdout)
    done = home.cli("flow-run", "logs", last["id"], "--follow")
    assert done.stdout.count("Hello B") == 3
    done = home.cli("flow-run", "inspect", last["id"])
    for text in ("hello/first", "Completed", "first_line", "hot start"):
        assert text in done.stdout
    listed = json.loads(home.cli("flow-run", "ls", "--state", "completed", "--json").stdout)
    assert [run["flow_name"] for run in listed] == ["hello", "hello"]
    names = json.loads(home.cli("deployment", "ls", "--json").stdout)
    assert sorted(one["flow_name"] for one in names) == ["hello", "meet"]
    assert "hello" in home.cli("deployment", "inspect", "hello/first").stdout
    assert json.loads(home.cli("work-pool", "inspect", "default", "--json").stdout)["queued"] == 0

    run = home.start("meet/first", {"gate": gate.path})
    arrival = gate.wait()
    known = home.processes()
    program.send(signal.SIGTERM)
    assert not program_ended(program, 0.3), "it waits for the run"
    arrival.release("finished")
    assert program.process.wait(20) == 0
    assert await_ends(known, 3) == [], "nothing is left"
    home.start_server()
    ended = home.api.run(run.id)
    assert ended.state.name == "Completed"


def test_ctrl_c_twice_stops_at_once(home: Harness, project: Path, gate: Gate) -> None:
    program = up(home)
    home.deploy(project / "flows.py", "meet")
    run = home.start("meet/test", {"gate": gate.path})
    gate.wait()
    known = home.processes()
    assert len(known) >= 5, "up, server, worker, agent, zygote, children"
    program.send(signal.SIGINT)
    assert not program_ended(program, 0.3), "it waits for the run"
    program.send(signal.SIGINT)
    assert program_ended(program, 5)
    assert await_ends(known, 3) == [], "nothing is left"
    home.start_server()
    ended = home.wait(run, 10)
    assert ended.state.name == "Crashed"
    assert "stopped" in ended.state.message


def program_ended(program: Program, seconds: float) -> bool:
    """Whether a program ends within so many seconds."""
    try:
        program.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_the_grace_time_of_a_stop_is_bounded(project: Path, gate: Gate, tmp_path: Path) -> None:
    with Harness(tmp_path / "home", settings={"shutdown_grace": 0.5}) as home:
        program = up(home)
        home.deploy(project / "flows.py", "meet")
        run = home.start("meet/test", {"gate": gate.path})
        gate.wait()
        known = home.processes()
        program.send(signal.SIGTERM)
        assert program_ended(program, 8)
        assert await_ends(known, 3) == [], "nothing is left"
        home.start_server()
        assert home.wait(run, 10).state.name == "Crashed"


def test_sigterm_of_a_worker_drains_it(stoker: Harness, gate: Gate) -> None:
    stoker.create_pool("drains", warm=WarmKnobs(min=1, max=1, slots_per_host=1))
    worker = stoker.start_worker("drains")
    stoker.deploy(PROJECT / "nesting.py", "meet", name="drains", pool="drains", project=PROJECT)
    running = stoker.start("meet/drains", {"gate": gate.path})
    arrival = gate.wait()
    queued = stoker.start("meet/drains", {"gate": gate.path})
    worker.send(signal.SIGTERM)
    assert not program_ended(worker, 0.3), "it waits for the run"
    assert stoker.api.run(queued.id).state.name == "Scheduled"
    arrival.release()
    assert worker.process.wait(10) == 0
    assert stoker.wait(running).state.name == "Completed"
    assert stoker.api.run(queued.id).state.name == "Scheduled"
    # Another worker takes over what it left in the queue.
    other = stoker.start_worker("drains")
    gate.wait().release()
    assert stoker.wait(queued).state.name == "Completed"
    assert other.stop() == 0


def test_a_workers_limit_and_queue(stoker: Harness, gate: Gate) -> None:
    stoker.create_pool("queues", warm=WarmKnobs(min=0, max=4, slots_per_host=4))
    for queue in ("urgent", "slow"):
        stoker.api.put_queue("queues", queue, QueuePut())
        stoker.deploy(
            PROJECT / "nesting.py",
            "meet",
            name=queue,
            pool="queues",
            queue=queue,
            project=PROJECT,
        )
    worker = stoker.start_worker("queues", queues=["urgent"], limit=2)
    slow = stoker.start("meet/slow", {"gate": gate.path})
    urgent = [stoker.start("meet/urgent", {"gate": gate.path}) for _ in range(3)]
    arrivals = gate.wait_for(2)
    assert {arrival.note for arrival in arrivals} <= {run.id for run in urgent}
    with pytest.raises(TimeoutError):
        gate.wait(0.3)
    assert "serves work queue slow" in (stoker.api.run(slow.id).waiting_for or "")
    arrivals[0].release()
    assert gate.wait().note in {run.id for run in urgent}
    gate.open()
    for run in urgent:
        assert stoker.wait(run).state.name == "Completed"
    assert stoker.api.run(slow.id).state.name == "Scheduled"
    assert worker.stop() == 0
    stoker.api.cancel_run(slow.id)


def test_a_worker_of_a_queue_that_does_not_exist_ends_with_one_line(stoker: Harness) -> None:
    done = stoker.cli("worker", "start", "-p", "default", "-q", "nope", check=False)
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith("Error: work pool 'default' has no queue 'nope'; make it with")
