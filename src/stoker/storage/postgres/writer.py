"""The writer: units of work that have gathered are one transaction, and none is run twice."""

import queue
import secrets
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg

from stoker.crash_points import crash_point
from stoker.domain.database_urls import masked
from stoker.domain.errors import OutcomeUnknown, StokerError, Unavailable
from stoker.ports.store import Records
from stoker.storage.postgres.connecting import LOCKED
from stoker.storage.postgres.lines import Line
from stoker.storage.postgres.patience import Patience
from stoker.storage.postgres.problems import RACE, is_lost, may_run_again, state_of, unusable
from stoker.storage.postgres.session import NotNow, PostgresSession
from stoker.storage.records import SqlRecords

GROUP = 64
"""Units that are committed together at the most; what they lock is locked until then."""

TRIES = 5
"""Times that one unit is run at the most, where others undo it or the connection is lost."""

LOOKS = 3
"""Looks at the fate of a transaction. Each waits for Postgres, and for one still at work on it."""


class Work(NamedTuple):
    """A unit of work, and what it is to be told."""

    work: Callable[[Records], Any]
    future: Future[Any]

    def fail(self, error: BaseException) -> None:
        """Tell whoever asked for it, unless told already."""
        if not self.future.done():
            self.future.set_exception(error)


class Ran(NamedTuple):
    """What came of a group: results, what has to wait, and the error that hides its fate."""

    outcomes: list[tuple[Work, Any]]
    later: list[Work]
    mark: int = 0
    lost: psycopg.Error | None = None


class Writer:
    """One thread that writes.

    A unit runs in a savepoint of its own, so one that fails takes nothing with it. What goes wrong
    with a group as a whole (a deadlock, a lost connection) is tried again, each unit by itself.
    Where the connection is lost while it commits, the mark that each transaction leaves in a row
    of this writer's says what became of it; see `FATE`.
    """

    def __init__(self, url: str, closing: threading.Event, patience: Patience) -> None:
        self._url = url
        self._closing = closing
        self._patience = patience
        self._line = Line(url, "written", closing, patience)
        self._id = secrets.randbits(62)
        self._mark = 0
        self._introduced: PostgresSession | None = None
        self.observe: Callable[[int, float], None] = lambda _, __: None
        self._pending: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="stoker-writer", daemon=True)
        self._thread.start()

    def put(self, work: Work) -> None:
        """Write it soon."""
        self._pending.put(work)

    def close(self) -> None:
        """Write what was given to it, and end."""
        self._pending.put(None)
        self._thread.join()
        self._line.drop()

    def _write_all(self) -> None:
        group: list[Work] = []
        open_end = True
        while True:
            if open_end:
                open_end = self._gather(group)
            if group:
                group = self._write(group)
            elif not open_end:
                return

    def _gather(self, group: list[Work]) -> bool:
        """Add what waits, and wait where nothing does; False after the last one."""
        while len(group) < GROUP and not (group and self._pending.empty()):
            work = self._pending.get()
            if work is None:
                return False
            if work.future.set_running_or_notify_cancel():
                group.append(work)
        return True

    def _write(self, group: list[Work]) -> list[Work]:
        """Write a group; return what of it has to wait until the locks of the rest are free."""
        try:
            return self._try_group(group)
        except psycopg.Error as error:
            if len(group) == 1 and not self._may_run_again(error):
                group[0].fail(self._problem(error))
                return []
        except StokerError as error:
            _refuse(group, error)
            return []
        for work in group:
            self._write_alone(work)
        return []

    def _write_alone(self, work: Work) -> None:
        locks: set[int] = set()
        for left in reversed(range(TRIES)):
            if work.future.done():
                return
            try:
                self._try_group([work], locks)
            except psycopg.Error as error:
                # All that it asks for, in the order of all: it meets nobody the other way round.
                locks |= set(self._introduced.locked if self._introduced else ())
                if not left or not self._may_run_again(error):
                    work.fail(self._problem(error))
            except StokerError as error:
                work.fail(error)

    def _try_group(self, group: list[Work], locks: Collection[int] = ()) -> list[Work]:
        """Run a group in one transaction; return the end of it that has to wait for a lock.

        Raises:
            Error: Nothing of it was written.
            StokerError: The database cannot be used, or it is not known whether it was written.
        """
        session = self._session()
        begun = time.perf_counter()
        with self._patience.limit(session.connection):
            ran = self._run(session, group, locks)
        if ran.lost is not None and not (ran.mark and self._was_committed(ran.mark)):
            raise ran.lost
        if ran.outcomes:
            self.observe(len(ran.outcomes), time.perf_counter() - begun)
        for work, result in ran.outcomes:
            work.future.set_result(result)
        return ran.later

    def _session(self) -> PostgresSession:
        session = self._line.session()
        if session is not self._introduced:
            with self._patience.limit(session.connection):
                session.introduce(self._id)
            self._introduced = session
        return session

    def _run(self, session: PostgresSession, group: list[Work], locks: Collection[int]) -> Ran:
        outcomes: list[tuple[Work, Any]] = []
        later: list[Work] = []
        try:
            session.begin(shared=len(group) > 1, locks=locks)
            for at, work in enumerate(group):
                session.savepoint()
                try:
                    records = SqlRecords(session)
                    result = work.work(records)
                    records.flush()
                    outcomes.append((work, result))
                except NotNow:
                    session.undo()
                    later = group[at:]
                    break
                except psycopg.Error:
                    raise
                except Exception as error:
                    # Whatever the work raised belongs to whoever asked for it.
                    session.undo()
                    work.fail(error)
                session.release()
            mark = self._next_mark(session)
        except psycopg.Error:
            session.roll_back()
            raise
        if not outcomes:
            session.roll_back()
            return Ran(outcomes, later)
        return Ran(outcomes, later, mark, self._commit(session))

    def _next_mark(self, session: PostgresSession) -> int:
        """Leave a mark in a transaction that writes. Another one can be run again: it has 0."""
        if not session.writes:
            return 0
        self._mark += 1
        session.mark(self._id, self._mark)
        return self._mark

    def _commit(self, session: PostgresSession) -> psycopg.Error | None:
        """Commit; return the error of a connection that was lost meanwhile.

        Raises:
            Error: Nothing of it stays.
        """
        crash_point("commit.before")
        try:
            session.commit()
        except psycopg.Error as error:
            session.roll_back()
            if is_lost(error):
                return error
            raise
        crash_point("commit.after")
        return None

    def _was_committed(self, mark: int) -> bool:
        """Look up what became of a transaction.

        Raises:
            OutcomeUnknown: That cannot be found out.
        """
        for _ in range(LOOKS):
            # Once more where the connection goes away again, or its server has not noticed yet
            # that nobody listens.
            with suppress(psycopg.Error, Unavailable):
                found = self._last_mark()
                if found is not None:
                    return found == mark
            if self._closing.is_set():
                break
        raise OutcomeUnknown(
            f"the connection to the database {masked(self._url)} was lost while it committed, and "
            "what became of that is not known; look before you try it again"
        )

    def _last_mark(self) -> int | None:
        connection = self._line.open()
        with connection, self._patience.limit(connection):
            row = connection.execute(FATE, (self._id,)).fetchone()
        return row[0] if row else None

    def _may_run_again(self, error: psycopg.Error) -> bool:
        if state_of(error) == LOCKED_OUT:
            self._end_stopped()
        if state_of(error) == "25006" or "cached plan" in str(error):
            self._line.drop()
        return may_run_again(error) or state_of(error) in RACE

    def _end_stopped(self) -> None:
        """End the transactions of servers that have stopped within one and keep its locks.

        Postgres ends those that it sees idle by itself; not those that stopped while they sent.
        """
        with (
            suppress(psycopg.Error, Unavailable),
            self._line.open() as connection,
            self._patience.limit(connection),
        ):
            connection.execute(END_STOPPED, (float(LOCKED),))

    def _problem(self, error: psycopg.Error) -> Exception:
        """A full disk is no fault of the work that met it, which may be tried again."""
        if isinstance(error, psycopg.OperationalError | psycopg.InternalError):
            return unusable(self._url, "written", error)
        return unusable(self._url, "written", error) if state_of(error) in FAULTS else error


FATE = "SELECT mark FROM commit_marks WHERE writer = %s FOR UPDATE"
"""The mark of a writer's last transaction that was committed; waits for one that is under way."""

LOCKED_OUT = "55P03"

END_STOPPED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND application_name = current_setting('application_name')
  AND wait_event = 'ClientRead' AND xact_start < now() - make_interval(secs => %s)
"""
"""Ends the transactions that wait for their server, and began longer ago than any should last."""

FAULTS = frozenset({"25006", "42501", "42P01", "3F000"})
"""States of errors that are no fault of the work."""


def _refuse(group: list[Work], error: Exception) -> None:
    for work in group:
        work.fail(error)
