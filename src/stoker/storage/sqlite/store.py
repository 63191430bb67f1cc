"""The embedded store: one writer thread that groups commits, and readers beside it."""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from stoker.crash_points import crash_point
from stoker.domain.errors import StokerError, Unavailable
from stoker.ports.store import Records
from stoker.storage.records import SqlRecords
from stoker.storage.sqlite.problems import unusable
from stoker.storage.sqlite.schema import connect, prepare
from stoker.storage.sqlite.session import SqliteSession

T = TypeVar("T")

GROUP = 256
"""Transactions that are committed together at the most."""


class _Work(NamedTuple):
    work: Callable[[Records], Any]
    future: Future[Any]


class SqliteStore:
    """`Store` on a SQLite file in WAL mode.

    What arrives while a commit is on its way to the disk is committed together with the next
    one: a burst costs one ``fsync`` per group, a single write waits for nobody. Each piece of
    work runs in a savepoint of its own, so one that fails takes nothing with it.
    """

    shared = False

    def __init__(self, path: Path, *, synchronous: str = "FULL", readers: int = 2) -> None:
        self._path = path
        self._synchronous = synchronous
        self._writer = prepare(path, synchronous=synchronous)
        self._reopen = False
        self._observe: Callable[[int, float], None] = lambda _, __: None
        self._pending: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._closed = False
        self._local = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="stoker-reader")
        self._thread = threading.Thread(target=self._write_all, name="stoker-writer", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[Records], T]) -> Future[T]:
        """See `Store.write`."""
        if self._closed:
            raise Unavailable("the store is closed")
        future: Future[T] = Future()
        self._pending.put(_Work(work, future))
        return future

    def read(self, work: Callable[[Records], T]) -> Future[T]:
        """See `Store.read`."""
        if self._closed:
            raise Unavailable("the store is closed")
        return self._readers.submit(self._read, work)

    def publish(self, messages: Sequence[bytes]) -> None:
        """Do nothing: an embedded store has one server."""

    def subscribe(self, take: Callable[[bytes], None]) -> None:
        """Do nothing: see `publish`."""

    def watch_writes(self, observe: Callable[[int, float], None]) -> None:
        """See `Store.watch_writes`."""
        self._observe = observe

    def close(self) -> None:
        """See `Store.close`."""
        if self._closed:
            return
        self._closed = True
        self._pending.put(None)
        self._thread.join()
        self._readers.shutdown(wait=True)
        for connection in self._reader_connections:
            connection.close()
        self._writer.close()

    def _open_reader(self) -> sqlite3.Connection:
        """Return this thread's connection, opened now if it was not, or could not be, before."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path)
            self._reader_connections.append(connection)
            connection.execute("PRAGMA query_only = ON")
            self._local.session = SqliteSession(connection)
            self._local.connection = connection
        return connection

    def _read(self, work: Callable[[Records], T]) -> T:
        try:
            connection = self._open_reader()
            connection.execute("BEGIN")
            try:
                records = SqlRecords(self._local.session)
                result = work(records)
                records.flush()
                return result
            finally:
                connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise unusable(self._path, "read", error) from error

    def _write_all(self) -> None:
        session = SqliteSession(self._writer)
        while True:
            first = self._pending.get()
            if first is None:
                return
            if self._reopen:
                try:
                    self._writer.close()
                    self._writer = prepare(self._path, synchronous=self._synchronous)
                except sqlite3.Error as error:
                    self._refuse([first], unusable(self._path, "written", error))
                    continue
                except StokerError as error:
                    self._refuse([first], error)
                    continue
                self._reopen = False
                session = SqliteSession(self._writer)
            group = [first]
            last = False
            while len(group) < GROUP and not self._pending.empty():
                item = self._pending.get()
                if item is None:
                    last = True
                    break
                group.append(item)
            self._write_group(group, session)
            if last:
                return

    def _write_group(self, group: list[_Work], session: SqliteSession) -> None:
        execute = self._writer.execute
        outcomes: list[tuple[Future[Any], Any]] = []
        begun = time.perf_counter()
        try:
            execute("BEGIN IMMEDIATE")
            for work, future in group:
                if not future.set_running_or_notify_cancel():
                    continue
                execute("SAVEPOINT one")
                try:
                    records = SqlRecords(session)
                    result = work(records)
                    records.flush()
                    outcomes.append((future, result))
                except Exception as error:
                    # Whatever the work raised belongs to whoever asked for it.
                    execute("ROLLBACK TO one")
                    future.set_exception(self._problem(error))
                execute("RELEASE one")
            crash_point("commit.before")
            execute("COMMIT")
            crash_point("commit.after")
            self._observe(len(group), time.perf_counter() - begun)
        except sqlite3.Error as error:
            self._fail(group, error)
            return
        for future, result in outcomes:
            future.set_result(result)

    def _fail(self, group: list[_Work], error: sqlite3.Error) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            # The writing thread must live on, or every later write would wait for ever. Closing
            # a connection undoes what it has not committed.
            self._reopen = True
        self._refuse(group, unusable(self._path, "written", error))

    def _refuse(self, group: list[_Work], problem: StokerError) -> None:
        for _, future in group:
            if not future.done():
                future.set_exception(problem)

    def _problem(self, error: Exception) -> Exception:
        """A full disk is no fault of the work that met it, which may be tried again."""
        if isinstance(error, sqlite3.OperationalError):
            return unusable(self._path, "written", error)
        return error
