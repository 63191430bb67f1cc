"""Which process this is, so that a later one with the same pid is not mistaken for it."""

import os
import socket

from stoker.domain.hosts import ProcessIdentity
from stoker.domain.pools import Machine


def this_process() -> ProcessIdentity:
    """Return the identity of the calling process."""
    pid = os.getpid()
    machine = Machine(socket.gethostname(), boot_id())
    return ProcessIdentity(pid, start_time(pid) or 0, machine)


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None where there is none.

    Field 22 of ``/proc/PID/stat`` (proc_pid_stat(5)). Without ``/proc`` it is 0 for every
    process that lives.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return None if os.path.exists("/proc/self/stat") else _lives(pid)
    except OSError:
        return None
    # The second field is a name in brackets that may hold anything.
    return int(text.rpartition(b")")[2].split()[19])


def boot_id() -> str:
    """Return the kernel's id of this boot; empty where it has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def _lives(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0
