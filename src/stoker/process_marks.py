"""Whose process is whose: a mark that everything a host's runs start inherits.

A program may be started with a cleared environment, in a session of its own, by a parent that is
gone. What the kernel hands on through all of that are resource limits. So the mark is one that
nothing else uses: the time a real-time process may compute without a pause, in microseconds,
which is set to more than a hundred thousand years, and in whose last digits the host is.
"""

import contextlib
import hashlib
import os
import resource
import signal
from collections.abc import Callable

from stoker.process_identity import start_time
from stoker.shortage import is_shortage

VARIABLE = "STOKER_HOST_ID"
"""The second mark, for people, and where a limit cannot be set: a variable with the host's id."""
ENDLESS = 1 << 62
"""Microseconds: what is no limit."""
LIMIT = b"Max realtime timeout"
"""Its line in ``/proc/<pid>/limits``; see proc_pid_limits(5)."""


def mark(pid: int, host_id: str) -> None:
    """Mark a process as a host's, and all that it starts from now on.

    Where the limit may not be set, since one lower is in force, the variable has to do.
    """
    number = number_of(host_id)
    with contextlib.suppress(ValueError, PermissionError, ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_RTTIME, (number, number))


def number_of(host_id: str) -> int:
    """Return the limit that stands for a host.

    Example:
        >>> number_of("a") == number_of("a") != number_of("b")
        True
    """
    digest = hashlib.sha256(host_id.encode()).digest()
    return ENDLESS + (int.from_bytes(digest[:8]) >> 3)


def kill_marked(host_id: str) -> list[int]:
    """Kill all living processes of a host, its agent excepted; return their pids.

    Left out are those that this process may not kill: a run has started them as another user.

    Raises:
        OSError: The system has no descriptor left to look at them: it is not known.
    """
    is_marked = _finder(host_id)
    killed: list[int] = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or not is_marked(name):
            continue
        try:
            pidfd = os.pidfd_open(int(name))
            try:
                # The first look may have seen another process of that pid.
                if start_time(int(name)) is not None and is_marked(name):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    killed.append(int(name))
            finally:
                os.close(pidfd)
        except OSError as error:
            if is_shortage(error):
                raise
    return killed


def marked(host_id: str) -> list[int]:
    """Return the pids of a host's living processes, its agent's excepted."""
    is_marked = _finder(host_id)
    names = [name for name in os.listdir("/proc") if name.isdigit() and is_marked(name)]
    return [int(name) for name in names if start_time(int(name)) is not None]


def _finder(host_id: str) -> Callable[[str], bool]:
    number = b"%d" % number_of(host_id)
    variable = f"{VARIABLE}={host_id}".encode()

    def is_marked(pid: str) -> bool:
        try:
            with open(f"/proc/{pid}/limits", "rb") as file:
                for line in file:
                    if line.startswith(LIMIT) and number in line:
                        return True
            with open(f"/proc/{pid}/environ", "rb") as file:
                return variable in file.read().split(b"\0")
        except OSError as error:
            if is_shortage(error):
                raise
            return False

    return is_marked
