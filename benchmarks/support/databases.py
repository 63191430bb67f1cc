"""The databases that a benchmark can be run on."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stoker.ports.store import Store
from stoker.storage.postgres.store import PostgresStore
from stoker.storage.sqlite.store import SqliteStore
from stoker.testing.postgres import postgres
from support.stack import scratch

DATABASES = ("sqlite", "postgres")

DURABLE = {"shared_buffers": "256MB"}
"""Settings of a Postgres server that loses nothing with its power."""


@dataclass(frozen=True)
class Database:
    """An empty database.

    Attributes:
        home: The home of a server on it.
        settings: What such a server needs besides.
        open: Opens it in this process.
    """

    home: Path
    settings: Mapping[str, object]
    open: Callable[[], Store]


@contextmanager
def database(name: str) -> Generator[Database]:
    """Provide an empty database; it is gone afterwards."""
    with scratch() as home:
        if name == "sqlite":
            yield Database(home, {}, lambda: SqliteStore(home / "stoker.db"))
            return
        with postgres(DURABLE) as server:
            url = server.create_database()
            yield Database(home, {"database_url": url}, lambda: PostgresStore(url))
