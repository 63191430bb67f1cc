"""A server and a worker without a descriptor to spare: they go on once there are some."""

import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from stoker.client.http import Api
from stoker.domain.errors import Unavailable
from stoker.testing import Gate, Harness
from stoker.testing.processes import await_ends


def until(reached: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Look until something is so; return what it is."""
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


@contextmanager
def no_more_files(pid: int, spare: int) -> Generator[None]:
    """Let a process open so many descriptors more than it has, and no other."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + spare, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def refuses(url: str) -> bool:
    """Whether a new client gets no answer."""
    with Api(url, timeout=5.0) as api:
        try:
            api.health()
        except Unavailable:
            return True
    return False


def test_a_server_answers_those_whom_it_knows(stoker: Harness, gate: Gate, tmp_path: Path) -> None:
    stoker.start("work/test", {"gate": gate.path, "ledger": str(tmp_path / "ledger")})
    arrival = gate.wait()
    assert stoker.server is not None
    port = int(stoker.url.rpartition(":")[2])
    with ExitStack() as opened:
        with no_more_files(stoker.server.pid, spare=2):
            for _ in range(4):
                opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            until(lambda: refuses(stoker.url), "there is no descriptor for another client")
            # This client has its connection, and so has the host.
            assert stoker.value("quick/test", {"n": 1}) == 1
            assert len(stoker.api.runs().runs) == 2
            arrival.release()
            assert stoker.wait(arrival.note["run"]).state.name == "Completed"
        until(lambda: not refuses(stoker.url), "there are some again")
    assert stoker.value("quick/test", {"n": 2}) == 2


def test_a_server_takes_as_many_as_the_system_allows(stoker: Harness) -> None:
    assert stoker.server is not None
    soft, hard = resource.prlimit(stoker.server.pid, resource.RLIMIT_NOFILE)
    assert soft == hard


@pytest.mark.parametrize("spare", [0, 3])
def test_a_worker_proves_a_death_and_launches_later(stoker: Harness, spare: int) -> None:
    stoker.run("quick/test", {"n": 1})
    (worker,) = stoker.workers
    (agent,) = [one for one in stoker.processes() if "stoker.host.agent" in one.command]
    with no_more_files(worker.pid, spare):
        agent.send(signal.SIGKILL)
        assert await_ends([agent], 10) == []
        time.sleep(0.5)  # Not a wait for a state: it shall meet its limit at every step.
        run = stoker.start("quick/test", {"n": 2})
    assert stoker.wait(run).state.name == "Completed"
    assert worker.running
