"""Flows that leave processes behind, each in another way."""

import os
import signal
import time
from collections.abc import Sequence

from stoker import flow
from stoker.runtime import flow_run
from stoker.testing import arrive

WAYS: list[set[str]] = [
    set(),
    {"session"},
    {"daemon"},
    {"bare"},
    {"deaf"},
    {"daemon", "bare", "deaf", "shut"},
]
"""What is done to be overlooked."""


def leave(way: set[str]) -> int:
    """Start a process that would live for an hour; return its pid.

    ``session``: in a session of its own. ``daemon``: that, and its parent has ended. ``bare``:
    without an environment. ``deaf``: it ignores SIGTERM. ``shut``: it keeps no descriptor.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        if way & {"session", "daemon"}:
            os.setsid()
        if "daemon" in way and os.fork():
            os._exit(0)
        if "deaf" in way:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(writer, str(os.getpid()).encode())
        if "shut" in way:
            os.closerange(0, 64)
        os.execve("/bin/sleep", ["sleep", "3600"], {} if "bare" in way else os.environ)
    os.close(writer)
    if "daemon" in way:
        os.waitpid(pid, 0)
    left = int(os.read(reader, 16))
    os.close(reader)
    return left


def haunt(gate: str) -> str:
    """Leave all kinds of processes, say which, and wait; return or raise what the test says."""
    pids = [leave(way) for way in WAYS]
    note = {"run": flow_run.id, "zygote": os.getppid(), "strays": pids}
    answer = arrive(gate, note)
    if answer == "fail":
        raise ValueError(answer)
    while answer == "hang":
        time.sleep(1)
    return flow_run.id or ""


@flow
def haunted(gate: str) -> str:
    """See `haunt`."""
    return haunt(gate)


@flow(timeout_seconds=1.0)
def hurried(gate: str) -> str:
    """The same, for a second."""
    return haunt(gate)


@flow
def restless(gate: str, hops: Sequence[int] = ()) -> None:
    """Leave a process that is another one every few milliseconds."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.write(writer, b"x")
        while True:
            if os.fork():
                os._exit(0)
            time.sleep(0.003)
    os.read(reader, 1)
    arrive(gate, {"run": flow_run.id})
