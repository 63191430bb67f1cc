"""Servers of one store follow the database's clock once together, and their own ones not at all."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import Machine, Worker, WorkPool
from stoker.services.dispatcher import Dispatcher
from stoker.services.replicas.members import Members
from stoker.services.replicas.store_clock import StoreClock
from stoker.testing.memory import MemoryStore
from stoker.testing.memory.store import MemoryRecords


class Time:
    """What passes for all, and how far the database's clock is set."""

    passed = 0.0
    database = 50_000.0


class Computer:
    """A server's machine, with clocks of its own."""

    def __init__(self, time: Time, wall: float, boot: float) -> None:
        self.time, self.wall, self.since = time, wall, boot

    def now(self) -> float:
        return self.wall + self.time.passed

    def boot(self) -> float:
        return self.since + self.time.passed

    async def sleep(self, seconds: float) -> None:
        self.time.passed += seconds


class Town:
    """A store with a host, and its servers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = Time()
        monkeypatch.setattr(MemoryRecords, "time", lambda _: self.time.database + self.time.passed)
        self.store = MemoryStore()
        self.leaps: list[tuple[str, float]] = []

        def fill(records) -> None:
            records.put_pool(WorkPool(id="p", name="p"))
            records.put_host(
                Host(
                    id="h",
                    pool="p",
                    lane="l",
                    worker_id="w",
                    state=HostState.UP,
                    requested=50_000.0,
                    lease_until=50_030.0,
                )
            )
            machine = Machine("here", "boot")
            records.put_worker(Worker(id="w", name="w", pool="p", machine=machine, last_seen=50.0))

        self.store.write(fill).result(10)

    def join(self, wall: float, boot: float) -> tuple[Members, StoreClock, Computer]:
        machine = Computer(self.time, wall, boot)
        clock = StoreClock(machine)
        members = Members(self.store, clock, address="", version="1", pace=2.0)
        members.on_leap = lambda by: self.leaps.append((members.id, by))
        self.beat(members)
        return members, clock, machine

    def beat(self, *members: Members) -> None:
        for one in members:
            asyncio.run(one.beat())

    @property
    def lease_until(self) -> float:
        host = self.store.read(lambda records: records.host("h")).result(10)
        assert host is not None
        return host.lease_until


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    made = Town(monkeypatch)
    yield made
    made.store.close()


def test_a_leap_of_one_servers_wall_clock_moves_nothing(town: Town) -> None:
    left, clock, machine = town.join(wall=50_000.0, boot=10.0)
    right, _, _ = town.join(wall=49_000.0, boot=7000.0)
    dispatcher = Dispatcher(town.store, clock, ack_timeout=5.0, members=left)
    for wall in (90_000.0, 1.0):
        machine.wall = wall
        town.time.passed += 1.0
        assert clock.now() == town.time.database + town.time.passed
        asyncio.run(dispatcher.transact(lambda unit: unit.now))
        town.beat(left, right)
    assert town.lease_until == 50_030.0
    assert town.leaps == []


@pytest.mark.parametrize("by", [3600.0, -3600.0, 2.0])
def test_a_leap_of_the_databases_clock_is_followed_once(town: Town, by: float) -> None:
    left, clock, _ = town.join(wall=50_000.0, boot=10.0)
    right, other_clock, _ = town.join(wall=49_000.0, boot=7000.0)
    dispatchers = [
        Dispatcher(town.store, one_clock, ack_timeout=5.0, members=one)
        for one, one_clock in ((left, clock), (right, other_clock))
    ]
    town.time.database += by
    town.beat(right, left, right, left)
    for dispatcher in dispatchers:
        asyncio.run(dispatcher.transact(lambda unit: unit.now))
    assert town.lease_until == 50_030.0 + by
    assert sorted(town.leaps) == sorted([(left.id, by), (right.id, by)]), "each moves what it holds"
    assert clock.now() == other_clock.now() == town.time.database + town.time.passed
    assert left.others, "its lease has moved with the clock"
    assert right.others


def test_who_leads_next_follows_what_the_last_one_did_not(town: Town) -> None:
    left, _, _ = town.join(wall=50_000.0, boot=10.0)
    right, _, _ = town.join(wall=49_000.0, boot=7000.0)
    assert left.leading("sweeper")
    # It has a second left to lead, and dies.
    town.time.database -= 1.5
    town.beat(right)
    assert town.lease_until == 50_030.0, "it does not lead"
    town.time.passed += 10.0
    town.beat(right)
    assert right.leading("sweeper")
    assert town.lease_until == 50_028.5
    town.beat(right)
    assert town.lease_until == 50_028.5


def test_who_came_after_a_leap_undoes_nothing_of_it(town: Town) -> None:
    left, _, _ = town.join(wall=50_000.0, boot=10.0)
    town.time.database += 3.0
    right, _, _ = town.join(wall=49_000.0, boot=7000.0)
    town.beat(left, right)
    assert town.lease_until == 50_033.0
    asyncio.run(left.leave())
    town.beat(right)
    assert right.leading("sweeper")
    assert town.lease_until == 50_033.0


def test_a_beat_that_was_not_committed_has_followed_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, clock, _ = town.join(wall=50_000.0, boot=10.0)
    write = town.store.write

    def undone(work) -> Future[object]:
        def fail(records) -> None:
            work(records)
            raise ConnectionError

        return write(fail)

    town.time.database += 100.0
    monkeypatch.setattr(town.store, "write", undone)
    with pytest.raises(ConnectionError):
        town.beat(left)
    assert town.lease_until == 50_030.0
    assert clock.now() == 50_000.0
    monkeypatch.setattr(town.store, "write", write)
    town.beat(left)
    assert town.lease_until == 50_130.0
