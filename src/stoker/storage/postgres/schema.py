"""The schema of a Postgres database: made, or brought up to date, by one server at a time."""

import threading

import psycopg

from stoker.crash_points import crash_point
from stoker.domain.database_urls import masked
from stoker.domain.errors import Unavailable
from stoker.storage.postgres.connecting import SETTINGS, Connection, connect, need_version
from stoker.storage.postgres.dialect import steps
from stoker.storage.postgres.indexes import build, missing, without
from stoker.storage.postgres.problems import unusable
from stoker.storage.versions import compatible_from, need_compatible

LOCK = 0x53746F6B6572
"""The advisory lock of migrations: "Stoker" in ASCII."""

WAIT = 0.5
"""Seconds that a migration waits for the lock of a table."""

PAUSE = 0.5
"""Seconds until it tries again, in which others go on."""

TRIES = 60
"""Times that it is tried."""

TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version bigint PRIMARY KEY,
    compatible_from bigint NOT NULL,
    applied timestamptz NOT NULL DEFAULT now()
)
"""


def prepare(url: str) -> Connection:
    """Open a database, made or brought up to date as needed.

    Raises:
        Invalid: The URL cannot be read.
        Unavailable: It cannot be opened, or is too old.
        Conflict: A newer Stoker wrote it, whose schema this one does not know.
    """
    connection = connect(url)
    try:
        need_version(connection, url)
        upgrade(connection, url)
    except BaseException as error:
        # Closing undoes what is not committed, and frees the lock.
        connection.close()
        if isinstance(error, psycopg.Error):
            raise unusable(url, "opened", error) from None
        raise
    return connection


def upgrade(connection: Connection, url: str) -> int:
    """Apply the migrations that are missing, and return how many there were.

    Raises:
        Conflict: A newer Stoker wrote it, whose schema this one does not know.
    """
    if _present(connection, url) >= len(steps()) and not missing(connection, steps()):
        return 0
    # Another server may be at it for long, on large tables. It is not waited for in a statement:
    # that would hold a snapshot, for which the building of an index waits.
    while connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone() != (True,):
        threading.Event().wait(PAUSE)
    try:
        connection.execute(TABLE)
        before = _present(connection, url)
        for number, text in enumerate(steps()[before:], start=before + 1):
            # Tables that were just made have no rows, and nobody who waits for them.
            _apply(connection, url, number, without(text) if before else text)
            crash_point("migration.after")
        build(connection, steps())
        return max(0, len(steps()) - before)
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
            connection.execute(SETTINGS)


def _apply(connection: Connection, url: str, number: int, text: str) -> None:
    """Apply one migration, in a gap between the transactions of others.

    Who waits for the lock of a table has all others wait behind him: so not for long.
    """
    for left in reversed(range(TRIES)):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {int(WAIT * 1000)}".encode())
                connection.execute(text.encode())
                connection.execute(
                    "INSERT INTO schema_migrations (version, compatible_from) VALUES (%s, %s)",
                    (number, compatible_from(number)),
                )
                crash_point("migration.before")
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if not left:
                raise Unavailable(
                    f"the schema of the database {masked(url)} cannot be changed: a transaction "
                    "holds its tables for long; see pg_stat_activity, end it, and try again"
                ) from None
            threading.Event().wait(PAUSE)
    raise AssertionError("unreachable")


def _present(connection: Connection, url: str) -> int:
    """The schema that is there; 0 for none. One that this Stoker cannot work on is a `Conflict`."""
    found = version_of(connection)
    if found is None:
        return 0
    need_compatible(masked(url), *found, "set STOKER_DATABASE_URL to another database")
    return found[0]


def version_of(connection: Connection) -> tuple[int, int] | None:
    """Return a database's schema, and the oldest that is compatible; None where it has none."""
    there = connection.execute("SELECT to_regclass('schema_migrations')").fetchone()
    if there is None or there[0] is None:
        return None
    rows = connection.execute(
        "SELECT version, compatible_from FROM schema_migrations ORDER BY version DESC LIMIT 1"
    ).fetchall()
    return next(((number, oldest) for number, oldest in rows), None)
