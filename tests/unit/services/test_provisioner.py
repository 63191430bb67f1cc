"""The provisioner: tells workers their orders, and backs off where launches fail."""

import asyncio

import pytest

from stoker.domain.hosts import Host
from stoker.domain.pools import Machine, Worker
from stoker.services import administration, provisioner
from stoker.services.dispatcher import Dispatcher
from stoker.services.provisioner import MAX_BACKOFF, Provisioner


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


def a_worker(name: str = "w") -> Worker:
    return Worker(id=name, name=name, pool="pool", machine=Machine("here", "boot"))


class Office:
    """A provisioner at work over a world's store."""

    def __init__(self, world) -> None:
        self.world = world
        self.clock = Clock()
        self.dispatcher = Dispatcher(world.store, self.clock, ack_timeout=5.0)
        self.provisioner = Provisioner(self.dispatcher, self.clock)

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
        office.provisioner.add_worker(a_worker(), link)
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
        office.provisioner.add_worker(a_worker(), first)
        await first.has(1)
        office.provisioner.drain_worker("w")
        assert list(office.provisioner.outlook.workers) == []
        office.provisioner.add_worker(a_worker("v"), second)
        assert await second.has(0) == [], "what the first one has still counts"
        assert list(office.provisioner.outlook.workers) == ["v"]
        office.provisioner.remove_worker("w", second)
        assert office.provisioner.worker_ids == ["w", "v"], "another socket than its own"
        office.provisioner.remove_worker("w", first)
        assert office.provisioner.worker_ids == ["v"]

    office.run(main)


def test_a_lane_whose_launches_fail_waits_longer_each_time(office):
    host = Host(id="h", pool="pool", lane=office.world.lane(), requested=1000.0)

    async def main() -> None:
        link = Link()
        provisioner = office.provisioner
        office.world.submit()
        delays = []
        for _ in range(10):
            provisioner.failed(host, "no such interpreter")
            delays.append(provisioner._blocked["pool", host.lane] - office.clock.now())
        assert delays[:3] == [1.0, 2.0, 4.0]
        assert max(delays) == delays[-1] == MAX_BACKOFF
        assert provisioner.outlook.failures == {("pool", host.lane): "no such interpreter"}
        provisioner.add_worker(a_worker(), link)
        assert await link.has(0) == []
        office.clock.at += MAX_BACKOFF
        provisioner.poke("pool")
        await link.has(1)

    office.run(main)


def test_a_host_that_registers_ends_the_waiting_and_tells_how_long_launches_take(office):
    async def main() -> None:
        provisioner = office.provisioner
        for seconds in (1.0, 9.0, 2.0):
            host = Host(id="h", pool="pool", lane="l", requested=1000.0, registered=1000 + seconds)
            provisioner.failed(host, "it died")
            provisioner.registered(host)
        assert provisioner.outlook.failures == {}
        assert provisioner._blocked == {}
        assert provisioner.outlook.cold_start == {"pool": 2.0}
        provisioner.failed(host, "it died")
        assert provisioner._blocked["pool", "l"] == office.clock.now() + 1.0, "counted anew"

    office.run(main)


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
        office.provisioner.add_worker(a_worker(), link)
        other = a_worker("v")
        other.pool = "other"
        office.provisioner.add_worker(other, others)
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
        office.provisioner.failed(failed, "no such interpreter")
        office.world.submit("f/o")
        other = a_worker("v")
        other.pool = "other"
        office.provisioner.add_worker(other, link)
        await link.has(1)
        works = Host(id="g", pool="other", lane=lane, requested=1000.0, registered=1001.0)
        office.provisioner.registered(works)
        assert list(office.provisioner.outlook.failures) == [("pool", lane)]

    office.run(main)
