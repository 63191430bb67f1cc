"""The provisioner: plans each pool's hosts when its demand changes, and tells the workers."""

import asyncio
import logging
from collections import deque
from statistics import median

from stoker.domain.errors import Unavailable
from stoker.domain.hosts import Host, HostOrder
from stoker.domain.pools import Worker
from stoker.ports.clock import Clock
from stoker.ports.links import WorkerLink
from stoker.services.capacity import Plan, orders_of, plan
from stoker.services.dispatcher import Dispatcher
from stoker.services.explaining import Outlook
from stoker.services.unit import Unit

logger = logging.getLogger("stoker.server")

RETRY = 1.0
"""Seconds until a pool is planned again whose planning failed."""

MIN_GAP = 0.05
"""Seconds between two rounds of planning: a burst of ending runs is planned for together."""

MAX_BACKOFF = 60.0
"""Seconds between launches in a lane whose launches keep failing."""


class Provisioner:
    """Keeps the number of hosts at what the warm policy wants."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self.outlook = Outlook()
        self._dispatcher = dispatcher
        self._clock = clock
        self._workers: dict[str, tuple[Worker, WorkerLink]] = {}
        self._told: dict[str, list[HostOrder]] = {}
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._failures: dict[tuple[str, str], int] = {}
        self._blocked: dict[tuple[str, str], float] = {}
        self._starts: dict[str, deque[float]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        dispatcher.on_demand = self.poke

    def poke(self, pool: str) -> None:
        """A pool's demand or supply has changed: plan it again soon."""
        self._dirty.add(pool)
        self._wake.set()

    async def run(self) -> None:
        """Plan whenever there is something new, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            dirty, self._dirty = self._dirty, set()
            while dirty:
                pool = dirty.pop()
                try:
                    await self._plan(pool)
                except Unavailable as error:
                    logger.warning("work pool %s cannot be planned now: %s", pool, error)
                    self._poke_later(pool, RETRY)
                except Exception:
                    # The other pools are planned all the same.
                    logger.exception("work pool %s could not be planned", pool)
                    self._poke_later(pool, RETRY)
            await self._clock.sleep(MIN_GAP)

    async def _plan(self, pool: str) -> None:
        members = [worker for worker, _ in self._workers.values() if worker.pool == pool]
        # Kept in seconds since boot, which nobody sets back by an hour.
        leap = self._clock.now() - self._clock.boot()
        blocked = {lane: until + leap for (of, lane), until in self._blocked.items() if of == pool}

        ready = self._dispatcher.ready_hosts(pool)

        def work(unit: Unit) -> tuple[Plan, dict[str, list[HostOrder]]]:
            decided = plan(unit, pool, members, blocked, ready)
            orders = {one.id: orders_of(unit.records, one.id, pool) for one in members}
            return decided, orders

        decided, orders = await self._dispatcher.transact(work)
        for worker_id, hosts in orders.items():
            known = self._workers.get(worker_id)
            if known is not None and self._told.get(worker_id) != hosts:
                self._told[worker_id] = hosts
                known[1].orders(hosts)
        now = self._clock.now()
        due = [at for at in (decided.next_idle, decided.patience) if at is not None]
        due += [until for until in blocked.values() if until > now]
        if due:
            self._poke_later(pool, max(0.0, min(due) - now))

    def _poke_later(self, pool: str, seconds: float) -> None:
        timer = self._timers.pop(pool, None)
        if timer is not None:
            timer.cancel()
        self._timers[pool] = asyncio.get_running_loop().call_later(seconds + 0.01, self.poke, pool)

    # Workers

    @property
    def worker_ids(self) -> list[str]:
        """Ids of the connected workers."""
        return list(self._workers)

    def add_worker(self, worker: Worker, link: WorkerLink) -> None:
        """A worker takes orders from now on. On a new connection it is told all of them anew."""
        self._workers[worker.id] = (worker, link)
        self._told.pop(worker.id, None)
        self._note_workers()
        self.poke(worker.pool)

    def drain_worker(self, worker_id: str) -> None:
        """A worker leaves: order nothing of it any more."""
        known = self._workers.get(worker_id)
        if known is not None:
            known[0].draining = True
            self._note_workers()
            self.poke(known[0].pool)

    def remove_worker(self, worker_id: str, link: WorkerLink) -> None:
        """A worker's socket is gone."""
        known = self._workers.get(worker_id)
        if known is not None and known[1] is link:
            del self._workers[worker_id]
            self._told.pop(worker_id, None)
            self._note_workers()
            self.poke(known[0].pool)

    def end_host(self, host: Host) -> None:
        """Have a host's worker end it, if it is connected."""
        known = self._workers.get(host.worker_id or "")
        if known is not None:
            known[1].end(host.id, f"{host.message or 'silent'}, beyond its pool's fence_after")

    def _note_workers(self) -> None:
        self.outlook.workers = {
            worker.id: worker for worker, _ in self._workers.values() if not worker.draining
        }

    # How launches go

    def registered(self, host: Host) -> None:
        """A host registered first: its lane's launches work."""
        key = host.pool, host.lane
        self._failures.pop(key, None)
        self._blocked.pop(key, None)
        failures = self.outlook.failures.items()
        self.outlook.failures = {one: why for one, why in failures if one != key}
        if host.registered is not None:
            starts = self._starts.setdefault(host.pool, deque(maxlen=20))
            starts.append(host.registered - host.requested)
            self.outlook.cold_start = {**self.outlook.cold_start, host.pool: median(starts)}

    def failed(self, host: Host, reason: str) -> None:
        """A host died before it registered: back off in its lane."""
        key = host.pool, host.lane
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        delay = min(MAX_BACKOFF, 0.5 * 2 ** min(failures, 10))
        self._blocked[key] = self._clock.boot() + delay
        self.outlook.failures = {**self.outlook.failures, key: reason}
        self._poke_later(host.pool, delay)
