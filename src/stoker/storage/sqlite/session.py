"""Named queries on one SQLite connection."""

import sqlite3
from collections.abc import Sequence

from stoker.storage.queries import queries
from stoker.storage.records.statements import Values


class SqliteSession:
    """See `Session`."""

    sends_ahead = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sql = queries()

    def run(self, query: str, values: Values = ()) -> sqlite3.Cursor:
        """See `Session.run`."""
        return self._connection.execute(self._sql[query], values)

    def run_many(self, query: str, rows: Sequence[Values]) -> sqlite3.Cursor:
        """See `Session.run_many`."""
        return self._connection.executemany(self._sql[query], rows)

    def lock(self, names: Sequence[str]) -> None:
        """Do nothing: SQLite has one writer at a time."""
