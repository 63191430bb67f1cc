"""Scripts without a server: they write their runs into the home's store themselves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stoker import settings
from stoker.bootstrap.stores import open_store
from stoker.client.backend import HttpBackend
from stoker.domain.errors import Invalid, NotFound, Unavailable
from stoker.domain.hosts import HostState
from stoker.domain.pools import WorkPool
from stoker.domain.reports import Finished, Logged, Started, SubflowCreated
from stoker.domain.requests import AwaitRun, PutDeployment, ReadRun, StartRun
from stoker.domain.runs import FlowRun, LogLine
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.embedded import EmbeddedBackend, open_backend
from stoker.services import administration
from stoker.services.unit import Unit


@pytest.fixture
def here(stoker_home):
    """The settings of the test's home."""
    settings.load.cache_clear()
    yield settings.load()
    settings.load.cache_clear()


@pytest.fixture
def backend(here):
    opened = EmbeddedBackend(here)
    yield opened
    opened.close()


@contextmanager
def store_of(here) -> Iterator[Any]:
    store = open_store(here)
    yield store
    store.close()


def created(run_id: str, parent: str | None = None) -> SubflowCreated:
    state = StateRecord(StateType.RUNNING, "Running", 1.0)
    return SubflowCreated(
        FlowRun(id=run_id, name="n", flow_name="f", state=state, attempt=1, parent_run_id=parent)
    )


def ended(kind: StateType = StateType.COMPLETED, **fields) -> Finished:
    return Finished(StateRecord(kind, kind.title(), 2.0), **fields)


def line(text: str) -> Logged:
    return Logged([LogLine(at=1.0, level=20, logger="x", message=text)])


def test_reports_are_there_after_a_flush_in_their_order(here, backend):
    backend.report("r", created("r"), Started(1.0))
    for number in range(100):
        backend.report("r", line(f"{number}"))
    backend.report("s", created("s", "r"), Started(1.5), ended())
    backend.report("r", ended(result=ResultRecord("json", b"42")))
    backend.flush()
    with store_of(here) as store:
        run = store.read(lambda records: records.flow_run("r")).result(10)
        logs = store.read(lambda records: records.logs("r", 0, 1000)).result(10)
        inner = store.read(lambda records: records.flow_run("s")).result(10)
    assert (run.state.type, run.result) == (StateType.COMPLETED, ResultRecord("json", b"42"))
    assert run.run_count == 1
    assert [one.message for one in logs] == [f"{number}" for number in range(100)]
    assert (inner.state.type, inner.parent_run_id) == (StateType.COMPLETED, "r")


def test_its_own_runs_can_be_read(backend):
    backend.report("r", created("r"))
    assert backend.ask(ReadRun(run_id="r")).flow_name == "f"
    with pytest.raises(NotFound):
        backend.ask(ReadRun(run_id="x"))


def test_a_deployment_can_be_made(here, backend):
    with store_of(here) as store:
        pool = WorkPool(id="", name="pool")
        store.write(lambda records: administration.create_pool(Unit(records, 1.0), pool)).result(10)
    deployment = administration.Deployment(
        id="", name="d", flow_name="f", entrypoint="a.py:f", path="/p", pool="pool"
    )
    assert backend.ask(PutDeployment(deployment=deployment)).lane
    deployment.entrypoint = "a.py"
    with pytest.raises(Invalid):
        backend.ask(PutDeployment(deployment=deployment))


def test_a_deployment_to_no_pool_says_that_a_server_makes_pools(backend):
    deployment = administration.Deployment(
        id="", name="d", flow_name="f", entrypoint="a.py:f", path="/p", pool="default"
    )
    said = r"no work pool 'default'.*start one with `stoker up`, which makes the pool `default`"
    with pytest.raises(NotFound, match=said):
        backend.ask(PutDeployment(deployment=deployment))


def test_a_home_that_cannot_be_made_is_said(here):
    opened = EmbeddedBackend(replace(here, home=Path("/proc/stoker")))
    with pytest.raises(Unavailable, match=r"^STOKER_HOME /proc/stoker cannot be made: "):
        opened.report("r", created("r"))


@pytest.mark.parametrize("request_", [StartRun(deployment="f/d"), AwaitRun(run_id="r")])
def test_what_needs_a_server_says_so(here, backend, request_):
    with pytest.raises(Unavailable, match="start it with `stoker up`, or set STOKER_API_URL"):
        backend.ask(request_)


def test_a_backend_that_nobody_used_touches_nothing(here):
    backend = EmbeddedBackend(here)
    backend.flush()
    backend.close()
    assert not here.home.exists()


def test_closing_leaves_no_host_behind_and_ends_what_is_open(here):
    backend = EmbeddedBackend(here)
    backend.report("r", created("r"))
    backend.report("s", created("s", "r"))
    backend.report("t", created("t"), ended())
    backend.close()
    backend.close()
    with store_of(here) as store:
        assert store.read(lambda records: records.hosts()).result(10) == []
        runs = [
            store.read(lambda records, one=one: records.flow_run(one)).result(10) for one in "rst"
        ]
    assert [run.state.type for run in runs] == [
        StateType.CRASHED,
        StateType.CRASHED,
        StateType.COMPLETED,
    ]
    assert "the script ended before its run did" in runs[0].state.message


def test_a_store_that_cannot_be_opened_is_said_at_each_report(here, backend):
    here.home.mkdir(parents=True)
    (here.home / "stoker.db").write_bytes(b"no database" * 100)
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be opened"):
            backend.report("r", created("r"))


def test_scripts_may_write_at_the_same_time(here, backend):
    other = EmbeddedBackend(here)
    for number in range(50):
        backend.report(f"a{number}", created(f"a{number}"), ended())
        other.report(f"b{number}", created(f"b{number}"), ended())
    backend.flush()
    other.close()
    for number in range(50):
        for run_id in (f"a{number}", f"b{number}"):
            assert backend.ask(ReadRun(run_id=run_id)).state.type is StateType.COMPLETED


def test_a_forked_child_leaves_the_parents_store_alone(here, backend):
    backend.report("r", created("r"), line("before"))
    backend.flush()
    child = os.fork()
    if not child:
        try:
            backend.report("c", created("c"), ended())
            backend.close()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    backend.report("r", line("after"), ended())
    backend.flush()
    assert backend.ask(ReadRun(run_id="r")).state.type is StateType.COMPLETED
    assert backend.ask(ReadRun(run_id="c")).state.type is StateType.COMPLETED
    with store_of(here) as store:
        logs = store.read(lambda records: records.logs("r", 0, 10)).result(10)
        hosts = store.read(lambda records: records.hosts()).result(10)
    assert [one.message for one in logs] == ["before", "after"]
    assert [host.state for host in hosts] == [HostState.UP], "the parent's; the child's has left"


def test_a_live_server_of_the_home_is_used(here, new_server):
    server = new_server(home="stoker-home").start()
    assert server.home == here.home
    backend = open_backend(here)
    assert isinstance(backend, HttpBackend)
    backend.report("r", created("r"), ended())
    backend.flush()
    backend.close()
    assert server.state("r") == "COMPLETED"


def test_without_a_server_the_store_is_written(here):
    backend = open_backend(here)
    assert isinstance(backend, EmbeddedBackend)
    backend.close()


SCRIPT = """
import os
import sys
from stoker import flow, task
from stoker.engine import backends

@task
def double(x: int) -> int:
    return 2 * x

@flow
def inner(x: int) -> int:
    return double(x)

@flow(log_prints=True)
def outer(x: int) -> int:
    found = inner(x)
    print("found", found)
    if "wait" in sys.argv:
        backends.current().flush()
        os.write(1, b"ready\\n")
        sys.stdin.read()
    return found

@flow
def around():
    return outer(21)

if __name__ == "__main__":
    around() if "wait" in sys.argv else outer(21)
"""


def script(tmp_path, *arguments: str) -> "subprocess.Popen[str]":
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(file), *arguments],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_server_that_is_started_later_shows_a_scripts_runs(stoker_home, tmp_path, new_server):
    with script(tmp_path) as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    server = new_server(home="stoker-home").start()
    runs = {run["flow_name"]: run for run in server.get("/api/flow-runs")["runs"]}
    assert {name: run["state"]["type"] for name, run in runs.items()} == {
        "outer": "COMPLETED",
        "inner": "COMPLETED",
    }
    assert runs["inner"]["parent_run_id"] == runs["outer"]["id"]
    outer, inner = runs["outer"]["id"], runs["inner"]["id"]
    names = [state["name"] for state in server.get(f"/api/flow-runs/{outer}/states")]
    assert names[-2:] == ["Running", "Completed"]
    assert "Retrying" not in names
    logs = server.get(f"/api/flow-runs/{outer}/logs")
    assert "found 42" in [one["message"] for one in logs]
    (task_run,) = server.get(f"/api/flow-runs/{inner}/task-runs")
    assert (task_run["task_name"], task_run["state"]["type"]) == ("double", "COMPLETED")


def test_a_killed_scripts_runs_are_ended_by_the_next_server(stoker_home, tmp_path, new_server):
    with script(tmp_path, "wait") as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
        finally:
            process.send_signal(signal.SIGKILL)
    server = new_server(home="stoker-home", sweep="0.1").start()
    runs = {run["flow_name"]: run["id"] for run in server.get("/api/flow-runs")["runs"]}
    for name in ("around", "outer"):
        found = server.get(f"/api/flow-runs/{runs[name]}/wait?timeout=20")
        assert found["state"]["type"] == "CRASHED", name
        assert "ended" in found["state"]["message"]
    assert server.state(runs["inner"]) == "COMPLETED"


def test_a_script_that_lives_is_not_swept(stoker_home, tmp_path, new_server):
    with script(tmp_path, "wait") as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == "ready\n"
            server = new_server(home="stoker-home", sweep="0.05", lease="0.2", heartbeat="0.1")
            server.start()
            runs = {run["flow_name"]: run["id"] for run in server.get("/api/flow-runs")["runs"]}
            path = f"/api/flow-runs/{runs['around']}/wait"
            assert server.get(f"{path}?timeout=0.6")["state"]["type"] == "RUNNING"
            process.stdin.close()
            asked = time.monotonic()
            assert server.get(f"{path}?timeout=20")["state"]["type"] == "COMPLETED"
            assert time.monotonic() - asked < 15, "the server sees what the script has written"
        finally:
            if process.poll() is None:
                process.kill()
