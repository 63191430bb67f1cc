"""Two servers change one record at the same time, each another part of it."""

from collections.abc import Iterator

import pytest

from stoker.domain.pools import WorkPool
from stoker.services import administration
from stoker.services.settling import finish
from stoker.services.unit import Unit
from stoker.storage.postgres.store import PostgresStore

ROUNDS = 25


@pytest.fixture
def stores(postgres_url: str) -> Iterator[list[PostgresStore]]:
    opened = [PostgresStore(postgres_url) for _ in range(2)]
    yield opened
    for store in opened:
        store.close()


def test_no_change_of_a_pool_is_lost(stores):
    def transaction(work):
        def run(records):
            unit = Unit(records, 1000.0)
            work(unit)
            finish(unit, [])

        return run

    def update(**changes):
        return transaction(lambda unit: administration.update_pool(unit, "p", changes))

    one, other = stores
    make = transaction(lambda unit: administration.create_pool(unit, WorkPool(id="", name="p")))
    one.write(make).result(10)
    for number in range(ROUNDS):
        paused = number % 2 == 0
        written = [
            one.write(update(paused=paused)),
            other.write(update(concurrency_limit=number)),
        ]
        for future in written:
            future.result(20)
        pool = one.read(lambda records: records.pool("p")).result(10)
        assert (pool.paused, pool.concurrency_limit) == (paused, number)
