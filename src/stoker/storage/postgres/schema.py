"""The schema of a Postgres database: made, or brought up to date, by one server at a time."""

import psycopg

from stoker.crash_points import crash_point
from stoker.domain.database_urls import masked
from stoker.storage.postgres.connecting import Connection, connect, need_version
from stoker.storage.postgres.dialect import steps
from stoker.storage.postgres.problems import unusable
from stoker.storage.versions import compatible_from, need_compatible

LOCK = 0x53746F6B6572
"""The advisory lock of migrations: "Stoker" in ASCII."""

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
    if _present(connection, url) >= len(steps()):
        return 0
    # Another server may be at it for long, on large tables.
    connection.execute("SET lock_timeout = 0")
    connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    try:
        connection.execute(TABLE)
        before = _present(connection, url)
        for number, text in enumerate(steps()[before:], start=before + 1):
            with connection.transaction():
                connection.execute(text.encode())
                connection.execute(
                    "INSERT INTO schema_migrations (version, compatible_from) VALUES (%s, %s)",
                    (number, compatible_from(number)),
                )
                crash_point("migration.before")
            crash_point("migration.after")
        return max(0, len(steps()) - before)
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


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
