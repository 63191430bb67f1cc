"""Readers of events skip none, where transactions of several servers end in any order."""

import threading

import pytest

from stoker.domain.events import Event, Resource
from stoker.storage.postgres.store import PostgresStore


def an_event(resource: str) -> Event:
    return Event(event="x", at=1.0, resource=Resource("file", resource))


class Slow:
    """A transaction of another server that appends an event, and is not committed yet."""

    def __init__(self, store, resource: str, *, fails: bool = False) -> None:
        self._go = threading.Event()
        self._wrote = threading.Event()
        self._fails = fails
        self._resource = resource
        self._future = store.write(self._work)
        assert self._wrote.wait(10)

    def _work(self, records) -> None:
        records.add_events([an_event(self._resource)])
        # What is written travels with the next question.
        records.last_event()
        self._wrote.set()
        assert self._go.wait(10)
        if self._fails:
            raise RuntimeError("it is undone")

    def end(self) -> None:
        self._go.set()
        self._future.exception(10)


@pytest.fixture
def servers(postgres_server):
    url = postgres_server.create_database()
    opened = [PostgresStore(url) for _ in range(3)]
    yield opened
    for store in opened:
        store.close()


def read_on(store, after: int) -> tuple[list[str], int]:
    """Read as a reader by cursor does; return what comes, and where it goes on."""
    horizon = store.read(lambda records: records.event_horizon()).result(10)
    found = store.read(lambda records: records.events_after(after, horizon, 10_000)).result(10)
    return [event.resource.id for event in found], max(after, horizon)


def append(store, resource: str) -> None:
    store.write(lambda records: records.add_events([an_event(resource)])).result(10)


def test_an_event_that_is_committed_after_later_ones_is_not_skipped(servers):
    first, second, reader = servers
    append(second, "a")
    slow = Slow(first, "b")
    append(second, "c")
    seen, position = read_on(reader, 0)
    assert seen == ["a"]
    slow.end()
    assert read_on(reader, position)[0] == ["b", "c"]


def test_what_is_undone_holds_nobody_up(servers):
    first, second, reader = servers
    slow = Slow(first, "b", fails=True)
    append(second, "c")
    seen, position = read_on(reader, 0)
    assert seen == []
    slow.end()
    # Its server says so before it has told the database; its next transaction comes after that.
    append(first, "d")
    assert read_on(reader, position)[0] == ["c", "d"]


def test_many_writers_at_once_and_a_reader_that_sees_each_event_once_and_in_order(servers):
    first, second, reader = servers
    done = threading.Event()
    seen: list[str] = []

    def follow() -> None:
        position = 0
        while True:
            last = done.is_set()
            found, position = read_on(reader, position)
            seen.extend(found)
            if last:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    futures = [
        store.write(lambda records, name=f"{n}-{i}": records.add_events([an_event(name)]))
        for i in range(300)
        for n, store in enumerate((first, second))
    ]
    for future in futures:
        future.result(30)
    done.set()
    thread.join(30)
    assert sorted(seen) == sorted(f"{n}-{i}" for n in range(2) for i in range(300))
