"""The provisioner: tells workers their orders, and backs off where launches fail."""

import asyncio

import pytest
from msgspec.structs import replace

from stoker.domain.hosts import Host
from stoker.domain.pools import Machine, Worker
from stoker.services import administration
from stoker.services.dispatcher import Dispatcher
from stoker.services.fleet import launching, provisioner, registering
from stoker.services.fleet.launching import MAX_BACKOFF, blocked_lanes, outlook_of
from stoker.services.fleet.provisioner import Provisioner
from stoker.services.replicas.members import Alone


class Clock:
    """A clock that stands still until it is moved; sleeping takes no time."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def boot(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Link:
    """A worker's socket that remembers its last orders."""

    def __init__(self) -> None:
        self.last: list[str] | None = None
        self.told = asyncio.Event()

    def orders(self, hosts) -> None:
        self.last = [host.host_id for host in hosts]
        self.told.set()

    def end(self, host_id: str, reason: str) -> None:
        raise AssertionError(host_id, reason)

    async def has(self, number: int) -> list[str]:
        async with asyncio.timeout(10):
            while self.last is None or len(self.last) != number:
                self.told.clear()
                await self.told.wait()
        return self.last


def a_worker(name: str = "w", pool: str = "pool") -> Worker:
    machine = Machine("here", "boot")
    return Worker(
        id=name, name=name, pool=pool, machine=machine, server_id="s", connection=f"{name}-1"
    )


class Office:
    """A provisioner at work over a world's store."""

    def __init__(self, world) -> None:
        self.world = world
        self.clock = Clock()
        self.dispatcher = Dispatcher(world.store, self.clock, ack_timeout=5.0, members=Alone("s"))
        self.provisioner = Provisioner(self.dispatcher, self.clock)

    def add(self, worker: Worker, link: Link) -> None:
        """A worker comes."""
        self.world.do(lambda unit: registering.register_worker(unit, worker, []))
        self.provisioner.add_worker(worker, link)

    def outlook(self, pool: str = "pool"):
        return self.world.read(lambda records: outlook_of(records, pool, self.clock.now()))

    def blocked(self, pool: str = "pool") -> dict[str, float]:
        return self.world.read(lambda records: blocked_lanes(records, pool))

    def failed(self, host: Host, reason: str) -> None:
        self.world.do(lambda unit: launching.failed(unit, host, reason))

    def registered(self, host: Host) -> None:
        self.world.do(lambda unit: launching.registered(unit, host))

    def knobs(self, **fields) -> None:
        changes = {"warm": fields}
        self.world.do(lambda unit: administration.update_pool(unit, "pool", changes))

    def run(self, main) -> None:
        async def all_of_it() -> None:
            running = asyncio.create_task(self.provisioner.run())
            try:
                await main()
            finally:
                running.cancel()

        asyncio.run(all_of_it())


@pytest.fixture
def office(world) -> Office:
    return Office(world)


def test_a_worker_gets_its_orders_when_it_comes_and_when_demand_changes(office):
    async def main() -> None:
        link = Link()
        office.add(a_worker(), link)
        assert await link.has(0) == []
        office.world.submit()
        office.provisioner.poke("pool")
        (host,) = await link.has(1)
        assert office.world.stored(host).worker_id == "w"

    office.run(main)


def test_a_worker_that_leaves_is_replaced(office):
    async def main() -> None:
        first, second = Link(), Link()
        office.knobs(min=1)
        office.add(a_worker(), first)
        await first.has(1)
        leaving = replace(a_worker(), draining=True)
        office.world.do(lambda unit: unit.records.put_worker(leaving))
        assert list(office.outlook().workers) == []
        office.add(a_worker("v"), second)
        assert await second.has(0) == [], "what the first one has still counts"
        assert list(office.outlook().workers) == ["v"]
        office.provisioner.remove_worker("w", second)
        assert office.provisioner.worker_ids == ["w", "v"], "another socket than its own"
        office.provisioner.remove_worker("w", first)
        assert office.provisioner.worker_ids == ["v"]

    office.run(main)


def test_a_lane_whose_launches_fail_waits_longer_each_time(office):
    host = Host(id="h", pool="pool", lane=office.world.lane(), requested=1000.0)

    async def main() -> None:
        link = Link()
        office.world.submit()
        delays = []
        for _ in range(10):
            office.failed(host, "no such interpreter")
            delays.append(office.blocked()[host.lane] - office.clock.now())
        assert delays[:3] == [1.0, 2.0, 4.0]
        assert max(delays) == delays[-1] == MAX_BACKOFF
        assert office.outlook().failures == {("pool", host.lane): "no such interpreter"}
        office.add(a_worker(), link)
        assert await link.has(0) == []
        office.clock.at += MAX_BACKOFF
        office.provisioner.poke("pool")
        await link.has(1)

    office.run(main)


def test_a_host_that_registers_ends_the_waiting_and_tells_how_long_launches_take(office):
    host = Host(id="h", pool="pool", lane="l", requested=1000.0)
    for seconds in (1.0, 9.0, 2.0):
        host.registered = 1000 + seconds
        office.failed(host, "it died")
        office.registered(host)
    assert office.outlook().failures == {}
    assert office.blocked() == {}
    assert office.outlook().cold_start == {"pool": 2.0}
    office.failed(host, "it died")
    assert office.blocked() == {"l": office.clock.now() + 1.0}, "counted anew"


def test_a_pool_whose_planning_failed_is_planned_again_and_holds_up_no_other(
    office, monkeypatch, caplog
):
    monkeypatch.setattr(provisioner, "RETRY", 0.01)
    office.world.pool("other")
    office.world.deployment("o", pool="other")
    failures = ["the disk is full"] * 2
    plan = provisioner.plan

    def failing(unit, pool, *rest):
        if pool == "pool" and failures:
            raise OSError(failures.pop())
        return plan(unit, pool, *rest)

    monkeypatch.setattr(provisioner, "plan", failing)

    async def main() -> None:
        link, others = Link(), Link()
        office.world.submit()
        office.world.submit("f/o")
        office.add(a_worker(), link)
        office.add(a_worker("v", "other"), others)
        await others.has(1)
        await link.has(1)

    office.run(main)
    assert failures == []
    assert caplog.messages == ["work pool pool could not be planned"] * 2


def test_launches_that_fail_in_one_pool_block_no_other(office):
    office.world.pool("other")
    office.world.deployment("o", pool="other")
    lane = office.world.lane()
    assert lane == office.world.lane("other")

    async def main() -> None:
        link = Link()
        failed = Host(id="h", pool="pool", lane=lane, requested=1000.0)
        office.failed(failed, "no such interpreter")
        office.world.submit("f/o")
        office.add(a_worker("v", "other"), link)
        await link.has(1)
        works = Host(id="g", pool="other", lane=lane, requested=1000.0, registered=1001.0)
        office.registered(works)
        assert list(office.outlook().failures) == [("pool", lane)]

    office.run(main)
