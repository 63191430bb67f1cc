"""The processes of a home: which there are, and that none is left."""

import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stoker.process_identity import start_time


class Process(NamedTuple):
    """A process that cannot be mistaken for a later one with the same pid.

    Attributes:
        pid: Process id.
        started: When it started, in clock ticks since boot.
        command: Its command line, for people.
    """

    pid: int
    started: int
    command: str

    @property
    def is_alive(self) -> bool:
        """Whether it still lives; a zombie does not."""
        return start_time(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still lives."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most so many seconds; say whether it came."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.is_alive:
                return True
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            return bool(poller.poll(max(0.0, seconds) * 1000))
        finally:
            os.close(pidfd)

    @property
    def children(self) -> "list[Process]":
        """Its living children."""
        return [found for found, parent in table().values() if parent == self.pid]


def processes_of(home: Path, roots: Iterable[int] = ()) -> list[Process]:
    """Return the living processes of a home, this one left out.

    Those are all with the home as STOKER_HOME in their environment, those that ``roots`` names,
    and all that descend from these.

    Args:
        home: The home.
        roots: Pids of processes that belong to it in any case.

    Example:
        >>> processes_of(Path("/nonexistent"))
        []
    """
    known = table()
    mark = f"STOKER_HOME={home}".encode()
    wanted = {pid for pid in known if mark in _environ(pid)}
    wanted.update(pid for pid in roots if pid in known)
    # An agent's environment can be read by root alone: its zygotes tell whose it is.
    for pid in list(wanted):
        parent = known[pid][1]
        if parent in known and "stoker.host.agent" in known[parent][0].command:
            wanted.add(parent)
    grown = True
    while grown:
        more = {pid for pid, (_, parent) in known.items() if parent in wanted} - wanted
        wanted |= more
        grown = bool(more)
    wanted.discard(os.getpid())
    return [known[pid][0] for pid in sorted(wanted)]


def end_all(processes: Iterable[Process], seconds: float = 5.0) -> list[Process]:
    """Kill processes, and return those that still live after so many seconds."""
    ending = list(processes)
    for process in ending:
        process.send(signal.SIGKILL)
    return await_ends(ending, seconds)


def await_ends(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Wait for the end of processes; return those that still live after so many seconds."""
    deadline = time.monotonic() + seconds
    return [one for one in processes if not one.wait(deadline - time.monotonic())]


def table() -> dict[int, tuple[Process, int]]:
    """Return all living processes by pid, each with its parent's pid."""
    found: dict[int, tuple[Process, int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                text = file.read()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The name, in brackets, may itself hold blanks and brackets. See proc_pid_stat(5).
        fields = text[text.rindex(b")") + 2 :].split()
        if fields[0] not in {b"Z", b"X"}:
            process = Process(int(name), int(fields[19]), command)
            found[process.pid] = process, int(fields[1])
    return found


def _environ(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []
