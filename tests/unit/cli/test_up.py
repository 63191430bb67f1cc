"""``stoker up`` as a process: start, refusals, restarts, and the ways that it stops."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stoker.client.discovery import live_server
from stoker.client.http import Api
from stoker.process_identity import start_time
from stoker.settings import load

COMMAND = [sys.executable, "-P", "-m", "stoker"]
DEADLINE = 60.0


def eventually(look: Callable[[], Any], what: str) -> Any:
    """Return the first true answer; for what no event of this process can tell."""
    deadline = time.monotonic() + DEADLINE
    pause = threading.Event()
    while not (found := look()):
        assert time.monotonic() < deadline, f"timed out: {what}"
        pause.wait(0.02)
    return found


def descendants(pid: int) -> set[int]:
    """All processes below one."""
    found: set[int] = set()
    todo = [pid]
    while todo:
        parent = todo.pop()
        try:
            text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        todo += map(int, text.split())
        found |= set(map(int, text.split()))
    return found


def lives(pid: int) -> bool:
    return start_time(pid) is not None


class Up:
    """A running ``stoker up``."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*COMMAND, "up", "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def says(self, pattern: str) -> str:
        """Wait for a line of its output."""

        def find() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._changed:
            found = self._changed.wait_for(find, DEADLINE)
        assert found, "\n".join([f"no {pattern!r} in:", *self.lines])
        return found

    def child(self, name: str) -> int | None:
        """Process id of the server or the worker."""
        for pid in descendants(self.process.pid):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if name.encode() in words and b"start" in words:
                return pid
        return None

    def ready(self) -> "Up":
        """Wait until the pool has a host that is up."""
        self.says("Stoker is up")
        url = live_server(self.home)
        assert url

        def host_is_up() -> bool:
            with Api(url) as api:
                return any(host.state == "up" for host in api.pool("default").hosts)

        eventually(host_is_up, "a host that is up")
        return self

    def end(self) -> int:
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code


@pytest.fixture
def up(stoker_home):
    started: list[Up] = []

    def start(*arguments: str) -> Up:
        started.append(Up(stoker_home, *arguments))
        return started[-1]

    yield start
    for one in started:
        below = descendants(one.process.pid)
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGTERM)
            one.process.send_signal(signal.SIGTERM)
        try:
            one.end()
        finally:
            for pid in below:
                if lives(pid):
                    os.kill(pid, signal.SIGKILL)
            assert one.process.stdout is not None
            one.process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_serves_a_pool_and_a_signal_ends_all_of_it(up, stoker_home, number):
    running = up("--limit", "3").ready()
    url = live_server(stoker_home)
    assert url
    running.says(re.escape(url))
    with Api(url) as api:
        found = api.pool("default")
    assert found.pool.warm.min == 1
    assert found.workers[0].limit == 3
    below = descendants(running.process.pid)
    assert len(below) >= 3
    running.process.send_signal(number)
    assert running.end() == 0
    assert not [pid for pid in below if lives(pid)]
    assert live_server(stoker_home) is None


def test_the_terminal_s_ctrl_c_does_not_reach_the_children(up):
    running = up().ready()
    for name in ("server", "worker"):
        pid = running.child(name)
        assert pid
        assert os.getsid(pid) == pid


def test_a_second_up_on_the_same_home_is_refused(up, stoker_home):
    running = up().ready()
    done = subprocess.run([*COMMAND, "up"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: a server runs on {stoker_home} already")
    assert done.stderr.count("\n") == 1
    assert running.process.poll() is None


def test_a_port_in_use_is_one_clear_error(stoker_home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*COMMAND, "up", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert port in done.stderr
    assert "--port" in done.stderr


def test_beyond_loopback_a_key_is_needed(stoker_home):
    command = [*COMMAND, "up", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "STOKER_API_KEY" in done.stderr


def is_adopted(api: Api, since: float) -> bool:
    """Whether all hosts are the connected worker's, and have been heard of since a time."""
    detail = api.pool("default")
    return {host.worker_id for host in detail.hosts} == {one.id for one in detail.workers} and all(
        host.lease_until - load().lease > since for host in detail.hosts
    )


def test_what_dies_is_started_again_where_it_was(up, stoker_home):
    running = up().ready()
    url = live_server(stoker_home)
    killed = time.time()
    for name in ("server", "worker"):
        pid = running.child(name)
        assert pid
        os.kill(pid, signal.SIGKILL)
        running.says(f"The {name} ended .SIGKILL. and is started again")
        eventually(lambda: running.child(name) not in (None, pid), f"another {name}")  # noqa: B023
        eventually(lambda: live_server(stoker_home) == url, "the server at its old place")
    running.ready()
    assert url
    with Api(url) as api:
        # Else it is stopped before it knows of the host, which would outlive it.
        eventually(lambda: is_adopted(api, killed), "the new worker has the old one's host")


def test_children_end_gracefully_where_up_is_killed(up):
    running = up().ready()
    below = descendants(running.process.pid)
    os.kill(running.process.pid, signal.SIGKILL)
    eventually(lambda: not [pid for pid in below if lives(pid)], "the end of the children")
    # The worker has drained: its host was asked to leave, and did.
    running.says("host .*: it left")


FLOW = """
import signal, threading
from stoker import flow

@flow
def stubborn():
    print("at work", flush=True)
    threading.Event().wait(60)
"""


def test_a_second_signal_stops_at_once(up, stoker_home, tmp_path):
    running = up().ready()
    (tmp_path / "stubborn_flow.py").write_text(FLOW)
    for command in (
        ["deploy", "stubborn_flow.py:stubborn", "-n", "d"],
        ["deployment", "run", "stubborn/d", "--json"],
    ):
        done = subprocess.run([*COMMAND, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    run_id = json.loads(done.stdout)["id"]
    url = live_server(stoker_home)
    assert url
    with Api(url) as api:
        eventually(lambda: api.run(run_id).state.type == "RUNNING", "a run at work")
    below = descendants(running.process.pid)
    running.process.send_signal(signal.SIGINT)
    running.says("Ctrl-C again stops at once")
    since = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0
    assert time.monotonic() - since < 8, running.lines  # The grace time alone is 10 s.
    left = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below if lives(pid)]
    assert not left, "\n".join([*map(str, left), *running.lines])
