"""Finding the server that runs on a home, by its lock file."""

import fcntl
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from stoker.domain.hosts import ProcessIdentity
from stoker.process_identity import is_alive, this_machine


class ServerFile(Struct, kw_only=True):
    """What a live server writes to ``<home>/server.json``.

    Attributes:
        url: Where it listens.
        pid: Its process id.
        started: Its start time as the kernel counts it (clock ticks since boot).
        boot_id: The kernel's id of this boot.
    """

    url: str
    pid: int
    started: int
    boot_id: str


def live_server(home: Path) -> str | None:
    """Return the URL of the server that runs on a home, or None.

    The file alone proves nothing, since a killed server leaves it; the process that it names
    must live, be no later one with the same pid, and the lock be held.

    Example:
        >>> live_server(Path("/nonexistent")) is None
        True
    """
    server = read_server_file(home)
    # The lock is tried only beside a live process: trying takes it for a moment, which a
    # server that starts would take for another server.
    if server is None or not lives(server) or not _locked(home / "server.lock"):
        return None
    return server.url


def read_server_file(home: Path) -> ServerFile | None:
    """Return what the last server of a home wrote, or None; it may be gone."""
    try:
        return msgspec.json.decode((home / "server.json").read_bytes(), type=ServerFile)
    except (OSError, msgspec.MsgspecError):
        return None


def lives(server: ServerFile) -> bool:
    """Whether the process that wrote a server file still lives."""
    machine = this_machine()
    return server.boot_id == machine.boot_id and is_alive(
        ProcessIdentity(server.pid, server.started, machine)
    )


def _locked(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False
