"""Finding the server that runs on a home, by its lock file."""

import fcntl
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from stoker.domain.hosts import ProcessIdentity
from stoker.process_identity import is_alive, this_machine


class ServerFile(Struct, kw_only=True):
    """What a live server writes to ``<home>/server.json``, or ``server-PORT.json`` of several.

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


def live_server(home: Path, pid: int | None = None) -> str | None:
    """Return the URL of a server that runs on a home, or None.

    The file alone proves nothing, since a killed server leaves it; the process that it names
    must live, be no later one with the same pid, and the lock be held.

    Args:
        home: The folder.
        pid: The server's process, where it must be that one: several may run on one home if
            their database is none of the home's.

    Example:
        >>> live_server(Path("/nonexistent")) is None
        True
    """
    for file in _server_files(home):
        server = _read(file)
        # The lock is tried only beside a live process: trying takes it for a moment, which a
        # server that starts would take for another server.
        if (
            server is not None
            and pid in (None, server.pid)
            and lives(server)
            and _locked(file.with_suffix(".lock"))
        ):
            return server.url
    return None


def read_server_file(home: Path) -> ServerFile | None:
    """Return what a server of a home wrote, of one that lives if there is one; or None."""
    servers = [server for file in _server_files(home) if (server := _read(file)) is not None]
    return next(filter(lives, servers), servers[0] if servers else None)


def _server_files(home: Path) -> list[Path]:
    """Of the one server of an embedded database, and of those that share another one."""
    try:
        others = sorted(home.glob("server-*.json"))
    except OSError:
        # Whoever goes on to use the home says what is wrong with it.
        others = []
    return [home / "server.json", *others]


def _read(file: Path) -> ServerFile | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=ServerFile)
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
