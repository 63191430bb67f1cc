"""Finding the server that runs on a home."""

import fcntl

import msgspec
import pytest

from stoker.client.discovery import ServerFile, live_server
from stoker.client.health import healthy_server
from stoker.process_identity import identify


@pytest.fixture
def home(tmp_path):
    me = identify()
    server = ServerFile(
        url="http://127.0.0.1:1", pid=me.pid, started=me.started, boot_id=me.machine.boot_id
    )
    write(tmp_path, server)
    (tmp_path / "server.lock").touch()
    return tmp_path


def write(home, server: ServerFile) -> None:
    (home / "server.json").write_bytes(msgspec.json.encode(server))


def read(home) -> ServerFile:
    return msgspec.json.decode((home / "server.json").read_bytes(), type=ServerFile)


@pytest.fixture
def locked(home):
    with open(home / "server.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield home


def test_a_live_server_that_holds_the_lock_is_found(locked):
    assert live_server(locked) == "http://127.0.0.1:1"


def test_without_the_lock_there_is_no_server(home):
    assert live_server(home) is None


def test_looking_leaves_the_lock_free(home):
    live_server(home)
    with open(home / "server.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("change", [{"started": 1}, {"boot_id": "other"}, {"pid": 2**22 + 1}])
def test_a_file_of_another_process_counts_for_nothing(locked, change):
    write(locked, msgspec.structs.replace(read(locked), **change))
    assert live_server(locked) is None


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_file_is_no_server(locked, text):
    (locked / "server.json").write_text(text)
    assert live_server(locked) is None


def test_an_empty_home_has_no_server(tmp_path):
    assert live_server(tmp_path) is None


def test_a_live_server_that_does_not_answer_is_not_healthy(locked, tmp_path):
    assert live_server(locked)
    assert healthy_server(locked, None) is None
    assert healthy_server(tmp_path / "nothing", None) is None
