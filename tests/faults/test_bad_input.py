"""Bad input ends in one clear error, an exit code that is not 0, and harms nothing else."""

import json
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.errors import Invalid, NotFound
from stoker.domain.pools import WarmKnobs
from stoker.domain.runs import FlowRun
from stoker.testing import Harness, harness, result_of

PROJECT = Path(__file__).parent / "project"

FLOWS = """
import os
import sys
from typing import Any

from stoker import flow

@flow
def good(n: int = 1) -> int:
    return n

@flow
def typed(count: int, names: list[str]) -> int:
    return count + len(names)

@flow
def exit_hard(code: int):
    os._exit(code)

@flow
def exit_softly(code: int):
    sys.exit(code)

@flow
def unserialisable() -> Any:
    return lambda: None

@flow
def segfault():
    import ctypes
    ctypes.string_at(0)

def plain():
    return 1

NUMBER = 5
"""


@pytest.fixture(scope="module")
def stoker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A server and a worker with one host, on which all of this happens."""
    folder = tmp_path_factory.mktemp("bad")
    file = folder / "flows.py"
    file.write_text(FLOWS)
    warm = WarmKnobs(min=1, max=1, slots_per_host=2)
    with harness(folder / "home", warm=warm) as shared:
        shared.deploy(file)
        yield shared


@pytest.fixture(autouse=True)
def _nothing_else_is_harmed(stoker: Harness) -> Iterator[None]:
    """After each test the next good run completes, on the same host."""
    before = stoker.run("good/test")
    yield
    after = stoker.run("good/test")
    assert result_of(after) == 1
    assert after.host_id == before.host_id


def one_line(run: FlowRun) -> str:
    """The message of a run's state, which is one line."""
    assert run.state.message
    assert "\n" not in run.state.message
    return run.state.message


def refused(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line with which a command ended."""
    assert done.returncode not in {0, None}
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_an_unknown_parameter(stoker: Harness) -> None:
    with pytest.raises(Invalid, match=r"no parameter 'k'.*it takes: n"):
        stoker.start("good/test", {"k": 1})
    with pytest.raises(Invalid, match="needs 'count', 'names'"):
        stoker.start("typed/test")
    line = refused(stoker.cli("deployment", "run", "good/test", "--param", "k=1", check=False))
    assert "has no parameter 'k'; it takes: n" in line


def test_a_parameter_of_the_wrong_type(stoker: Harness) -> None:
    run = stoker.run("typed/test", {"count": "many", "names": ["a", 3]})
    assert run.state.name == "Failed"
    assert "count" in one_line(run)
    assert "names" in one_line(run)
    assert run.started is None, "the flow was not called"
    done = stoker.cli(
        "deployment",
        "run",
        "typed/test",
        "--params",
        '{"count": "x", "names": []}',
        "--watch",
        check=False,
    )
    assert done.returncode == 1
    assert "count" in done.stdout


def test_an_unknown_deployment(stoker: Harness) -> None:
    with pytest.raises(NotFound, match="no deployment 'no/such'"):
        stoker.start("no/such")
    line = refused(stoker.cli("deployment", "run", "no/such", check=False))
    assert "no deployment 'no/such'" in line
    assert "stoker deployment ls" in line


@pytest.mark.parametrize(
    ("text", "flow", "words"),
    [
        ("def f(:\n", "f", ["broken.py, line 1", "no valid Python"]),
        ("\nimport no_such_module\n", "f", ["line 2", "no_such_module"]),
        ("\n\n1 / 0\n", "f", ["line 3", "ZeroDivisionError"]),
        ("raise SystemExit(4)\n", "f", ["line 1", "SystemExit"]),
        ("def f(): ...\n", "f", ["'f'", "no flow", "@flow"]),
        ("f = 5\n", "f", ["'f'", "no flow"]),
        ("from stoker import flow\n@flow\ndef g(): ...\n", "f", ["no flow 'f'", "g"]),
    ],
)
def test_a_file_that_cannot_be_deployed(
    stoker: Harness, tmp_path: Path, text: str, flow: str, words: list[str]
) -> None:
    (tmp_path / "broken.py").write_text(text)
    line = refused(stoker.cli("deploy", f"broken.py:{flow}", "-n", "x", cwd=tmp_path, check=False))
    for word in words:
        assert word in line
    with pytest.raises(NotFound):
        stoker.api.deployment("f/x")


def test_a_file_that_is_not_there(stoker: Harness, tmp_path: Path) -> None:
    line = refused(stoker.cli("deploy", "none.py:f", "-n", "x", cwd=tmp_path, check=False))
    assert "there is no file none.py" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from stoker import flow\ndef f(:\n", ["SyntaxError", "later.py, line 2"]),
        ("\nimport no_such_module\n", ["no_such_module", "later.py, line 2"]),
        ("raise SystemExit(4)\n", ["later.py", "line 1"]),
        ("import os\nos._exit(4)\n", ["later.py", "exit code 4"]),
        ("f = 5\n", ["'f'", "no flow"]),
        ("", ["no flow 'f'"]),
        (None, ["later.py"]),
    ],
)
def test_a_file_that_is_broken_after_it_was_deployed(
    stoker: Harness, tmp_path: Path, text: str | None, words: list[str]
) -> None:
    file = tmp_path / "later.py"
    file.write_text("from stoker import flow\n@flow\ndef f() -> int:\n    return 1\n")
    stoker.deploy(file)
    assert stoker.value("f/test") == 1
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    for _ in range(2):
        run = stoker.run("f/test")
        assert run.state.name == "Failed"
        for word in words:
            assert word in one_line(run)
    file.write_text("from stoker import flow\n@flow\ndef f() -> int:\n    return 2\n")
    assert stoker.value("f/test") == 2


def test_a_flow_that_ends_its_process(stoker: Harness) -> None:
    run = stoker.run("exit-hard/test", {"code": 3})
    assert run.state.name == "Crashed"
    assert "exit code 3" in one_line(run)
    run = stoker.run("exit-softly/test", {"code": 3})
    assert run.state.name == "Failed"
    assert "sys.exit(3)" in one_line(run)
    run = stoker.run("segfault/test")
    assert run.state.name == "Crashed"
    assert "SIGSEGV" in one_line(run)


def test_a_result_that_cannot_be_serialised(stoker: Harness) -> None:
    run = stoker.run("unserialisable/test")
    assert run.state.name == "Failed"
    message = one_line(run)
    assert "function" in message
    assert "result" in message or "returned" in message
    with pytest.raises(Exception, match="function"):
        result_of(run)


def test_a_port_in_use(stoker: Harness, tmp_path: Path) -> None:
    port = stoker.url.rpartition(":")[2]
    for command in (("server", "start"), ("up",)):
        with Harness(tmp_path / command[0]) as other:
            line = refused(other.cli(*command, "--port", port, check=False))
            assert f"127.0.0.1:{port}" in line
            assert "--port" in line
            assert other.processes() == []


def test_a_home_in_use(stoker: Harness) -> None:
    for command in (("server", "start"), ("up",)):
        line = refused(stoker.cli(*command, "--port", "0", check=False))
        assert f"a server runs on {stoker.home} already" in line
    assert stoker.api.health().home == str(stoker.home)


def test_a_database_of_a_newer_version(stoker: Harness, tmp_path: Path) -> None:
    with Harness(tmp_path / "newer") as other:
        other.start_server().stop()
        with sqlite3.connect(other.home / "stoker.db") as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {version + 1}")
        database.close()
        before = (other.home / "stoker.db").read_bytes()
        for command in (("server", "start", "--port", "0"), ("up", "--port", "0")):
            line = refused(other.cli(*command, check=False))
            assert "newer" in line
        (tmp_path / "script.py").write_text("from stoker import flow\nflow(lambda: 1)()\n")
        done = other.python(str(tmp_path / "script.py"), check=False)
        assert done.returncode != 0
        assert "newer" in done.stderr.splitlines()[-1]
        assert (other.home / "stoker.db").read_bytes() == before


def test_no_server(tmp_path: Path, stoker: Harness) -> None:
    with Harness(tmp_path / "none") as other:
        for command in (("flow-run", "ls"), ("worker", "start", "-p", "default")):
            line = refused(other.cli(*command, check=False))
            assert "no server runs on" in line
            assert "stoker up" in line


def test_a_worker_of_an_unknown_pool(stoker: Harness) -> None:
    line = refused(stoker.cli("worker", "start", "-p", "nowhere", check=False))
    assert "no work pool 'nowhere'" in line
    assert "stoker work-pool create nowhere" in line


def test_an_address_beyond_loopback_without_a_key(tmp_path: Path, stoker: Harness) -> None:
    with Harness(tmp_path / "open") as other:
        line = refused(
            other.cli("server", "start", "--host", "0.0.0.0", "--port", "0", check=False)
        )
        assert "STOKER_API_KEY" in line


def test_a_working_directory_that_is_not_there(stoker: Harness, tmp_path: Path) -> None:
    variables: dict[str, Any] = {"working_dir": str(tmp_path / "none")}
    for name, value in (("working_dir", variables), ("python", {"python": "/no/such/python"})):
        stoker.deploy(stoker.home.parent / "flows.py", "good", name=name, job_variables=value)
        run = stoker.run(f"good/{name}")
        assert run.state.name in {"Failed", "Crashed"}
        assert str(next(iter(value.values()))) in one_line(run)


def test_what_is_no_json_is_refused(stoker: Harness) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", int(stoker.url.rpartition(":")[2]))
    connection.request("POST", "/api/flow-runs", b"{", {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status in {400, 422}
    assert json.loads(answer.read())["detail"]
    connection.close()


def test_a_port_that_is_bound_by_something_else(stoker: Harness, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Harness(tmp_path / "other") as other,
    ):
        port = str(listener.getsockname()[1])
        line = refused(other.cli("server", "start", "--port", port, check=False))
        assert "Address already in use" in line
