"""The provisioner: plans each pool's hosts when its demand changes, and tells the workers."""

import asyncio
import logging

from stoker.domain.errors import Unavailable
from stoker.domain.hosts import Host, HostOrder
from stoker.domain.pools import Worker
from stoker.ports.clock import Clock
from stoker.ports.links import WorkerLink
from stoker.ports.store import Records
from stoker.services.dispatcher import Dispatcher
from stoker.services.fleet.capacity import Plan, orders_of, plan
from stoker.services.fleet.launching import blocked_lanes, connected_workers, held_codes
from stoker.services.fleet.registering import worker_left
from stoker.services.replicas.peers import News
from stoker.services.unit import Unit

logger = logging.getLogger("stoker.server")

RETRY = 1.0
"""Seconds until a pool is planned again whose planning failed."""

MIN_GAP = 0.05
"""Seconds between two rounds of planning: a burst of ending runs is planned for together."""

MAX_GAP = 0.5
"""The same where rounds take long, since there are many deployments or the store has much to do."""

SHARE = 0.2
"""How much of the time is spent on planning at the most, up to that gap."""

Orders = dict[str, list[HostOrder]]


class Provisioner:
    """Keeps the number of hosts at what the warm policy wants.

    Of several servers one plans, and each tells the workers whose sockets it holds.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._members = dispatcher.members
        self._clock = clock
        self._workers: dict[str, tuple[Worker, WorkerLink]] = {}
        self._told: Orders = {}
        self._planned: Orders = {}
        self._dirty: set[str] = set()
        self._untold: set[str] = set()
        self._wake = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._background: set[asyncio.Task[None]] = set()
        dispatcher.on_demand = self.poke

    def poke(self, pool: str) -> None:
        """A pool's demand or supply has changed: it is planned again soon, if that is ours."""
        self._dirty.add(pool)
        self._wake.set()

    async def lead(self) -> None:
        """Planning is ours from now on."""
        self._planned.clear()
        await self.look()

    def retell(self, pool: str) -> None:
        """Another server has planned a pool: its workers have other orders."""
        if any(worker.pool == pool for worker, _ in self._workers.values()):
            self._untold.add(pool)
            self._wake.set()

    async def look(self) -> None:
        """Plan all pools if that is ours, and tell our workers in any case."""
        pools = await self._dispatcher.read(lambda records: [one.name for one in records.pools()])
        for pool in pools:
            self.poke(pool)
            self.retell(pool)

    async def run(self) -> None:
        """Plan whenever there is something new, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            begun = self._clock.boot()
            dirty, self._dirty = self._dirty, set()
            untold, self._untold = self._untold, set()
            for pool in dirty | untold:
                try:
                    if self._members.leading("planner"):
                        await self._plan(pool)
                    elif pool in untold:
                        await self._tell_all(pool)
                except Unavailable as error:
                    logger.warning("work pool %s cannot be planned now: %s", pool, error)
                    self._poke_later(pool, RETRY)
                except Exception:
                    # The other pools are planned all the same.
                    logger.exception("work pool %s could not be planned", pool)
                    self._poke_later(pool, RETRY)
            taken = self._clock.boot() - begun
            await self._clock.sleep(min(MAX_GAP, max(MIN_GAP, taken / SHARE)))

    async def _plan(self, pool: str) -> None:
        def work(unit: Unit) -> tuple[Plan, Orders, list[float]]:
            records = unit.records
            members = connected_workers(records, unit.now, pool)
            blocked = blocked_lanes(records, pool)
            decided = plan(unit, pool, members, blocked, held_codes(records, pool))
            orders = {one.id: orders_of(records, one.id, pool) for one in members}
            return decided, orders, list(blocked.values())

        decided, orders, blocked = await self._dispatcher.transact(work)
        self._tell(orders)
        if any(self._planned.get(worker_id) != hosts for worker_id, hosts in orders.items()):
            self._planned.update(orders)
            self._dispatcher.tell(News(orders={pool}))
        now = self._clock.now()
        due = [at for at in (decided.next_idle, decided.patience) if at is not None]
        due += [until for until in blocked if until > now]
        if due:
            self._poke_later(pool, max(0.0, min(due) - now))

    async def _tell_all(self, pool: str) -> None:
        """Tell our workers of a pool what they have to do by the store."""
        mine = [worker.id for worker, _ in self._workers.values() if worker.pool == pool]

        def work(records: Records) -> Orders:
            return {worker_id: orders_of(records, worker_id, pool) for worker_id in mine}

        self._tell(await self._dispatcher.read(work))

    def _tell(self, orders: Orders) -> None:
        for worker_id, hosts in orders.items():
            known = self._workers.get(worker_id)
            if known is not None and self._told.get(worker_id) != hosts:
                self._told[worker_id] = hosts
                known[1].orders(hosts)

    def _poke_later(self, pool: str, seconds: float) -> None:
        timer = self._timers.pop(pool, None)
        if timer is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[pool] = loop.call_later(seconds + 0.01, self._poke_again, pool)

    def _poke_again(self, pool: str) -> None:
        self.poke(pool)
        self.retell(pool)

    # Workers

    @property
    def worker_ids(self) -> list[str]:
        """Ids of the workers whose sockets this server holds."""
        return list(self._workers)

    def add_worker(self, worker: Worker, link: WorkerLink) -> None:
        """A worker takes orders from now on. On a new connection it is told all of them anew."""
        self._workers[worker.id] = (worker, link)
        self._told.pop(worker.id, None)
        self.poke(worker.pool)
        self.retell(worker.pool)

    def remove_worker(self, worker_id: str, link: WorkerLink) -> None:
        """A worker's socket is gone."""
        known = self._workers.get(worker_id)
        if known is not None and known[1] is link:
            del self._workers[worker_id]
            self._told.pop(worker_id, None)
            task = asyncio.create_task(self._note_gone(known[0]))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _note_gone(self, worker: Worker) -> None:
        while True:
            try:
                await self._dispatcher.transact(lambda unit: worker_left(unit, worker))
                return
            except Unavailable:
                # Until it is written the worker is given orders.
                await self._clock.sleep(RETRY)

    def end_host(self, host: Host) -> None:
        """Have a host's worker end it, if it is connected to any server."""
        if not self.end_here(host):
            self._dispatcher.tell(News(condemned={host.id}))

    def end_here(self, host: Host) -> bool:
        """Have a host's worker end it, if this server holds its socket."""
        known = self._workers.get(host.worker_id or "")
        if known is None:
            return False
        known[1].end(host.id, f"{host.message or 'silent'}, beyond its pool's fence_after")
        return True
