"""Backups: a SQLite file with all tables, of whichever database.

So no client program has to be there and fit the server, a backup can be looked into with what every
Python brings, and what was kept in one database can be restored into the other.
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from stoker.domain.errors import Conflict, Invalid, Unavailable
from stoker.storage.sqlite.schema import prepare

INTERNAL = "schema_migrations"
"""What tells of the schema itself, and is no table of records."""


class Table(Struct, frozen=True):
    """A table of records, and its columns in the order of a backup."""

    name: str
    columns: list[str]

    @property
    def listed(self) -> str:
        """Its columns as SQL has them."""
        return ", ".join(f'"{column}"' for column in self.columns)


class Check(Struct, kw_only=True):
    """What there is to say of a database.

    Attributes:
        database: Its URL, without a password.
        version: What serves it.
        schema: Its schema.
        known: The schema that this Stoker knows.
        size: Bytes on disk.
        clock: Seconds by which its clock is ahead of this machine's; None where it is the same.
        runs: Flow runs in it.
        problems: What is wrong; empty for a sound database.
        notes: What could not be looked at, and why.
    """

    database: str
    version: str
    schema: int
    known: int
    size: int
    clock: float | None
    runs: int
    problems: list[str]
    notes: list[str]


def tables_of(connection: sqlite3.Connection) -> list[Table]:
    """Return the tables of records of a SQLite file, by name."""
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'"
        " AND name <> ? ORDER BY name",
        (INTERNAL,),
    )
    return [
        Table(name, [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')])
        for (name,) in names.fetchall()
    ]


def rows_in(connection: sqlite3.Connection) -> int:
    """Count the rows of all tables of records."""
    return sum(
        connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0]
        for table in tables_of(connection)
    )


@contextmanager
def new_backup(file: Path) -> Generator[Path]:
    """Yield where to write a backup; it gets its name, and its owner's rights alone, at the end.

    Raises:
        Conflict: The file is there already.
        Unavailable: It cannot be written.
    """
    if file.exists():
        raise Conflict(f"{file} is there already; name a file that is not")
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(file)
    except OSError as error:
        raise Unavailable(f"{file} cannot be written: {error.strerror}") from None
    except sqlite3.Error as error:
        raise Unavailable(f"{file} cannot be written: {error}") from None
    finally:
        for name in (part, Path(f"{part}-wal"), Path(f"{part}-shm"), Path(f"{part}-journal")):
            with suppress(OSError):
                name.unlink(missing_ok=True)


@contextmanager
def opened_backup(file: Path) -> Generator[sqlite3.Connection]:
    """Open a copy of a backup, brought up to this Stoker's schema.

    Raises:
        Invalid: It is no backup, or damaged.
        Conflict: A newer Stoker wrote it.
    """
    if not file.is_file():
        raise Invalid(f"there is no backup {file}")
    with TemporaryDirectory(prefix="stoker-restore-", dir=file.parent) as folder:
        copy = Path(folder) / "backup.db"
        try:
            source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
            try:
                target = sqlite3.connect(copy)
                source.backup(target)
                target.close()
            finally:
                source.close()
            connection = sqlite3.connect(copy)
            try:
                sound = connection.execute("PRAGMA integrity_check(1)").fetchone()
                there = connection.execute("PRAGMA user_version").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise Invalid(f"{file} is no backup of Stoker, or damaged: {error}") from None
        if sound != ("ok",) or there == (0,):
            raise Invalid(f"{file} is no backup of Stoker, or damaged")
        connection = prepare(copy, synchronous="OFF")
        try:
            _forget_servers(connection)
            yield connection
        finally:
            connection.close()


def _forget_servers(connection: sqlite3.Connection) -> None:
    """No server of the backup runs on what is restored.

    The one of a SQLite file has a lease without end: on Postgres it would pass for alive for ever,
    and its workers for connected; what is ordered of them nobody launches.
    """
    for table in ("servers", "leaders"):
        connection.execute(f'DELETE FROM "{table}"')
    connection.commit()
