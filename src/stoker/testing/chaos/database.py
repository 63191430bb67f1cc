"""The store's database, as the harness sees it: by SQL, past everything that is under test."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

Row = Sequence[Any]


class Down(Exception):
    """The database cannot be read now."""


class Database(Protocol):
    """A database that can be read beside the servers."""

    def environ_of(self, server: int) -> dict[str, str]:
        """Return the environment that tells a server of it, given its number."""
        ...

    def rows(self, query: str) -> list[Row]:
        """Return what a query finds.

        Raises:
            Down: It cannot be read now.
        """
        ...

    def supervise(self) -> None:
        """Start it again where it has ended."""
        ...

    def close(self) -> None:
        """Stop it."""
        ...


class SqliteDatabase:
    """The embedded store of a home, which ends with its server."""

    def __init__(self, home: Path) -> None:
        self._path = home / "stoker.db"

    def environ_of(self, server: int) -> dict[str, str]:
        """See `Database.environ_of`; there is one server."""
        assert server == 0
        return {}

    def supervise(self) -> None:
        """See `Database.supervise`."""

    def close(self) -> None:
        """See `Database.close`."""

    def rows(self, query: str) -> list[Row]:
        """See `Database.rows`."""
        if not self._path.exists():
            raise Down("it is not there")
        try:
            with closing(sqlite3.connect(self._path, timeout=1.0)) as connection:
                return connection.execute(query).fetchall()
        except sqlite3.Error as error:
            raise Down(str(error)) from error
