"""Named queries on one Postgres connection, sent without waiting where nothing is asked back."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import psycopg

from stoker.storage.postgres.connecting import Connection
from stoker.storage.postgres.dialect import statements
from stoker.storage.postgres.json_rows import rows_text
from stoker.storage.records.statements import Count, Values

PLANNED_AFRESH = frozenset({"flow_runs", "deployments", "hosts", "workers"})
"""Queries whose best plan depends on which of their filters are given."""

FORGET = """
DELETE FROM commit_marks WHERE writer IN (
    SELECT writer FROM commit_marks WHERE written < now() - interval '1 day'
    FOR UPDATE SKIP LOCKED
)
"""

INTRODUCE = "INSERT INTO commit_marks VALUES (%s, 0, now()) ON CONFLICT DO NOTHING"
"""Beforehand: a row that a transaction under way inserts is not there to be waited for."""

MARK = """
INSERT INTO commit_marks (writer, mark, written) VALUES (%s, %s, now())
ON CONFLICT (writer) DO UPDATE SET mark = excluded.mark, written = excluded.written
"""

TRY_LOCK = "SELECT pg_try_advisory_xact_lock(%s)"

Rows = psycopg.Cursor[tuple[Any, ...]]


class NotNow(Exception):
    """A lock is held by others, and to wait for it beside the locks held could last for ever."""


class Result:
    """What came of a query: it is waited for when it is looked at."""

    def __init__(self, cursor: Rows, pipeline: psycopg.Pipeline) -> None:
        self._cursor = cursor
        self._pipeline = pipeline

    def _await(self) -> Rows:
        # Not by a flush: only after a sync does Postgres see that a transaction is idle.
        if self._cursor.pgresult is None:
            self._pipeline.sync()
        return self._cursor

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""
        return self._await().rowcount

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        return self._await().fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows that are left."""
        return self._await().fetchall()


class Sum:
    """What came of a query that was run for several rows."""

    def __init__(self, results: Sequence[Count]) -> None:
        self._results = results

    @property
    def rowcount(self) -> int:
        """Rows that they changed."""
        return sum(one.rowcount for one in self._results)


class PostgresSession:
    """A connection in pipeline mode, and its transactions; see `Session`.

    What is not asked back costs no round trip of its own: it travels with the next question, or
    with the commit. An error may so come up later than what caused it, within its transaction.
    """

    sends_ahead = True

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sql = statements()
        # Prepared at the first use: each is used again.
        connection.prepare_threshold = 0
        self._pipelined = connection.pipeline()
        self._pipeline = self._pipelined.__enter__()
        self._locked: set[int] = set()
        self._locked_before: set[int] = set()
        self._locked_at_once: set[int] = set()
        self._writes = False

    @property
    def is_open(self) -> bool:
        """Whether the connection can be used."""
        return not self._connection.closed

    @property
    def connection(self) -> Connection:
        """Its connection."""
        return self._connection

    def close(self) -> None:
        """Close the connection; what is not committed is undone."""
        with suppress(psycopg.Error):
            self._pipelined.__exit__(None, None, None)
        self._connection.close()

    def run(self, query: str, values: Values = ()) -> Result:
        """See `Session.run`."""
        text = self._sql[query]
        self._writes = self._writes or not text.startswith("SELECT")
        cursor = self._execute(text, values, query not in PLANNED_AFRESH)
        return Result(cursor, self._pipeline)

    def run_many(self, query: str, rows: Sequence[Values]) -> Count:
        """See `Session.run_many`.

        Queries with a form for many rows take them as one JSON text, which costs both sides much
        less than to bind and execute each.
        """
        self._writes = True
        together = self._sql.get(f"{query}_many")
        if together is None:
            return Sum(
                [Result(self._execute(self._sql[query], row), self._pipeline) for row in rows]
            )
        values = {"rows": rows_text(rows)}
        return Result(self._execute(together, values), self._pipeline)

    def lock(self, names: Sequence[str]) -> None:
        """See `Records.lock`.

        Raises:
            NotNow: Others hold one of them, and they may be waiting for what is locked here.
        """
        for key in sorted({_key(name) for name in names} - self._locked):
            # Where all take them in one order, nobody waits for somebody who waits for him.
            if not self._locked_before or key > max(self._locked):
                self._locked.add(key)
                self._execute("SELECT pg_advisory_xact_lock(%s)", (key,))
            elif self._execute(TRY_LOCK, (key,)).fetchone() != (True,):
                raise NotNow
            self._locked.add(key)

    def _execute(self, statement: str, values: Values = (), prepare: bool = True) -> Rows:
        cursor = self._connection.cursor()
        cursor.execute(statement.encode(), values or None, prepare=prepare)
        return cursor

    # Transactions

    def begin(self, *, shared: bool = False, locks: Collection[int] = ()) -> None:
        """Begin a transaction that writes.

        Args:
            shared: It is of several units, and so meets rows of others in no order that all keep:
                soon gives up, where two might wait for each other. Postgres itself looks for that
                after a second.
            locks: Named locks to take at once, by `locked` of a try that met others in its way.
        """
        self._locked = set()
        self._locked_before = set()
        self._writes = False
        self._execute("BEGIN")
        if shared:
            self._execute("SET LOCAL lock_timeout = 100")
        self._locked_at_once = set(locks)
        for key in sorted(locks):
            self._execute("SELECT pg_advisory_xact_lock(%s)", (key,))
            self._locked.add(key)

    def begin_reading(self) -> None:
        """Begin a transaction that reads, on one view of the database."""
        self._execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    @property
    def locked(self) -> Collection[int]:
        """The named locks that this transaction, or the last one, has taken or asked for."""
        return self._locked

    @property
    def writes(self) -> bool:
        """Whether something may have been written since the transaction began."""
        return self._writes

    def introduce(self, writer: int) -> None:
        """Make the row of a writer's marks, outside a transaction; forget those of old writers."""
        self._execute(FORGET)
        self._execute(INTRODUCE, (writer,))
        self._pipeline.sync()

    def mark(self, writer: int, mark: int) -> None:
        """Leave a mark in the transaction, by which its fate can be looked up later."""
        self._execute(MARK, (writer, mark))

    def savepoint(self) -> None:
        """Begin what can be undone by itself."""
        self._locked_before = self._locked - self._locked_at_once
        self._execute("SAVEPOINT one")

    def release(self) -> None:
        """Keep what came since the savepoint."""
        self._execute("RELEASE one")

    def undo(self) -> None:
        """Undo what came since the savepoint, its locks too.

        Raises:
            Error: Something before it had failed.
        """
        self._pipeline.sync()
        self._roll_back("ROLLBACK TO one")
        self._locked = self._locked_before

    def commit(self) -> None:
        """End the transaction; returns when it is safe on disk.

        Raises:
            Error: Nothing of it stays. Where the connection is lost, that is not known.
        """
        cursor = self._execute("COMMIT")
        self._pipeline.sync()
        if cursor.statusmessage != "COMMIT":
            raise psycopg.errors.InFailedSqlTransaction(f"it was undone: {cursor.statusmessage}")

    def roll_back(self) -> None:
        """Undo the transaction, whatever has happened in it; close a connection that cannot."""
        try:
            # The first collects what has failed, the second finds nothing more.
            with suppress(psycopg.Error):
                self._pipeline.sync()
            self._roll_back("ROLLBACK")
            self._pipeline.sync()
        except psycopg.Error:
            self.close()

    def _roll_back(self, statement: str) -> None:
        # psycopg would forget all prepared statements, which outlive a rollback.
        self._connection.prepare_threshold = None
        try:
            self._execute(statement, prepare=False)
        finally:
            self._connection.prepare_threshold = 0


def _key(name: str) -> int:
    """The number of a named lock, of the 64 bits that Postgres takes."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
