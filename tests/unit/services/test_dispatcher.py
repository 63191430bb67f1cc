"""The dispatcher pushes what a transaction causes, whatever happens to sockets meanwhile."""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

import msgspec
import pytest

from stoker.api import hosts
from stoker.api.context import Context
from stoker.domain.errors import NotFound, OutcomeUnknown, Unavailable
from stoker.domain.hosts import HostState, HostZygote
from stoker.domain.pools import Machine, Worker
from stoker.domain.reports import Finished, Frame
from stoker.domain.requests import StartRun
from stoker.domain.states import StateRecord, StateType
from stoker.services import administration
from stoker.services.claims import lending
from stoker.services.dispatcher import Dispatcher
from stoker.services.fleet import registering
from stoker.services.fleet.connections import FAILED
from stoker.services.fleet.provisioner import Provisioner
from stoker.services.lookup import need_run
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.ingest import ingest
from stoker.services.runs.submission import submit
from stoker.services.runs.waiting import await_run
from stoker.wire import host as wire


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def boot(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


class Link:
    """A host's socket that remembers what it was given."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.changed = asyncio.Event()

    def _say(self, what: str, value: Any) -> None:
        self.said.append((what, value))
        self.changed.set()

    def assign(self, jobs) -> None:
        self._say("assign", [(job.run_id, job.attempt) for job in jobs])

    def cancel(self, run_id, attempt, *, now, suspend=False, failure="") -> None:
        self._say("cancel", (run_id, attempt, now))

    def stop_run(self, run_id, attempt, *, stop) -> None:
        self._say("stop_run", (run_id, attempt, stop))

    def warm(self, codes) -> None:
        self._say("warm", list(codes))

    def terms(self, terms) -> None:
        self._say("terms", terms)

    def drain(self) -> None:
        self._say("drain", None)

    def drop(self) -> None:
        self._say("drop", None)

    def given(self) -> list[tuple[str, int]]:
        return [one for what, jobs in self.said if what == "assign" for one in jobs]

    async def until(self, ready: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not ready():
                self.changed.clear()
                await self.changed.wait()


class GatedStore:
    """A store that holds work back while its gate is closed; what reads for ever."""

    shared = False

    def __init__(self, store) -> None:
        self.store = store
        self.held: list[tuple[Any, Future]] | None = None

    def write(self, work) -> Future:
        if self.held is None:
            return self.store.write(work)
        future: Future = Future()
        self.held.append((work, future))
        return future

    def read(self, work) -> Future:
        return self.store.read(work) if self.held is None else Future()

    def publish(self, messages) -> None:
        self.store.publish(messages)

    def subscribe(self, take) -> None:
        self.store.subscribe(take)

    def watch_writes(self, observe) -> None:
        self.store.watch_writes(observe)

    def close(self) -> None:
        self.store.close()

    def close_gate(self) -> None:
        self.held = []

    async def open_gate(self) -> None:
        held, self.held = self.held or [], None
        for work, future in held:
            if future.set_running_or_notify_cancel():
                future.set_result(self.store.write(work).result(10))
        await asyncio.sleep(0)


class Side:
    """A dispatcher over a world's store, with one connected host."""

    def __init__(self, world) -> None:
        self.world = world
        self.clock = Clock()
        self.store = GatedStore(world.store)
        self.dispatcher = Dispatcher(self.store, self.clock, ack_timeout=5.0)
        self.link = Link()

    async def host(self, name: str = "h", slots: int = 1) -> Link:
        self.world.host(name, slots=slots, ready=False)
        return await self.connect(name)

    async def connect(self, name: str = "h") -> Link:
        self.link = Link()
        self.dispatcher.hosts.connect(name, self.link)
        await self.ready(self.link, name)
        return self.link

    async def ready(self, link: Link, name: str = "h", held=()) -> None:
        def compare(unit):
            registering.reconcile(unit, name, held)
            return registering.ready_host(unit, unit.records.host(name))

        self.dispatcher.hosts.add(await self.dispatcher.transact(compare), link)
        await self.dispatcher.transact(lambda unit: unit.claimable.add("pool"))

    async def submit(self, deployment: str = "f/d") -> str:
        (run,) = await self.dispatcher.transact(
            lambda unit: submit(unit, [StartRun(deployment=deployment)])
        )
        return run.id

    async def finish(self, run_id: str) -> None:
        run = self.world.run(run_id)
        state = StateRecord(StateType.COMPLETED, "Completed", 1001.0)
        frame = Frame(run_id, run.attempt, 1000, [Finished(state)])
        await self.dispatcher.transact(lambda unit: ingest(unit, None, [frame]))


@pytest.fixture
def side(world) -> Side:
    return Side(world)


def test_a_run_is_pushed_to_its_host_right_after_it_is_stored(side):
    async def main() -> None:
        link = await side.host()
        run = await side.submit()
        assert link.given() == [(run, 1)]
        await side.dispatcher.transact(lambda unit: cancel(unit, run))
        assert link.said[-1] == ("cancel", (run, 1, False))

    asyncio.run(main())


def test_what_is_committed_is_pushed_though_its_asker_is_gone(side):
    async def main() -> None:
        link = await side.host()
        side.store.close_gate()
        asker = asyncio.create_task(side.submit())
        await asyncio.sleep(0)
        asker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asker
        await side.store.open_gate()
        await link.until(link.given)

    asyncio.run(main())


@pytest.mark.parametrize(("what", "status"), [("read", 503), ("transact", 504)])
def test_who_waits_when_the_server_stops_is_told_whether_it_was_done(side, what, status):
    async def main() -> None:
        side.store.close_gate()
        asker = asyncio.create_task(getattr(side.dispatcher, what)(lambda _: None))
        await asyncio.sleep(0)
        side.dispatcher.watch.close()
        asker.cancel()
        with pytest.raises(Unavailable, match="try it again") as refused:
            await asker
        assert refused.value.status == status

    asyncio.run(main())


def test_where_it_is_not_known_what_was_committed_hosts_are_asked_anew(side):
    async def main() -> None:
        link = await side.host()
        looks: list[int] = []
        side.dispatcher.on_unknown = lambda: looks.append(1)
        side.store.close_gate()
        written = asyncio.create_task(side.submit())
        await asyncio.sleep(0)
        ((_, future),) = side.store.held
        future.set_exception(OutcomeUnknown("the connection was lost while it committed"))
        with pytest.raises(OutcomeUnknown):
            await written
        assert link.said[-1] == ("drop", None)
        assert side.dispatcher.hosts.connected == []
        assert looks == [1]

    asyncio.run(main())


def test_a_claim_for_a_socket_that_went_away_is_taken_back(side):
    async def main() -> None:
        link = await side.host()
        side.store.close_gate()
        asker = asyncio.create_task(side.submit())
        await asyncio.sleep(0)
        side.dispatcher.hosts.disconnect("h", link)
        await side.store.open_gate()
        run = await asker
        assert link.given() == []
        again = await side.connect()
        await again.until(again.given)
        assert again.given() == [(run, 2)]

    asyncio.run(main())


def test_a_claim_for_the_last_socket_is_not_sent_over_the_new_one(side):
    """The host has said on the new one that it holds nothing: that claim was taken back."""

    async def main() -> None:
        await side.host()
        side.store.close_gate()
        asker = asyncio.create_task(side.submit())
        await asyncio.sleep(0)
        link = Link()
        side.dispatcher.hosts.connect("h", link)
        await side.store.open_gate()
        run = await asker
        await side.ready(link)
        await link.until(link.given)
        assert link.given() == [(run, 2)]

    asyncio.run(main())


def test_a_socket_that_was_dropped_does_not_become_ready(side):
    async def main() -> None:
        side.world.host("h", ready=False)
        link = Link()
        side.dispatcher.hosts.connect("h", link)
        side.dispatcher.hosts.disconnect("h", link)
        await side.ready(link)
        run = await side.submit()
        assert link.given() == []
        assert side.world.state(run) is StateType.SCHEDULED
        side.dispatcher.hosts.warm("pool", side.world.lane(), [])
        assert link.said == []

    asyncio.run(main())


def test_a_host_that_does_not_acknowledge_is_dropped_and_asked_again(side):
    async def main() -> None:
        link = await side.host(slots=2)
        one, two = await side.submit(), await side.submit()
        side.dispatcher.hosts.acknowledged("h", [(one, 1)])
        side.clock.at += 5.0
        side.dispatcher.hosts.drop_deaf()
        assert ("drop", None) not in link.said
        side.clock.at += 0.1
        side.dispatcher.hosts.drop_deaf()
        assert link.said[-1] == ("drop", None)
        again = Link()
        side.dispatcher.hosts.connect("h", again)
        await side.ready(again, held=[(one, 1)])
        assert again.given() == [(two, 2)]

    asyncio.run(main())


def test_an_acknowledged_host_is_not_dropped(side):
    async def main() -> None:
        link = await side.host()
        run = await side.submit()
        side.dispatcher.hosts.acknowledged("h", [(run, 1)])
        side.clock.at += 100.0
        side.dispatcher.hosts.drop_deaf()
        assert ("drop", None) not in link.said

    asyncio.run(main())


def test_a_zygote_that_is_warm_draws_runs(side):
    async def main() -> None:
        await side.host("h1", slots=8)
        warm = await side.host("h2", slots=8)
        code = side.world.read(lambda records: records.deployment("f/d")).code
        ready = HostZygote(host_id="h2", key=code.key)
        side.dispatcher.hosts.zygote(ready)
        run = await side.submit()
        assert warm.given() == [(run, 1)]
        failed = HostZygote(host_id="h2", key=code.key, ready=False, message="no such module")
        side.dispatcher.hosts.zygote(failed)
        assert await side.submit() not in [run for run, _ in warm.given()]
        side.dispatcher.hosts.zygote_gone("h2", code.key)

    asyncio.run(main())


def test_waiting_for_the_end_of_a_run_is_answered_by_its_end(side):
    async def main() -> None:
        await side.host()
        run = await side.submit()
        waiting = asyncio.create_task(await_run(side.dispatcher, run, None, None))
        await side.dispatcher.read(lambda records: None)
        await side.finish(run)
        async with asyncio.timeout(10):
            assert (await waiting).state.type is StateType.COMPLETED
            again = await await_run(side.dispatcher, run, None, None)
        assert again.state.type is StateType.COMPLETED

    asyncio.run(main())


def test_waiting_is_answered_with_the_run_as_it_is_after_the_time(side):
    async def main() -> None:
        run = await side.submit()
        found = await await_run(side.dispatcher, run, None, 0.01)
        assert found.state.type is StateType.SCHEDULED
        with pytest.raises(NotFound):
            await await_run(side.dispatcher, "nobody", None, 1.0)

    asyncio.run(main())


def test_a_run_that_waits_is_answered_when_it_has_back_what_it_lent(side):
    async def main() -> None:
        link = await side.host(slots=1)
        parent, child = await side.submit(), await side.submit()
        await side.dispatcher.transact(
            lambda unit: lending.begin_wait(unit, parent, need_run(unit.records, child))
        )
        assert link.given() == [(parent, 1), (child, 1)]
        waiting = asyncio.create_task(await_run(side.dispatcher, child, parent, None))
        await side.dispatcher.transact(lambda unit: None)
        await side.finish(child)
        async with asyncio.timeout(10):
            assert (await waiting).state.type is StateType.COMPLETED
        assert side.world.read(lambda records: records.waits_of(parent)) == []

    asyncio.run(main())


def test_a_wait_ends_with_the_run_that_waits(side):
    async def main() -> None:
        await side.host(slots=2)
        parent, child = await side.submit(), await side.submit()
        waiting = asyncio.create_task(await_run(side.dispatcher, child, parent, None))
        await side.dispatcher.read(lambda records: None)
        await side.dispatcher.transact(lambda unit: None)
        await side.finish(parent)
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert side.dispatcher.watch.waits(child, parent) == 0

    asyncio.run(main())


def test_of_two_waits_of_a_run_for_another_one_may_end_alone(side):
    async def main() -> None:
        await side.host(slots=2)
        parent, child = await side.submit(), await side.submit()
        waiting = asyncio.create_task(await_run(side.dispatcher, child, parent, None))
        await side.dispatcher.transact(lambda unit: None)
        found = await await_run(side.dispatcher, child, parent, 0.01)
        assert found.state.type is StateType.PENDING
        await side.dispatcher.transact(lambda unit: None)
        assert not waiting.done()
        await side.finish(child)
        async with asyncio.timeout(10):
            assert (await waiting).state.type is StateType.COMPLETED

    asyncio.run(main())


def test_a_wait_that_its_run_has_forgotten_lends_nothing_any_more(side):
    async def main() -> None:
        await side.host(slots=2)
        parent, child = await side.submit(), await side.submit()
        forgotten = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(await_run(side.dispatcher, child, parent, None, forgotten))
        await side.dispatcher.transact(lambda unit: None)
        assert side.world.read(lambda records: records.waits_of(parent)) == [child]
        forgotten.set_result(None)
        async with asyncio.timeout(10):
            assert (await waiting).state.type is StateType.PENDING
        assert side.world.read(lambda records: records.waits_of(parent)) == []

    asyncio.run(main())


class Told:
    """A worker's socket that remembers how many hosts it was ordered to have."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def orders(self, hosts) -> None:
        self.numbers.append(len(hosts))

    def end(self, host_id: str, reason: str) -> None:
        raise AssertionError(host_id, reason)


def test_a_worker_is_told_its_orders_when_they_change_and_on_each_connection(side):
    async def main() -> None:
        provisioner = Provisioner(side.dispatcher, side.clock)
        worker, link = Worker(id="w", name="w", pool="pool", machine=Machine("m", "b")), Told()
        running = asyncio.create_task(provisioner.run())

        async def planned() -> None:
            done = asyncio.Event()
            real = side.dispatcher.transact

            async def transact(work):
                result = await real(work)
                asyncio.get_running_loop().call_soon(done.set)
                return result

            side.dispatcher.transact = transact
            provisioner.poke("pool")
            async with asyncio.timeout(10):
                await done.wait()
            side.dispatcher.transact = real

        provisioner.add_worker(worker, link)
        await planned()
        await planned()
        assert link.numbers == [0]
        side.world.host(ready=False)
        await planned()
        await planned()
        assert link.numbers == [0, 1]
        await side.dispatcher.transact(lambda unit: registering.lost(unit, "h", "killed"))
        await planned()
        assert link.numbers == [0, 1, 0], "a worker that ends waits for this"
        again = Told()
        provisioner.add_worker(worker, again)
        await planned()
        assert (link.numbers, again.numbers) == ([0, 1, 0], [0])
        running.cancel()

    asyncio.run(main())


def test_a_host_that_is_used_once_gets_its_run_and_no_other(side):
    async def main() -> None:
        lane = side.world.deployment(isolation="host").lane
        side.world.host("h", slots=1, once=True, lane=lane, ready=False)
        link = await side.connect()
        first, second = await asyncio.gather(side.submit(), side.submit())
        assert link.said == [("assign", [(min(first, second), 1)])], "and it is not told to drain"
        assert side.dispatcher.hosts.ready == {}
        await side.finish(min(first, second))
        assert side.world.state(max(first, second)) is StateType.SCHEDULED

    asyncio.run(main())


def test_what_hosts_go_by_is_pushed(side):
    async def main() -> None:
        link = await side.host()
        changes = {"fence_after": 60.0, "warm": {"max_runs": 5}}
        await side.dispatcher.transact(
            lambda unit: administration.update_pool(unit, "pool", changes)
        )
        ((what, terms),) = link.said
        assert (what, terms.fence_after, terms.max_runs) == ("terms", 60.0, 5)
        await side.dispatcher.transact(
            lambda unit: administration.update_pool(unit, "pool", {"paused": True})
        )
        assert len(link.said) == 1

    asyncio.run(main())


def test_what_a_host_could_import_and_what_not_is_noted(side):
    async def main() -> None:
        await side.host()
        side.dispatcher.hosts.zygote(HostZygote(host_id="h", key="k", ready=False))
        (ready,) = side.dispatcher.hosts.ready.values()
        assert (ready.codes, ready.failed) == (set(), {"k"})
        side.dispatcher.hosts.zygote(HostZygote(host_id="h", key="k"))
        assert (ready.codes, ready.failed) == ({"k"}, set())
        await side.connect()
        (ready,) = side.dispatcher.hosts.ready.values()
        assert (ready.codes, ready.failed) == (set(), set())

    asyncio.run(main())


def test_of_codes_that_a_host_could_not_import_the_newest_are_remembered(side):
    async def main() -> None:
        link = await side.host()
        keys = [str(number) for number in range(FAILED + 10)]
        forgotten = []
        for key in ["good", *keys]:
            zygote = HostZygote(host_id="h", key=key, ready=key == "good")
            forgotten += side.dispatcher.hosts.zygote(zygote)
        assert forgotten == keys[:10]
        (ready,) = side.dispatcher.hosts.ready.values()
        assert (ready.codes, ready.failed) == ({"good"}, set(keys[10:]))
        side.dispatcher.hosts.disconnect("h", link)
        assert side.dispatcher.hosts.zygote(HostZygote(host_id="h", key="late")) == []
        assert side.dispatcher.hosts.ready == {}

    asyncio.run(main())


class Silent:
    """What goes out of a conversation; nobody reads it but the test."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def put(self, message: bytes) -> None:
        self.said.append(msgspec.msgpack.decode(message, type=wire.ToHost))

    def close(self) -> None:
        pass


def test_a_host_that_was_used_up_while_it_said_hello_again_is_told_to_leave(side):
    side.world.deployment("own", isolation="host")
    lane = side.world.read(lambda records: records.deployment("f/own")).lane
    token_hash = hashlib.sha256(b"token").hexdigest()
    side.world.host("h", slots=1, once=True, lane=lane, ready=False, token_hash=token_hash)
    context = Context(
        dispatcher=side.dispatcher,
        granter=cast(Any, None),
        metrics=cast(Any, None),
        readiness=cast(Any, None),
        provisioner=Provisioner(side.dispatcher, side.clock),
        sweeper=cast(Any, None),
        feed=cast(Any, None),
        clock=side.clock,
        version="1",
        home="",
        database="",
        heartbeat=1.0,
        lease=3.0,
    )

    async def main() -> None:
        await side.connect()
        outgoing = Silent()
        conversation = hosts.HostConversation(context, hosts.SocketHostLink(cast(Any, outgoing)))
        side.store.close_gate()
        process = side.world.stored().process
        hello = wire.HostHello(host_id="h", token="token", process=process, slots=1)
        asker = asyncio.create_task(side.submit("f/own"))
        await asyncio.sleep(0)
        greeting = asyncio.create_task(conversation.take(hello))
        await asyncio.sleep(0)
        await side.store.open_gate()
        assert await greeting
        run = await asker
        await conversation.take(wire.Holding(runs=[]))
        assert side.world.state(run) is StateType.SCHEDULED
        assert side.world.stored().state is HostState.DRAINING
        assert isinstance(outgoing.said[-1], wire.Drain)
        assert side.dispatcher.hosts.ready == {}

    asyncio.run(main())


def test_a_host_that_says_hello_again_is_given_runs_on_its_new_connection_alone(side):
    async def main() -> None:
        old = await side.host()
        host = side.world.stored()
        host.connection = "another server's"
        side.world.do(lambda unit: unit.records.put_host(host))
        run = await side.submit()
        assert old.given() == []
        assert side.world.state(run) is StateType.SCHEDULED

    asyncio.run(main())
