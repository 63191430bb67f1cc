"""What a session is to do, from the command line."""

import argparse
from pathlib import Path

from stoker.testing.chaos.database import Database, SqliteDatabase
from stoker.testing.chaos.faults import Breaker
from stoker.testing.chaos.session import Order

SERVERS = 2
"""Servers on a database that takes several."""


def order_of(given: argparse.Namespace, folder: Path, seed: int) -> Order:
    """Return it."""
    order = Order(
        folder=folder,
        database=SqliteDatabase,
        servers=1,
        faults=given.faults,
        seed=seed,
        pace=given.pace,
        broken=given.break_rule,
    )
    if given.db == "postgres":
        order.servers = given.servers or SERVERS
        order.database = lambda _: _postgres(folder, order.servers)
        order.prepare = _prepare
    return order


def _postgres(folder: Path, servers: int) -> Database:
    from stoker.testing.chaos.postgres import PostgresDatabase

    return PostgresDatabase(folder / "postgres", servers)


def _prepare(breaker: Breaker) -> None:
    from stoker.testing.chaos.postgres import PostgresDatabase, PostgresFaults

    database = breaker.cluster.database
    assert isinstance(database, PostgresDatabase)
    PostgresFaults(database, breaker)
