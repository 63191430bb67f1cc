"""The stores that must fulfil the contract. A new one is a further parameter of ``store``."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stoker.ports.store import Store
from stoker.storage import queries, versions
from stoker.storage.postgres import dialect
from stoker.storage.postgres.store import PostgresStore
from stoker.storage.sqlite.store import SqliteStore
from stoker.storage.versions import compatible_from
from stoker.testing.memory import MemoryStore
from stoker.testing.memory.tables import Tables
from stoker.testing.postgres import PostgresServer
from stoker.testing.state_machine import Make, two_empty_stores

Opener = Callable[[Path], Store]
"""Opens a store in a folder: an empty one, or what another one of that folder has left."""

_making = threading.Lock()

STORES = ["sqlite", "postgres", "memory"]


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    """Which store."""
    return request.param


@pytest.fixture
def opener(kind: str, request: pytest.FixtureRequest) -> Opener:
    if kind == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return lambda folder: open_postgres(server, folder)
    if kind == "memory":
        left: dict[Path, Tables] = {}
        return lambda folder: MemoryStore(left.setdefault(folder, Tables()))
    return open_sqlite


def open_sqlite(folder: Path) -> Store:
    return SqliteStore(folder / "stoker.db", synchronous="OFF")


def open_postgres(server: PostgresServer, folder: Path) -> Store:
    folder.mkdir(exist_ok=True)
    url = folder / "postgres-url"
    with _making:
        if not url.exists():
            url.write_text(server.create_database())
    return PostgresStore(url.read_text())


@pytest.fixture
def store(opener: Opener, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = opener(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def two_stores() -> Iterator[Make]:
    """Makes two empty stores for the state machine: in memory, and on SQLite."""
    with two_empty_stores() as make:
        yield make


@pytest.fixture
def knows(monkeypatch):
    """Have Stoker know further migrations than it does, or none of them."""
    real = queries.migrations

    def know(*further: str) -> None:
        def known(dialect: str = "") -> list[str]:
            return [*real(dialect), *further]

        compatible_from.cache_clear()
        dialect.steps.cache_clear()
        for module in (queries, versions, dialect):
            monkeypatch.setattr(module, "migrations", known)
        monkeypatch.setattr("stoker.storage.sqlite.schema.migrations", known)

    yield know
    monkeypatch.undo()
    compatible_from.cache_clear()
    dialect.steps.cache_clear()
