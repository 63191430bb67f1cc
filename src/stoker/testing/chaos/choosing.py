"""What a session is to do, from the command line."""

import argparse
from pathlib import Path

from stoker.testing.chaos.database import Database, SqliteDatabase
from stoker.testing.chaos.faults import Breaker
from stoker.testing.chaos.session import Order

SERVERS = 2
"""Servers on a database that takes several."""

ENTERED = Path("/mnt")
"""Where Postgres's disk is mounted, in a namespace of its own: its user may enter no folder of
root's, as temporary ones are."""


def order_of(given: argparse.Namespace, folder: Path, seed: int) -> Order:
    """Return it."""
    order = Order(
        folder=folder,
        database=SqliteDatabase,
        servers=1,
        faults=given.faults,
        seed=seed,
        pace=given.pace,
        broken=",".join(given.break_rule),
    )
    if given.db == "postgres":
        order.servers = given.servers or SERVERS
        order.database = lambda _: _postgres(order.servers)
        order.prepare = _prepare
    return order


def _postgres(servers: int) -> Database:
    from stoker.testing.chaos.postgres import PostgresDatabase

    return PostgresDatabase(ENTERED, servers)


def _prepare(breaker: Breaker) -> None:
    from stoker.testing.chaos.postgres import PostgresDatabase, PostgresFaults

    database = breaker.cluster.database
    assert isinstance(database, PostgresDatabase)
    PostgresFaults(database, breaker)
