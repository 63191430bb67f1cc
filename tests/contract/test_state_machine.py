"""The same steps on SQLite, on Postgres and in memory: what can be read stays the same."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from stoker.ports.store import Store
from stoker.storage.postgres.store import PostgresStore
from stoker.testing.postgres import PostgresServer
from stoker.testing.state_machine import BOUNDED, Make, run_machine


@pytest.fixture
def three_stores(two_stores: Make, postgres_server: PostgresServer) -> Iterator[Make]:
    """Makes three empty stores."""
    url = postgres_server.create_database()
    database = url.rpartition("/")[2]
    shared = PostgresStore(url, readers=1)
    names = postgres_server.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        " AND tablename <> 'schema_migrations'",
        database,
    )
    tables = ", ".join(name for (name,) in names)

    def make() -> dict[str, Store]:
        postgres_server.execute(f"TRUNCATE {tables} RESTART IDENTITY", database)
        return two_stores() | {"postgres": shared}

    yield make
    shared.close()


def test_three_stores_follow_the_same_rules(three_stores):
    # The same steps each time: `run_machine` alone takes others.
    bounds = settings(BOUNDED, derandomize=True, database=None)
    taken = run_machine(three_stores, kept=frozenset({"postgres"}), bounds=bounds).steps
    assert taken["given"] > 50, taken
    assert taken["ended"] > 20, taken
