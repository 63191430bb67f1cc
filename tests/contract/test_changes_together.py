"""Two servers that change one thing at the same time: neither change is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stoker.domain.concurrency import Limit, LimitKind
from stoker.domain.pools import WorkPool
from stoker.ports.store import Records
from stoker.services import administration
from stoker.services.concurrency import limits
from stoker.services.unit import Unit
from stoker.storage.postgres.store import PostgresStore


def make_all(unit: Unit) -> None:
    administration.create_pool(unit, WorkPool(id="", name="p"))
    limits.create_limit(unit, Limit(kind=LimitKind.NAME, name="l", slots=1))


def change_pool(unit: Unit, second: bool) -> None:
    administration.update_pool(unit, "p", {"paused": True} if second else {"concurrency_limit": 5})


def change_limit(unit: Unit, second: bool) -> None:
    given: dict[str, Any] = {"active": False} if second else {"slots": 5}
    limits.update_limit(unit, LimitKind.NAME, "l", **given)


def shown(records: Records) -> tuple[object, ...]:
    pool, limit = records.pool("p"), records.limit(LimitKind.NAME, "l")
    assert pool is not None
    assert limit is not None
    return pool.paused, pool.concurrency_limit, limit.active, limit.slots


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (change_pool, (True, 5, True, 1)),
        (change_limit, (False, None, False, 5)),
    ],
)
def test_neither_of_two_changes_is_lost(postgres_server, change, after) -> None:
    url = postgres_server.create_database()
    first, second = PostgresStore(url), PostgresStore(url)
    changed, go_on = threading.Event(), threading.Event()

    def slowly(records: Records) -> None:
        unit = Unit(records, 1.0)
        change(unit, False)
        changed.set()
        assert go_on.wait(10)

    try:
        first.write(lambda records: make_all(Unit(records, 1.0))).result(10)
        with ThreadPoolExecutor() as pool:
            slow = pool.submit(lambda: first.write(slowly).result(10))
            assert changed.wait(10)
            other = second.write(lambda records: change(Unit(records, 1.0), True))
            with pytest.raises(TimeoutError):
                # What it changes is being changed: it must not have read it yet.
                other.result(0.3)
            go_on.set()
            slow.result(10)
            other.result(10)
        assert second.read(shown).result(10) == after
    finally:
        go_on.set()
        first.close()
        second.close()
