"""Readers beside the writer, each on a connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import psycopg

from stoker.ports.store import Records
from stoker.storage.postgres.lines import Line
from stoker.storage.postgres.patience import Patience
from stoker.storage.postgres.problems import is_lost, may_run_again, unusable
from stoker.storage.postgres.session import PostgresSession
from stoker.storage.records import SqlRecords

T = TypeVar("T")

TRIES = 3
"""Times that one piece of work is run at the most, where its connection is lost."""


class Readers:
    """Threads that read, each time on one consistent view."""

    def __init__(self, url: str, closing: threading.Event, patience: Patience, number: int) -> None:
        self._url = url
        self._closing = closing
        self._patience = patience
        self._local = threading.local()
        self._lines: list[Line] = []
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="stoker-reader")

    def submit(self, work: Callable[[Records], T]) -> Future[T]:
        """Run ``work`` soon."""
        return self._threads.submit(self._read, work)

    def close(self) -> None:
        """Finish what was given to them, and end."""
        self._threads.shutdown(wait=True)
        for line in self._lines:
            line.drop()

    def _line(self) -> Line:
        line: Line | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = Line(self._url, "read", self._closing, self._patience)
            self._lines.append(line)
        return line

    def _read(self, work: Callable[[Records], T]) -> T:
        line = self._line()
        for left in reversed(range(TRIES)):
            try:
                session = line.session()
                with self._patience.limit(session.connection):
                    return self._try(session, work)
            except psycopg.Error as error:
                if not is_lost(error):
                    line.drop()
                if not left or not may_run_again(error):
                    raise unusable(self._url, "read", error) from error
        raise AssertionError("unreachable")

    def _try(self, session: PostgresSession, work: Callable[[Records], T]) -> T:
        try:
            session.begin_reading()
            records = SqlRecords(session)
            result = work(records)
            records.flush()
            session.commit()
        except BaseException:
            # Whatever ended the read, the next one begins a view of its own.
            session.roll_back()
            raise
        return result
