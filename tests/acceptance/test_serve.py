"""Serving from a script: one line gives a server, a deployment and a warm host; it leaves none."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stoker.bootstrap.stores import open_store
from stoker.client.discovery import live_server
from stoker.domain.anatomy import StartClass
from stoker.domain.hosts import HostState
from stoker.settings import Settings
from stoker.testing import Gate, Harness, harness, result_of
from stoker.testing.processes import await_ends, processes_of
from stoker.testing.programs import Program

FLOWS = """
import asyncio
import os
import sys
from stoker import aserve, flow, run_deployment, serve
from stoker.testing import arrive

COUNT = []

@flow(log_prints=True)
def hello(name: str = "world") -> list:
    \"\"\"Greet someone.\"\"\"
    COUNT.append(1)
    print("Hello", name)
    return [name, len(COUNT), os.getpid(), os.getppid()]

@flow
async def later(gate: str) -> str | None:
    return await asyncio.to_thread(arrive, gate)

@flow
def nested(depth: int) -> list:
    rest = run_deployment("nested/two", {"depth": depth - 1}).result() if depth else []
    return [os.getpid(), *rest]

async def main() -> None:
    await aserve(hello.to_deployment("first"))

if __name__ == "__main__":
    match sys.argv[1]:
        case "one":
            hello.serve("first", parameters={"name": "Ada"}, tags=["served"], cron="@yearly")
        case "several":
            served = [one.to_deployment("two") for one in (hello, later, nested)]
            serve(*served, limit=1, print_starting_message=True)
        case "host":
            hello.serve("first", isolation="host")
        case "async":
            asyncio.run(main())
    print("served")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with a script."""
    (tmp_path / "flows.py").write_text(FLOWS)
    return tmp_path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Harness]:
    """A home on which nothing runs yet; its servers take any free port."""
    with Harness(tmp_path / "home", settings={"server_port": 0}) as fresh:
        yield fresh


@pytest.fixture
def run_script(folder: Path, home: Harness) -> Callable[..., Program]:
    """Start the script, and return it once it serves."""
    count = iter(range(100))

    def start(how: str, *, serves: bool = True, **more: Any) -> Program:
        log = folder / f"script-{next(count)}.log"
        program = home.script("flows.py", how, cwd=folder, log=log, **more)
        if serves:
            program.await_output("Stop with Ctrl-C.")
            home.await_server(program)
        return program

    return start


def is_hot(home: Harness, deployment: str, *parameters: str) -> list[Any]:
    """Run a deployment as from another terminal; return its value."""
    options = [word for one in parameters for word in ("--param", one)]
    done = home.cli("deployment", "run", deployment, *options, "--json")
    run = home.wait(json.loads(done.stdout)["id"])
    assert run.anatomy.start_class is StartClass.HOT
    return result_of(run)


def await_worker(home: Harness, pool: str, *, draining: bool = False, workers: int = 1) -> None:
    """Return once a pool's workers are connected, or drain; no event tells that to others."""
    deadline, pause = time.monotonic() + 20, threading.Event()
    while [one.draining for one in home.api.pool(pool).workers] != [draining] * workers:
        assert time.monotonic() < deadline, "the worker does not get so far"
        pause.wait(0.02)


def fires(home: Harness, deployment: str) -> list[bool]:
    """Whether each schedule of a deployment fires; no server runs."""
    store = open_store(Settings(home=home.home))
    try:
        found = store.read(
            lambda records: [
                one
                for found in records.deployments()
                if found.full_name == deployment
                for one in records.schedules_of(found.id)
            ]
        )
        return [one.schedule.active for one in found.result(10)]
    finally:
        store.close()


def leaves_nothing(home: Harness, processes: list[Any], *logs: str) -> None:
    """Check that no process, file or record of a serving script is left that looks alive.

    A host has a log where it had something to say: ``logs`` are patterns of such.
    """
    assert await_ends(processes, 5.0) == []
    assert processes_of(home.home) == []
    assert live_server(home.home) is None
    left = [path for path in home.home.rglob("*") if path.is_file()]
    assert [path.name for path in left if not any(map(path.match, logs))] == ["stoker.db"]
    store = open_store(Settings(home=home.home))
    try:
        hosts, workers = store.write(lambda records: (records.hosts(), records.workers())).result()
    finally:
        store.close()
    assert [host for host in hosts if host.state is not HostState.DEAD] == []
    assert [worker for worker in workers if not worker.draining] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_one_line_serves_and_a_signal_ends_all(
    run_script: Callable[..., Program], home: Harness, number: signal.Signals
) -> None:
    program = run_script("one")
    assert "stoker deployment run hello/first --watch" in program.output()
    found = [is_hot(home, "hello/first") for _ in range(2)]
    assert [one[:2] for one in found] == [["Ada", 1]] * 2
    assert len({one[2] for one in found}) == 2, "each run has a process of its own"
    deployment = home.api.deployment("hello/first")
    assert (deployment.tags, deployment.description) == (["served"], "Greet someone.")
    processes = home.processes()
    assert len(processes) >= 5
    program.send(number)
    assert program.process.wait(20) == 0
    assert program.output().endswith("served\n"), "the script goes on after serve()"
    leaves_nothing(home, processes)


def test_it_serves_from_postgres(
    run_script: Callable[..., Program], home: Harness, postgres_url: str
) -> None:
    home.environ["STOKER_DATABASE_URL"] = postgres_url
    program = run_script("one")
    assert is_hot(home, "hello/first")[:2] == ["Ada", 1]
    assert home.api.health().database.startswith("postgresql://stoker:***@")
    processes = home.processes()
    program.send(signal.SIGINT)
    assert program.process.wait(20) == 0
    assert await_ends(processes, 5.0) == []
    assert [file.name for file in home.home.rglob("stoker.db")] == []

    # `stoker up` goes on with what is stored there.
    up = home.program("up", "--port", "0")
    up.await_output("Stop with Ctrl-C.")
    home.await_server(up)
    assert home.api.deployment("hello/first").name == "first"
    home.deploy(Path(home.home.parent / "flows.py"), "hello", name="up")
    assert result_of(home.run("hello/up"))[0] == "world"
    processes = home.processes()
    up.send(signal.SIGINT)
    assert up.process.wait(20) == 0
    assert await_ends(processes, 5.0) == []


def test_a_drain_lets_runs_end_and_a_second_signal_does_not(
    run_script: Callable[..., Program], home: Harness, gate: Gate
) -> None:
    program = run_script("several")
    first = home.start("later/two", {"gate": gate.path})
    arrival = gate.wait()
    program.send(signal.SIGINT)
    program.await_output("Ctrl-C again stops at once")
    arrival.release("done")
    assert program.process.wait(20) == 0

    program = run_script("several")
    assert result_of(home.api.run(first.id)) == "done"
    second = home.start("later/two", {"gate": gate.path})
    gate.wait()
    processes = home.processes()
    since = time.monotonic()
    program.send(signal.SIGINT)
    program.await_output("Ctrl-C again stops at once")
    program.send(signal.SIGINT)
    assert program.process.wait(20) == 0
    assert time.monotonic() - since < 8, "the grace time alone is 10 s"
    assert "Traceback" not in program.output()
    leaves_nothing(home, processes)
    home.start_server()
    assert home.api.run(second.id).state.is_terminal


def test_several_deployments_share_a_limit_and_nest_within_it(
    run_script: Callable[..., Program], home: Harness
) -> None:
    program = run_script("several")
    assert "1 at a time" in program.output()
    assert len(set(is_hot(home, "nested/two", "depth=2"))) == 3
    assert is_hot(home, "hello/two")[0] == "world"
    program.kill()


def test_a_host_for_each_run(run_script: Callable[..., Program], home: Harness) -> None:
    program = run_script("host")
    run = home.run("hello/first")
    assert run.anatomy.start_class is StartClass.HOT
    assert home.run("hello/first").host_id != run.host_id
    processes = home.processes()
    program.send(signal.SIGINT)
    assert program.process.wait(20) == 0
    leaves_nothing(home, processes)


def test_where_the_script_is_killed_its_children_end_in_order(
    run_script: Callable[..., Program], home: Harness, gate: Gate
) -> None:
    program = run_script("several")
    run = home.start("later/two", {"gate": gate.path})
    arrival = gate.wait()
    processes = home.processes()
    program.kill()
    await_worker(home, run.pool or "", draining=True)
    arrival.release("done")
    # The server is there until the worker has told it how the run ended.
    leaves_nothing(home, processes)
    home.start_server()
    assert result_of(home.api.run(run.id)) == "done"


def test_two_scripts_on_one_home_share_a_server_that_outlives_its_script(
    run_script: Callable[..., Program], home: Harness, folder: Path
) -> None:
    first = run_script("one")
    url = live_server(home.home)
    (folder / "others.py").write_text(FLOWS.replace('"two"', '"three"'))
    second = home.script("others.py", "several", cwd=folder, log=folder / "second.log")
    second.await_output("Stop with Ctrl-C.")
    assert live_server(home.home) == url
    one, three = is_hot(home, "hello/first"), is_hot(home, "hello/three")
    assert one[3] != three[3], "each has hosts of its own"

    # The server is the first one's; the other takes over.
    assert first.stop() == 0
    second.await_output("this script runs it now")
    assert live_server(home.home) == url
    assert is_hot(home, "hello/three")[:2] == ["world", 1]
    # Else it cannot tell the server that it leaves.
    await_worker(home, home.api.deployment("hello/three").pool)
    processes = home.processes()
    second.send(signal.SIGINT)
    assert second.process.wait(20) == 0
    leaves_nothing(home, processes, "host-*.log")


def test_scripts_that_start_together_share_a_server(
    run_script: Callable[..., Program], home: Harness, folder: Path
) -> None:
    (folder / "others.py").write_text(FLOWS.replace('"two"', '"three"'))
    programs = [
        home.script(file, "several", cwd=folder, log=folder / f"{file}.log")
        for file in ("flows.py", "others.py")
    ]
    for program in programs:
        program.await_output("Stop with Ctrl-C.")
        assert "Error" not in program.output()


def test_a_script_whose_deployment_another_one_serves_before_it_is_ready_says_so(
    run_script: Callable[..., Program], home: Harness, folder: Path, gate: Gate
) -> None:
    (folder / "slow.py").write_text(
        FLOWS.replace("COUNT = []", f"arrive({gate.path!r}, __name__)\nCOUNT = []")
    )
    slow = home.script("slow.py", "one", cwd=folder, log=folder / "slow.log")
    gate.wait().release()
    assert gate.wait().note == "slow", "its host is importing it"
    run_script("one")
    assert slow.process.wait(20) == 1
    assert "Conflict: hello/first is served by another script" in slow.output()
    assert is_hot(home, "hello/first")[0] == "Ada"


def test_the_same_script_twice_and_again(run_script: Callable[..., Program], home: Harness) -> None:
    first, second = run_script("one"), run_script("one")
    (detail,) = home.api.pools()
    await_worker(home, detail.pool.name, workers=2)
    assert first.stop() == 0
    second.await_output("this script runs it now")
    assert home.api.schedules("hello/first")[0].schedule.active, "the second goes on to serve it"
    # The host was the first one's; another is launched for the second.
    assert home.value("hello/first")[0] == "Ada"
    assert second.stop() == 0
    assert fires(home, "hello/first") == [False]
    run_script("one")
    assert home.api.schedules("hello/first")[0].schedule.active
    assert is_hot(home, "hello/first")[0] == "Ada"
    assert len(home.api.pools()) == 1


def test_beside_a_server_that_is_there_already(folder: Path, tmp_path: Path) -> None:
    with harness(tmp_path / "home") as stoker:
        stoker.deploy(folder / "flows.py", "hello", name="pooled")
        far = tmp_path / "far"
        far.mkdir()
        # Its own home, and an address as of a server elsewhere.
        environ = {"STOKER_HOME": str(far), "STOKER_API_URL": stoker.url}
        for more in ({}, environ):
            log = folder / f"script-{len(more)}.log"
            program = stoker.script("flows.py", "async", environ=more, cwd=folder, log=log)
            program.await_output("Stop with Ctrl-C.")
            assert live_server(far) is None
            ours, theirs = is_hot(stoker, "hello/first"), stoker.value("hello/pooled")
            assert ours[3] != theirs[3]
            program.send(signal.SIGINT)
            assert program.process.wait(20) == 0
            assert processes_of(far) == []
            pool = stoker.api.pool(stoker.api.deployment("hello/first").pool)
            assert pool.workers == []
            assert [host.state for host in pool.hosts if host.state is not HostState.DEAD] == []
        assert stoker.value("hello/pooled")[0] == "world"


def test_a_session_without_a_file_is_told_to_write_one(home: Harness) -> None:
    text = "from stoker import flow\n@flow\ndef f(): ...\n\nf.serve('x')\n"
    done = subprocess.run(
        [sys.executable, "-i"],
        input=text,
        env=home.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "flow 'f' is in no file; write it into one to deploy it" in done.stderr
    assert processes_of(home.home) == []


def test_a_script_without_a_guard_is_told_to_have_one(home: Harness, folder: Path) -> None:
    (folder / "bare.py").write_text(FLOWS.partition("if __name__")[0] + "hello.serve('bare')\n")
    program = home.script("bare.py", cwd=folder, log=folder / "bare.log")
    assert program.process.wait(30) == 1
    output = program.output()
    assert "Invalid: hello/bare cannot be served" in output
    assert 'put it under `if __name__ == "__main__":`' in output
    assert processes_of(home.home) == []


def test_a_server_that_is_away_or_refuses_ends_the_script(home: Harness, folder: Path) -> None:
    with harness(folder / "keyed", pool=None, settings={"api_key": "secret"}) as stoker:
        for url, problem in (
            (stoker.url, "STOKER_API_KEY"),
            ("http://127.0.0.1:1", "no server at http://127.0.0.1:1; start one"),
        ):
            environ = {"STOKER_API_URL": url, "STOKER_API_KEY": "wrong"}
            program = home.script("flows.py", "one", environ=environ, cwd=folder)
            assert program.process.wait(30) == 1
            assert problem in program.output()
    assert processes_of(home.home) == []


def test_it_may_be_stopped_while_its_host_imports(home: Harness, folder: Path, gate: Gate) -> None:
    (folder / "slow.py").write_text(
        f"from stoker.testing import arrive\narrive({gate.path!r})\n" + FLOWS
    )
    program = home.script("slow.py", "one", cwd=folder, log=folder / "slow.log")
    gate.wait().release()
    gate.wait()
    home.await_server(program)
    processes = home.processes()
    program.send(signal.SIGINT)
    assert program.process.wait(20) == 0
    leaves_nothing(home, processes)


def test_the_default_port_may_be_taken(home: Harness, folder: Path) -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # Then somebody else has it.
            taken.bind(("127.0.0.1", 4200))
            taken.listen()
        program = home.script(
            "flows.py", "one", environ={"STOKER_SERVER_PORT": ""}, cwd=folder, log=folder / "log"
        )
        assert "127.0.0.1:4200" not in program.await_output("Stop with Ctrl-C.")
        assert program.stop() == 0
