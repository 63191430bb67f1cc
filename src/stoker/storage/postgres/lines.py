"""Connections that are opened anew when they are lost, with patience for a server that restarts."""

import threading
from collections.abc import Callable

import psycopg

from stoker.domain.errors import Unavailable
from stoker.storage.postgres.connecting import SERVING, Connection, connect
from stoker.storage.postgres.patience import Patience
from stoker.storage.postgres.problems import may_pass, unusable
from stoker.storage.postgres.session import PostgresSession

PAUSE = 0.2
"""Seconds between two tries to connect."""

TRIES = 25
"""Tries in a row until what waits is refused. After that there is one for each that comes."""

PLANS = b"""
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off
"""
"""Queries are planned once for each connection, perhaps while their tables are empty, where it is
cheapest to read them whole; and the plan is kept when there are a million rows. Each query has its
index, so look rows up by these whatever the statistics say."""


class Line:
    """One connection of a store, for one thread.

    Args:
        url: The database.
        what: What it is for: ``"read"`` or ``"written"``.
        closing: Set when the store is being closed: nothing is waited for any more.
        patience: The store's.
    """

    def __init__(self, url: str, what: str, closing: threading.Event, patience: Patience) -> None:
        self._url = url
        self._what = what
        self._closing = closing
        self._patience = patience
        self._session: PostgresSession | None = None
        self._patient = True

    def session(self) -> PostgresSession:
        """Return the session, opened anew if it was lost.

        Raises:
            Unavailable: It cannot be opened.
        """
        if self._session is None or not self._session.is_open:
            self._session = PostgresSession(self.open(self._check))
        return self._session

    def open(self, check: Callable[[Connection], None] = lambda _: None) -> Connection:
        """Open a connection; a server that restarts is waited for."""
        self._patience.check()
        tries = TRIES if self._patient else 1
        for left in reversed(range(tries)):
            try:
                connection = connect(self._url, self._patience.limit)
                with self._patience.limit(connection):
                    check(connection)
            except Unavailable as error:
                self._patient = False
                if not left or not may_pass(error.__cause__) or self._closing.wait(PAUSE):
                    raise
            else:
                self._patient = True
                return connection
        raise AssertionError("unreachable")

    def _check(self, connection: Connection) -> None:
        try:
            connection.execute(PLANS)
            if self._what != "written":
                return
            row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
            if row != (True,):
                connection.execute("SELECT pg_advisory_lock_shared(%s)", (SERVING,))
        except psycopg.Error as error:
            connection.close()
            raise unusable(self._url, "opened", error) from error
        if row == (True,):
            connection.close()
            raise unusable(self._url, "written", psycopg.errors.ReadOnlySqlTransaction())

    def drop(self) -> None:
        """Close the connection; the next use opens a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None
