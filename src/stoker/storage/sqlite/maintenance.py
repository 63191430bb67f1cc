"""Looking after an embedded database: check, backup, restore."""

import sqlite3
from pathlib import Path

from stoker.domain.errors import Conflict, Unavailable
from stoker.storage.backups import Check, new_backup, opened_backup, rows_in
from stoker.storage.queries import migrations
from stoker.storage.sqlite.problems import unusable
from stoker.storage.sqlite.schema import connect, prepare


def version_of(path: Path) -> int:
    """Return the schema of a database; 0 for none."""
    if not path.exists():
        return 0
    connection = _open(path)
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise unusable(path, "read", error) from error
    finally:
        connection.close()


def upgrade(path: Path) -> int:
    """Apply the migrations that are missing; return how many there were."""
    before = version_of(path)
    prepare(path).close()
    return max(0, len(migrations()) - before)


def check(path: Path) -> Check:
    """Look at a database, every page of it.

    Raises:
        Unavailable: It is not there, or cannot be read.
    """
    connection = _open(path)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchall()
        schema: int = connection.execute("PRAGMA user_version").fetchone()[0]
        runs: int = connection.execute("SELECT count(*) FROM flow_runs").fetchone()[0]
    except sqlite3.Error as error:
        raise unusable(path, "read", error) from error
    finally:
        connection.close()
    files = [path, Path(f"{path}-wal")]
    return Check(
        database=f"sqlite:///{path}",
        version=f"SQLite {sqlite3.sqlite_version}",
        schema=schema,
        known=len(migrations()),
        size=sum(file.stat().st_size for file in files if file.exists()),
        clock=None,
        runs=runs,
        problems=[line for (line,) in found if line != "ok"],
        notes=[],
    )


def backup(path: Path, file: Path) -> None:
    """Write a consistent copy of a database, whatever is written to it meanwhile.

    Raises:
        Unavailable: One of both cannot be used.
        Conflict: The file is there already.
    """
    source = _open(path)
    try:
        with new_backup(file) as part:
            target = sqlite3.connect(part)
            try:
                # All at once: begun anew with each write of others, it might never end.
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
            finally:
                target.close()
    finally:
        source.close()


def restore(path: Path, file: Path, *, force: bool) -> None:
    """Put a backup in a database's place. No server may run on it.

    Args:
        path: The database.
        file: The backup.
        force: Whether records that are there may be replaced.

    Raises:
        Conflict: There are records, and ``force`` is not set; or a newer Stoker wrote one of both.
        Invalid: The file is no backup.
        Unavailable: The database cannot be opened.
    """
    with opened_backup(file) as source:
        target = prepare(path)
        try:
            if not force and rows_in(target):
                raise Conflict(f"the database {path} is not empty; --force replaces what is there")
            source.backup(target)
            target.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            raise unusable(path, "written", error) from error
        finally:
            target.close()


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise Unavailable(f"there is no database {path} yet; a server makes it at its first start")
    return connect(path)
