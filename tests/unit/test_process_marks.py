"""The mark that a host's processes have."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stoker.process_marks import VARIABLE, kill_marked, mark, marked, number_of

HOST = f"a host of {os.getpid()}"


@contextmanager
def asleep(*wrapper: str, env: dict[str, str] | None = None) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that would sleep for long."""
    process = subprocess.Popen(
        [*wrapper, "sh", "-c", "echo; sleep 600 & wait"],
        env=env,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


BARE = """
import os, sys
sys.stdin.readline()
os.setsid()
os.set_inheritable(int(sys.argv[1]), False)
os.execve("/bin/sleep", ["sleep", "600"], {})
"""


def test_the_mark_outlasts_a_cleared_environment_and_a_session() -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", BARE, str(writer)], stdin=subprocess.PIPE, pass_fds=[writer]
    )
    os.close(writer)
    mark(process.pid, HOST)
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.close()
    assert os.read(reader, 1) == b"", "the other program is there"
    os.close(reader)
    assert marked(HOST) == [process.pid]
    assert marked("another host") == []
    assert kill_marked(HOST) == [process.pid]
    assert process.wait(5) == -9
    assert marked(HOST) == []


def test_a_zombie_is_none() -> None:
    with asleep() as process:
        mark(process.pid, HOST)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process.pid not in marked(HOST)


def test_where_a_lower_limit_is_in_force_the_variable_says_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(resource, "prlimit", refuse)
    with asleep(env={VARIABLE: HOST, "PATH": os.environ["PATH"]}) as process:
        mark(process.pid, HOST)
        assert process.pid in marked(HOST)


def test_a_number_is_one_that_a_limit_can_be() -> None:
    assert 1 << 62 <= number_of(HOST) < (1 << 63) - 1
