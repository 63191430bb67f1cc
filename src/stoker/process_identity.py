"""Which process is which on this machine: pid, start time and boot together name just one."""

import os
import socket

from stoker.domain.hosts import ProcessIdentity
from stoker.domain.pools import Machine


def this_machine() -> Machine:
    """Return this machine in its present boot, as this process sees it."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot_id = file.read().strip()
    namespace = os.readlink("/proc/self/ns/pid")
    return Machine(socket.gethostname(), boot_id, namespace.strip("pid:[]"))


def own_environment() -> dict[str, str]:
    """Return this process's environment, to be handed on to others.

    Without the ``LC_CTYPE`` that Python sets by itself in the C locale (PEP 538): where a later
    process sets ``LANG``, that would stand over it.
    """
    environ = dict(os.environ)
    try:
        with open("/proc/self/environ", "rb") as file:
            at_start = file.read().split(b"\0")
    except OSError:
        return environ
    if not any(entry.startswith(b"LC_CTYPE=") for entry in at_start):
        environ.pop("LC_CTYPE", None)
    return environ


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None where there is none.

    A zombie counts as none: it has ended, and waits only for its parent to look.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in brackets, may itself hold blanks and brackets. See proc_pid_stat(5).
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in {b"Z", b"X"}:
        return None
    return int(fields[19])


def identify(pid: int | None = None) -> ProcessIdentity:
    """Return the identity of a process that lives, by default of this one.

    Raises:
        ProcessLookupError: There is no such process.

    Example:
        >>> is_alive(identify())
        True
    """
    pid = os.getpid() if pid is None else pid
    started = start_time(pid)
    if started is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return ProcessIdentity(pid, started, this_machine())


def is_alive(process: ProcessIdentity) -> bool:
    """Whether a process of this machine still lives."""
    return (
        this_machine().shares_pids(process.machine) and start_time(process.pid) == process.started
    )
