"""A server starts on a free home and port, says clearly why it does not, and ends when told."""

import os
import signal
import socket
import sqlite3
import stat
import threading

import pytest

from stoker.client.discovery import live_server, read_server_file


def refused(server, *options: str) -> str:
    """Start a server that must not come up; return the one line that it writes."""
    server.launch(*options)
    code, text = server.ended()
    assert code not in (0, None)
    (line,) = text.splitlines()
    return line


def test_beyond_loopback_it_asks_for_a_key(new_server):
    line = refused(new_server(), "--host", "0.0.0.0", "--port", "0")
    assert "set STOKER_API_KEY" in line
    assert live_server(new_server().home) is None


@pytest.mark.parametrize("name", ["0.0.0.0", "localhost", "127.0.0.2"])
def test_with_a_key_or_on_loopback_it_binds(new_server, name):
    settings = {"api_key": "k"} if name == "0.0.0.0" else {}
    server = new_server(**settings).start("--host", name, "--port", "0")
    assert server.get("/api/health")["home"] == str(server.home)


def test_a_port_in_use_is_named(new_server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(new_server(), "--port", str(port))
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in line
    assert "--port" in line


def test_a_second_server_on_a_home_is_refused_and_harms_nothing(server, new_server):
    line = refused(new_server())
    assert f"a server runs on {server.home} already" in line
    assert live_server(server.home) == server.url
    assert server.get("/api/health")


def test_two_homes_do_not_meet(server, new_server):
    other = new_server("other").start()
    assert other.get("/api/work-pools") == []
    assert live_server(other.home) != live_server(server.home)


def test_a_database_of_a_newer_stoker_is_refused(new_server):
    first = new_server().start()
    first.stop()
    with sqlite3.connect(first.home / "stoker.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    line = refused(new_server())
    assert "has schema 999" in line
    assert "Upgrade Stoker" in line


def test_what_is_no_database_is_refused(new_server):
    server = new_server()
    server.home.mkdir()
    (server.home / "stoker.db").write_bytes(b"no database" * 100)
    assert "cannot be opened" in refused(server)


@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("/proc/stoker", "STOKER_HOME /proc/stoker cannot be made: No such file or directory; set"),
        ("/dev/null", "STOKER_HOME /dev/null cannot be made: File exists; set it to a folder"),
        ("/proc", "STOKER_HOME /proc cannot be written: No such file or directory; make room"),
    ],
)
def test_a_home_that_cannot_be_used_is_refused(new_server, home, said):
    assert said in refused(new_server(home))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_and_leaves_no_address(new_server, number):
    server = new_server().start()
    assert live_server(server.home) == server.url
    code, text = server.stop(number)
    assert code in (0, 130) if number == signal.SIGINT else code == 0, text
    assert read_server_file(server.home) is None
    assert "Traceback" not in text
    assert "Warning" not in text


def test_it_sends_waiting_callers_away_when_it_ends(server, worker):
    worker().orders(0)
    run_id = server.run()["id"]
    answers = {}

    def ask(name: str) -> None:
        answers[name] = server.call("GET", f"/api/flow-runs/{run_id}/{name}").json

    asked = ("wait?timeout=300", "logs?wait=300")
    callers = [threading.Thread(target=ask, args=(name,)) for name in asked]
    for caller in callers:
        caller.start()
    # Answered after the two were taken in: the server takes connections in their order.
    server.get(f"/api/flow-runs/{run_id}/wait?timeout=0.2")
    code, text = server.stop()
    for caller in callers:
        caller.join(20)
    assert code == 0
    assert "Traceback" not in text
    assert answers["wait?timeout=300"]["state"]["type"] == "SCHEDULED"
    assert answers["logs?wait=300"] == []


def test_a_killed_server_is_not_found_and_another_takes_its_home(server, new_server):
    run_id = server.run()["id"]
    server.stop(signal.SIGKILL)
    assert read_server_file(server.home) is not None
    assert live_server(server.home) is None
    again = new_server().start()
    assert again.state(run_id) == "SCHEDULED"


def test_its_files_are_its_owners_alone(server):
    for name in ("server.lock", "stoker.db"):
        mode = stat.S_IMODE(os.stat(server.home / name).st_mode)
        assert mode & 0o077 == 0, f"{name} is {mode:o}"
