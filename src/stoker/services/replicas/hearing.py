"""What a server does about the commits of the others: as if they had been its own."""

import asyncio
import logging
from collections.abc import Coroutine

from stoker.domain.deployments import Code
from stoker.domain.errors import StokerError
from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import HostTerms
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.ports.store import Records
from stoker.services.dispatcher import Dispatcher
from stoker.services.fleet.provisioner import Provisioner
from stoker.services.fleet.warming import wanted_codes
from stoker.services.replicas.members import Members
from stoker.services.replicas.peers import News, Peers

logger = logging.getLogger("stoker.server")


class Hearing:
    """See the module.

    Args:
        dispatcher: Holds the sockets of hosts, and who waits for what.
        provisioner: Holds the sockets of workers, and plans.
        members: Who there is.
    """

    def __init__(self, dispatcher: Dispatcher, provisioner: Provisioner, members: Members) -> None:
        self._dispatcher = dispatcher
        self._provisioner = provisioner
        self._members = members
        self._claimable: set[str] = set()
        self._claiming: set[str] = set()
        self._looking = False
        self._over: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, peers: Peers) -> None:
        """Hear what others tell, and tell them."""
        peers.hearers.append(self.hear)
        peers.pollers.append(self.look)
        self._dispatcher.tell = peers.tell
        self._dispatcher.on_unknown = self.look
        self._members.on_lead = self._lead
        self._members.on_servers = self.look
        self._members.on_leap = lambda by: self._leapt(peers, by)
        self._members.on_leave = lambda: peers.tell(News(servers=True), at_once=True)
        peers.tell(News(servers=True))
        if self._members.leading("planner"):
            self._lead("planner")

    def _lead(self, name: str) -> None:
        if name == "planner":
            self._spawn(self._provisioner.lead())
        if name == "automations":
            self._dispatcher.events.stir({"automations"})

    def _leapt(self, peers: Peers, by: float) -> None:
        self._dispatcher.hosts.move(by)
        # The sooner the others measure, the less is written by the time from before it.
        peers.tell(News(servers=True), at_once=True)

    def hear(self, news: News) -> None:
        """Act on news."""
        dispatcher = self._dispatcher
        if news.servers:
            self._members.look()
        for host_id, connection in news.connected:
            dispatcher.hosts.displaced(host_id, connection)
        for host_id in news.draining.intersection(dispatcher.hosts.connected):
            dispatcher.hosts.drain(host_id)
        for host_id, run_id, attempt, now in news.cancels:
            link = dispatcher.hosts.link_of(host_id)
            if link is not None:
                link.cancel(run_id, attempt, now=now)
        for host_id, run_id, attempt, now, failure in news.ends:
            link = dispatcher.hosts.link_of(host_id)
            if link is not None:
                link.cancel(run_id, attempt, now=now, suspend=not failure, failure=failure)
        for host_id, run_id, attempt, stop in news.stops:
            link = dispatcher.hosts.link_of(host_id)
            if link is not None:
                link.stop_run(run_id, attempt, stop=stop)
        for run_id in news.unpaused:
            dispatcher.watch.unpaused(run_id)
        for run_id in news.abandoned:
            dispatcher.watch.abandoned(run_id)
        for pool in news.claimable & self._pools():
            self._claim(pool)
        for run_id in news.logged:
            dispatcher.watch.logged(run_id)
        for name in news.signals:
            dispatcher.signal(name)
        dispatcher.events.stir(news.stirred)
        if news.granted or news.given_up:
            dispatcher.on_answers(news.granted, news.given_up)
        for pool in news.demand:
            dispatcher.on_demand(pool)
        for pool in news.orders:
            self._provisioner.retell(pool)
        awaited = dispatcher.watch.awaited
        ended = {run_id for run_id in news.ended if dispatcher.watch.concerns(run_id)}
        resumed = {(waiter, run) for waiter, run in news.resumed if (run, waiter) in awaited}
        if ended or resumed:
            self._spawn(self._answer(ended, resumed))
        terms = news.terms.intersection(dispatcher.hosts.connected)
        if terms or news.warm or news.condemned:
            self._spawn(self._pass_on(terms, news.warm, news.condemned))

    def look(self) -> None:
        """Look at everything that news may have been lost of."""
        if not self._looking:
            self._looking = True
            self._spawn(self._look())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(self._logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _logged(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except StokerError as error:
            logger.warning("news of another server must wait for the next look: %s", error)
        except Exception:
            # The next look at everything makes up for it.
            logger.exception("news of another server could not be acted on")

    def _pools(self) -> set[str]:
        """Pools that this server has hosts of."""
        return {host.pool for host in self._dispatcher.hosts.ready.values()}

    # Claims: one at a time for each pool, and one more for all that was heard meanwhile

    def _claim(self, pool: str) -> None:
        self._claimable.add(pool)
        if pool not in self._claiming:
            self._claiming.add(pool)
            self._spawn(self._claim_all(pool))

    async def _claim_all(self, pool: str) -> None:
        try:
            while pool in self._claimable:
                self._claimable.discard(pool)
                await self._dispatcher.transact(lambda unit: unit.claimable.add(pool), tells=False)
        finally:
            self._claiming.discard(pool)

    # Answers

    async def _answer(self, ended: set[str], resumed: set[tuple[str, str]]) -> None:
        wanted = ended | {run_id for _, run_id in resumed}

        def work(records: Records) -> dict[str, FlowRun]:
            found = (records.flow_run(run_id) for run_id in wanted)
            return {run.id: run for run in found if run is not None}

        runs = await self._dispatcher.read(work)
        watch = self._dispatcher.watch
        for run_id in ended & runs.keys():
            if runs[run_id].state.is_terminal:
                watch.ended(runs[run_id])
        for waiter, run_id in resumed:
            if run_id in runs:
                watch.resumed(waiter, runs[run_id])

    async def _pass_on(
        self, terms: set[str], warm: set[tuple[str, str]], condemned: set[str]
    ) -> None:
        def work(
            records: Records,
        ) -> tuple[dict[str, HostTerms], dict[tuple[str, str], list[Code]], list[Host]]:
            hosts = [host for one in terms if (host := records.host(one)) is not None]
            pools = {host.id: records.pool(host.pool) for host in hosts}
            return (
                {host_id: pool.terms for host_id, pool in pools.items() if pool is not None},
                {(pool, lane): wanted_codes(records, pool, lane) for pool, lane in warm},
                [host for one in condemned if (host := records.host(one)) is not None],
            )

        terms_of, codes_of, hosts = await self._dispatcher.read(work)
        for host_id, of_pool in terms_of.items():
            link = self._dispatcher.hosts.link_of(host_id)
            if link is not None:
                link.terms(of_pool)
        for (pool, lane), codes in codes_of.items():
            self._dispatcher.hosts.warm(pool, lane, codes)
        for host in hosts:
            self._provisioner.end_here(host)

    # Everything

    async def _look(self) -> None:
        try:
            watch = self._dispatcher.watch
            await self._look_at_waits(watch.awaited)
            watch.look()
            await self._look_at_hosts(self._dispatcher.hosts.connected)
            for pool in self._pools():
                self._claim(pool)
            await self._provisioner.look()
        finally:
            self._looking = False

    async def _look_at_waits(self, awaited: list[tuple[str, str | None]]) -> None:
        def work(records: Records) -> tuple[set[str], set[tuple[str, str]]]:
            ended, resumed = set[str](), set[tuple[str, str]]()
            held = set(records.held_waits())
            for run_id, waiter in awaited:
                run = records.flow_run(run_id)
                if run is None or not run.state.is_terminal:
                    continue
                if waiter is None:
                    ended.add(run_id)
                elif (waiter, run_id) not in held and run_id not in records.waits_of(waiter):
                    resumed.add((waiter, run_id))
            return ended, resumed

        if not awaited:
            return
        ended, resumed = await self._dispatcher.read(work)
        # One that is about to begin looks like one that is over: the next look tells.
        certain, self._over = resumed & self._over, resumed
        if ended or certain:
            await self._answer(ended, certain)

    async def _look_at_hosts(self, hosts: list[str]) -> None:
        """Cancel and drain what should be and may not have heard of it."""

        def work(records: Records) -> tuple[list[str], list[FlowRun]]:
            draining: list[str] = []
            cancelling: list[FlowRun] = []
            for host_id in hosts:
                host = records.host(host_id)
                if host is None:
                    continue
                if host.state is HostState.DRAINING and not host.once:
                    draining.append(host_id)
                runs = (records.flow_run(lease.run_id) for lease in records.leases_of(host_id))
                cancelling += [
                    run for run in runs if run and run.state.type is StateType.CANCELLING
                ]
            return draining, cancelling

        draining, cancelling = await self._dispatcher.read(work)
        for host_id in draining:
            self._dispatcher.hosts.drain(host_id)
        for run in cancelling:
            link = self._dispatcher.hosts.link_of(run.host_id or "")
            if link is not None:
                link.cancel(run.id, run.attempt, now=False)
