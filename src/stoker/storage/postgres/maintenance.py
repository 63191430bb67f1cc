"""Looking after a Postgres database: check, backup, restore."""

import sqlite3
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from stoker.domain.database_urls import masked
from stoker.domain.errors import Conflict, Unavailable
from stoker.ports.clock import Clock
from stoker.storage.backups import Check, Table, new_backup, opened_backup, tables_of
from stoker.storage.postgres.connecting import SERVING, Connection, connect
from stoker.storage.postgres.dialect import steps
from stoker.storage.postgres.problems import unusable
from stoker.storage.postgres.schema import prepare, version_of
from stoker.storage.postgres.schema import upgrade as migrate
from stoker.storage.sqlite import schema as files
from stoker.storage.versions import need_compatible

AT_ONCE = 1000
"""Rows that are fetched at a time."""


def upgrade(url: str) -> int:
    """Apply the migrations that are missing; return how many there were."""
    connection = connect(url)
    try:
        return migrate(connection, url)
    except psycopg.Error as error:
        raise unusable(url, "written", error) from error
    finally:
        connection.close()


def check(url: str, clock: Clock) -> Check:
    """Look at a database; at its indexes where the extension ``amcheck`` is there.

    Raises:
        Unavailable: It cannot be read.
    """
    connection = connect(url)
    try:
        return _check(connection, url, clock)
    except psycopg.Error as error:
        raise unusable(url, "read", error) from error
    finally:
        connection.close()


def _check(connection: Connection, url: str, clock: Clock) -> Check:
    before = clock.now()
    there = _one(connection, "SELECT extract(epoch FROM clock_timestamp())::float8")
    found = _need_tables(connection, url)
    check = Check(
        database=masked(url),
        version=f"Postgres {_one(connection, 'SHOW server_version')}",
        schema=found[0],
        known=len(steps()),
        size=_one(connection, "SELECT pg_database_size(current_database())"),
        clock=round(there - (before + clock.now()) / 2, 3),
        runs=_one(connection, "SELECT count(*) FROM flow_runs"),
        problems=[],
        notes=[],
    )
    if _one(connection, "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'"):
        _check_indexes(connection, check)
    else:
        check.notes.append(
            "the indexes were not looked at: that takes `CREATE EXTENSION amcheck` in the database"
        )
    return check


def _need_tables(connection: Connection, url: str) -> tuple[int, int]:
    """The schema that is there, and the oldest that is compatible."""
    found = version_of(connection)
    if found is None:
        raise Unavailable(
            f"the database {masked(url)} has no tables of Stoker; run `stoker database upgrade`"
        )
    return found


def _check_indexes(connection: Connection, check: Check) -> None:
    indexes = connection.execute(
        "SELECT c.oid, c.relname FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid"
        " JOIN pg_am AS m ON m.oid = c.relam JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE m.amname = 'btree' AND n.nspname = current_schema() AND i.indisvalid"
    ).fetchall()
    for oid, name in indexes:
        try:
            connection.execute("SELECT bt_index_check(%s::oid::regclass)", (oid,))
        except psycopg.errors.InsufficientPrivilege:
            check.notes.append("the indexes were not looked at: this user may not use amcheck")
            return
        except psycopg.Error as error:
            check.problems.append(f"index {name}: {str(error).splitlines()[0]}")


def backup(url: str, file: Path) -> None:
    """Write all records as they are at one moment, whatever is written meanwhile.

    Raises:
        Unavailable: The database cannot be read, or the file not written.
        Conflict: The file is there already, or a newer Stoker wrote the database.
    """
    connection = connect(url)
    try:
        # Neither by its name nor by its patience one of the servers: these end transactions of
        # each other that stand still, and it stands still while its file is written.
        connection.execute("SET application_name = 'stoker backup'")
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        version, compatible = _need_tables(connection, url)
        need_compatible(masked(url), version, compatible, "name another database")
        with new_backup(file) as part:
            # As the database is: it is looked at, not brought up to date.
            target = files.prepare(part, synchronous="OFF", version=version)
            try:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                target.execute("BEGIN")
                for table in tables_of(target):
                    _save(connection, target, table)
                target.execute("COMMIT")
                target.execute("PRAGMA journal_mode = DELETE")
            finally:
                target.close()
    except psycopg.Error as error:
        raise unusable(url, "read", error) from error
    finally:
        connection.close()


def _save(connection: Connection, target: sqlite3.Connection, table: Table) -> None:
    marks = ", ".join("?" * len(table.columns))
    insert = f'INSERT INTO "{table.name}" ({table.listed}) VALUES ({marks})'
    with connection.cursor(name="backup") as rows:
        rows.itersize = AT_ONCE
        rows.execute(_sql(f'SELECT {table.listed} FROM "{table.name}"'))
        target.executemany(insert, rows)


def restore(url: str, file: Path, *, force: bool) -> None:
    """Put a backup's records into a database, in one transaction.

    Args:
        url: The database.
        file: The backup.
        force: Whether records that are there may be replaced.

    Raises:
        Conflict: A server runs on it; or there are records, and ``force`` is not set; or a newer
            Stoker wrote one of both.
        Invalid: The file is no backup.
        Unavailable: The database cannot be used.
    """
    with opened_backup(file) as source:
        connection = prepare(url)
        try:
            if not _one(connection, f"SELECT pg_try_advisory_lock({SERVING})"):
                raise Conflict(f"a server runs on the database {masked(url)}; stop it first")
            tables = tables_of(source)
            with connection.transaction():
                names = ", ".join(f'"{table.name}"' for table in tables)
                connection.execute(_sql(f"LOCK TABLE {names}"))
                if not force and any(_has_rows(connection, table) for table in tables):
                    raise Conflict(
                        f"the database {masked(url)} is not empty; --force replaces what is there"
                    )
                connection.execute(_sql(f"TRUNCATE {names}"))
                for table in tables:
                    _load(connection, source, table)
            connection.execute("ANALYZE")
        except psycopg.Error as error:
            raise unusable(url, "written", error) from error
        finally:
            connection.close()


def _load(connection: Connection, source: sqlite3.Connection, table: Table) -> None:
    copy = _sql(f'COPY "{table.name}" ({table.listed}) FROM STDIN')
    with connection.cursor() as cursor, cursor.copy(copy) as into:
        for row in source.execute(f'SELECT {table.listed} FROM "{table.name}"'):
            into.write_row(row)
    counted = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE is_identity = 'YES'"
        " AND table_schema = current_schema() AND table_name = %s",
        (table.name,),
    ).fetchall()
    for (column,) in counted:
        # What is numbered goes on after the last one.
        connection.execute(
            _sql(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column}'),"
                f' (SELECT coalesce(max("{column}"), 0) + 1 FROM "{table.name}"), false)'
            )
        )


def _has_rows(connection: Connection, table: Table) -> bool:
    return _one(connection, f'SELECT EXISTS (SELECT 1 FROM "{table.name}")')


def _one(connection: Connection, query: str) -> Any:
    row = connection.execute(_sql(query)).fetchone()
    assert row is not None
    return row[0]


def _sql(text: str) -> sql.SQL:
    """What was put together of Stoker's own names alone."""
    return sql.SQL(cast(LiteralString, text))
