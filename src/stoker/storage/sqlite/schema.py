"""Opening a database: its settings, its schema, and what makes it unusable."""

import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path

from stoker.domain.errors import Conflict, Unavailable
from stoker.storage.queries import migrations

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs"}
)
"""SQLite's locks and its shared memory do not hold on these: https://sqlite.org/wal.html"""


def connect(path: Path, *, synchronous: str = "FULL") -> sqlite3.Connection:
    """Open a connection with Stoker's settings. It begins no transaction by itself."""
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=30
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error as error:
        raise Unavailable(f"the database {path} cannot be opened: {error}") from error
    return connection


def prepare(path: Path, *, synchronous: str = "FULL") -> sqlite3.Connection:
    """Open a database, made or brought up to date as needed.

    Raises:
        Unavailable: Its folder cannot be made or lies on a network file system, or it cannot
            be opened.
        Conflict: A newer Stoker wrote it.
    """
    make_home(path.parent)
    refuse_network(path.parent)
    _make_private(path)
    connection = connect(path, synchronous=synchronous)
    steps = migrations()
    connection.execute("BEGIN IMMEDIATE")
    try:
        present: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if present > len(steps):
            raise Conflict(
                f"the database {path} has schema {present}, and this Stoker knows only up to "
                f"{len(steps)}: a newer Stoker wrote it. Upgrade Stoker, or set STOKER_HOME to "
                "another folder"
            )
        for number, text in enumerate(steps[present:], start=present + 1):
            for statement in _statements(text):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        connection.close()
        raise
    return connection


def make_home(folder: Path) -> None:
    """Make the folder of a home, if it is not there; raise `Unavailable` where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"STOKER_HOME {folder} cannot be made: {error.strerror}; set it to a folder that can "
            "be written"
        ) from None


def _make_private(path: Path) -> None:
    """Make the file, if there is none, for its owner alone: parameters may hold secrets."""
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _statements(text: str) -> list[str]:
    statements: list[str] = []
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


def refuse_network(folder: Path) -> None:
    """Raise `Unavailable` where a folder lies on a network file system."""
    kind = file_system_of(folder)
    if kind in NETWORK_FILE_SYSTEMS:
        raise Unavailable(
            f"{folder} lies on a network file system ({kind}), where SQLite's locks do not hold; "
            "set STOKER_HOME to a local folder"
        )


def file_system_of(folder: Path) -> str:
    """Return the type of the file system that a folder lies on; empty where unknown."""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    target = os.path.realpath(folder)
    best, kind = "", ""
    for line in mounts:
        _, point, found, *_ = line.split(" ")
        # Blanks and the like stand as octal escapes there: getmntent(3).
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind
