"""Opening a database: its settings, its schema, and what makes it unusable."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from stoker.crash_points import crash_point
from stoker.domain.errors import Unavailable
from stoker.storage.file_systems import refuse_network
from stoker.storage.queries import migrations
from stoker.storage.sqlite.problems import unusable
from stoker.storage.versions import compatible_from, need_compatible

TRIES = 50
"""How often write-ahead logging is turned on before what is in the way is said."""

TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY,
    compatible_from INTEGER NOT NULL
) STRICT
"""
"""What the schema's version does not say by itself: who else may work on it."""


def connect(path: Path, *, synchronous: str = "FULL") -> sqlite3.Connection:
    """Open a connection with Stoker's settings. It begins no transaction by itself."""
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=30
        )
    except sqlite3.Error as error:
        raise unusable(path, "opened", error) from error
    try:
        _write_ahead(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, "opened", error) from error
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn on write-ahead logging, which the first to open a new database does.

    SQLite does not wait where two do it at once, but refuses one of them: a transaction waits for
    the other.
    """
    for _ in range(TRIES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    connection.execute("PRAGMA journal_mode = WAL")


def prepare(
    path: Path, *, synchronous: str = "FULL", version: int | None = None
) -> sqlite3.Connection:
    """Open a database, made or brought up to date as needed; only up to ``version``, if given.

    Raises:
        Unavailable: Its folder cannot be made, it lies on a network file system, or it cannot be
            opened.
        Conflict: A newer Stoker wrote it.
    """
    make_home(path.parent)
    refuse_network(path)
    _make_private(path)
    connection = connect(path, synchronous=synchronous)
    try:
        _bring_up_to_date(connection, path, migrations()[:version])
    except BaseException as error:
        # Closing undoes what is not committed.
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise unusable(path, "opened", error) from error
        raise
    return connection


def _bring_up_to_date(connection: sqlite3.Connection, path: Path, steps: list[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    present: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if present > len(steps):
        compatible = _compatible_from(connection, present)
        need_compatible(str(path), present, compatible, "set STOKER_HOME to another folder")
    if present < len(steps):
        connection.execute(TABLE)
    for number, text in enumerate(steps[present:], start=present + 1):
        for statement in _statements(text):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(
            "INSERT INTO schema_migrations (version, compatible_from) VALUES (?, ?)",
            (number, compatible_from(number)),
        )
    crash_point("migration.before")
    connection.execute("COMMIT")
    crash_point("migration.after")


def _compatible_from(connection: sqlite3.Connection, number: int) -> int | None:
    """The oldest schema whose servers may work on this one; None where it does not say."""
    try:
        row = connection.execute(
            "SELECT compatible_from FROM schema_migrations WHERE version = ?", (number,)
        ).fetchone()
    except sqlite3.OperationalError:
        return None
    return row[0] if row else None


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
