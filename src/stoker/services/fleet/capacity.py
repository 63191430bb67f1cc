"""Capacity: how many hosts each lane should have now, by the warm policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from stoker.domain.hosts import Host, HostOrder, HostState
from stoker.domain.ids import new_id
from stoker.domain.pools import WarmKnobs, Worker, WorkPool
from stoker.domain.warm_policy import (
    IdleHost,
    LaneDemand,
    hosts_to_drain,
    once_knobs,
    wanted_hosts,
)
from stoker.ports.store import Records
from stoker.services.claims.demand import claimable, useful
from stoker.services.fleet.lanes import Lane, lanes_of
from stoker.services.fleet.replacing import PATIENCE, Holder, Warmth, may_go, pairs_of
from stoker.services.fleet.warming import wanted_codes
from stoker.services.unit import Unit


@dataclass(slots=True)
class Plan:
    """What was decided for a pool.

    Attributes:
        requested: Hosts that were newly asked for.
        next_idle: When the next idle host will have been idle for too long, seconds since the
            epoch.
        patience: When the next worn host goes though its replacement is not as warm.
    """

    requested: list[Host]
    next_idle: float | None = None
    patience: float | None = None


def plan(
    unit: Unit,
    pool_name: str,
    workers: Sequence[Worker],
    blocked: Mapping[str, float],
    ready: Mapping[str, Holder],
) -> Plan:
    """Order hosts for a pool's lanes, and drain those that are replaced or not wanted any more.

    Workers that serve the same queues stand for each other; demand of a queue goes to those that
    serve the fewest others.

    Args:
        unit: The transaction.
        pool_name: The pool.
        workers: Its connected workers.
        blocked: By lane, until when nothing is launched (seconds since the epoch), since
            launches failed.
        ready: What the pool's hosts hold, by id.
    """
    result = Plan([])
    unit.records.lock(f"pool:{pool_name}")
    pool = unit.records.pool(pool_name)
    if pool is None:
        return result
    groups: dict[tuple[str, ...], list[Worker]] = {}
    for worker in workers:
        if not worker.draining:
            groups.setdefault(_set_of(worker.queues), []).append(worker)
    lanes = lanes_of(unit.records, pool)
    planner = _Planner(unit, pool, result, set(groups), set(lanes), ready)
    for queues, members in sorted(groups.items(), key=lambda item: (not item[0], len(item[0]))):
        for lane in lanes.values():
            may_launch = blocked.get(lane.key, 0.0) <= unit.now
            planner.lane(lane, queues, members, may_launch=may_launch)
    planner.leave_rest()
    return result


def orders_of(records: Records, worker_id: str, pool: str) -> list[HostOrder]:
    """All hosts that a worker should have."""
    return [
        HostOrder(
            host_id=host.id,
            process=host.process,
            slots=host.slots,
            once=host.once,
            infrastructure=host.infrastructure,
        )
        for host in records.hosts(pool)
        if host.worker_id == worker_id
    ]


def _set_of(queues: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(queues))


class _Planner:
    """One pass over a pool's lanes."""

    def __init__(
        self,
        unit: Unit,
        pool: WorkPool,
        result: Plan,
        served: set[tuple[str, ...]],
        lanes: set[str],
        ready: Mapping[str, Holder],
    ) -> None:
        records = unit.records
        self._unit = unit
        self._pool = pool
        self._result = result
        self._lanes = lanes
        self._ready = ready
        self._hosts = records.hosts(pool.name)
        self._usage = records.usage(pool.name)
        self._queued = claimable(records, pool, self._usage)
        paused = {queue.name for queue in records.queues(pool.name) if queue.paused or pool.paused}
        nested = records.queued_nested(pool.name, useful(pool))
        self._nested = [run for run in nested if run.queue not in paused]
        self._lending = {one.lease.host_id for one in records.waiting_leases(pool.name)}
        # A worker whose socket is gone for a moment still has its hosts.
        self._served = served | {_set_of(worker.queues) for worker in records.workers(pool.name)}

    def lane(
        self,
        lane: Lane,
        queues: tuple[str, ...],
        workers: Sequence[Worker],
        *,
        may_launch: bool,
    ) -> None:
        """Bring one lane's hosts, of workers that serve the same queues, to the wanted number."""
        present = [host for host in self._hosts if host.lane == lane.key and host.is_present]
        used = [host for host in self._hosts if host.lane == lane.key and self._executes(host)]
        hosts = [host for host in present if _set_of(host.queues) == queues]
        busy = [host for host in used if _set_of(host.queues) == queues]
        elsewhere = [
            host
            for host in [*present, *used]
            if _set_of(host.queues) != queues and _set_of(host.queues) in self._served
        ]
        replaced = pairs_of(host for host in elsewhere if host.is_present)
        knobs = self._knobs(lane, queues, len(elsewhere) - len(replaced))
        demand = self._demand(lane.key, queues, [*hosts, *busy])
        wanted = wanted_hosts(knobs, demand)
        pairs = pairs_of(hosts)
        missing = wanted - (len(hosts) - len(pairs) + len(busy))
        if may_launch:
            for _ in range(missing):
                self._order(lane, workers)
            room = max(knobs.max, wanted) + 1 - len(hosts) - len(busy) - max(0, missing)
            for worn in self._to_replace(hosts, wanted - len(busy))[: max(0, room)]:
                self._order(lane, workers, worn)
        self._release_replaced(lane.key, pairs)
        if missing <= 0 or not may_launch:
            self._leave(knobs, demand, hosts, len(busy))

    def _knobs(self, lane: Lane, queues: tuple[str, ...], elsewhere: int) -> WarmKnobs:
        """The pool's knobs as they are for some of the hosts of a lane."""
        warm = self._pool.warm
        if lane.once:
            deployed = bool(lane.queues if not queues else lane.queues.intersection(queues))
            warm = once_knobs(warm, deployed=deployed)
            least = warm.min
        else:
            # The pool's own lane is kept warm; the others cost nothing until they are used.
            least = warm.min if lane.own else 0
        return replace(warm, min=max(0, least - elsewhere), max=max(0, warm.max - elsewhere))

    def _executes(self, host: Host) -> bool:
        """Whether a host that is used once has its run, and this one does not just wait.

        What waits has lent its slot: where that is on a host of its own, in the number of hosts.
        """
        return host.once and host.state is HostState.DRAINING and host.id not in self._lending

    def leave_rest(self) -> None:
        """Drain idle hosts of lanes that nothing uses any more, and of queues without a worker."""
        rest: dict[tuple[str, tuple[str, ...]], list[Host]] = {}
        for host in self._hosts:
            queues = _set_of(host.queues)
            if host.is_present and (host.lane not in self._lanes or queues not in self._served):
                rest.setdefault((host.lane, queues), []).append(host)
        for hosts in rest.values():
            busy = sum(self._usage.hosts.get(host.id, 0) for host in hosts)
            self._leave(replace(self._pool.warm, min=0), LaneDemand(busy=busy), hosts)

    def _leave(
        self, knobs: WarmKnobs, demand: LaneDemand, hosts: Sequence[Host], used: int = 0
    ) -> None:
        """Drain those that have been idle for too long, and note when the next will have been."""
        present = [host for host in hosts if host.is_present]
        pairs = pairs_of(present)
        replacing = {replacement.id for _, replacement in pairs}
        idle = [
            IdleHost(host.id, host.idle_since, bool(host.worn))
            for host in present
            if host.state is HostState.UP
            and host.id not in replacing
            and host.idle_since is not None
            and not self._unit.records.leases_of(host.id)
        ]
        number = len(present) - len(pairs) + used
        leaving = hosts_to_drain(knobs, demand, number, idle, self._unit.now)
        self._drain(leaving, "idle and not wanted any more")
        staying = [one for one in idle if one.id not in leaving]
        if staying and number - len(leaving) > wanted_hosts(knobs, demand):
            due = min(one.idle_since for one in staying) + knobs.idle_timeout
            self._result.next_idle = min(due, self._result.next_idle or due)

    def _demand(self, lane: str, queues: tuple[str, ...], hosts: Sequence[Host]) -> LaneDemand:
        queued = 0
        for (queue, of_lane), runs in self._queued.items():
            if of_lane == lane and (not queues or queue in queues):
                queued += runs
                self._queued[queue, of_lane] = 0
        nested = [
            run for run in self._nested if run.lane == lane and (not queues or run.queue in queues)
        ]
        self._nested = [run for run in self._nested if run not in nested]
        return LaneDemand(
            busy=sum(
                # One that is used once is taken until its process has ended.
                1 if self._executes(host) else self._usage.hosts.get(host.id, 0)
                for host in hosts
            ),
            queued=max(queued, len(nested)),
            nested=len(nested),
        )

    def _order(self, lane: Lane, workers: Sequence[Worker], worn: Host | None = None) -> None:
        """Ask for a host, of the worker that has the fewest and whose limit has use for more.

        In place of a worn one where that is given: then the worn ones do not count.
        """
        slots = 1 if lane.once else self._pool.warm.slots_per_host
        counts = {
            worker.id: sum(
                host.lane == lane.key and host.is_present and not (worn and host.worn)
                for host in self._hosts
                if host.worker_id == worker.id
            )
            for worker in workers
        }
        open_to = [
            worker
            for worker in workers
            if worker.limit is None or counts[worker.id] * slots < worker.limit
        ]
        if not open_to:
            return
        worker = min(open_to, key=lambda one: counts[one.id])
        host = Host(
            id=new_id(self._unit.now),
            pool=self._pool.name,
            lane=lane.key,
            worker_id=worker.id,
            queues=worker.queues,
            slots=slots,
            once=lane.once,
            requested=self._unit.now,
            replaces=worn.id if worn is not None else None,
            infrastructure=lane.infrastructure,
        )
        self._unit.records.put_host(host)
        self._hosts.append(host)
        self._result.requested.append(host)

    def _to_replace(self, hosts: Sequence[Host], wanted: int) -> list[Host]:
        """Worn hosts that nothing replaces yet, and that are in use or cannot be spared.

        Of those that are used once, ``wanted`` counts the spare ones alone.

        Others stay as they are: they are warm, and leave when they have been idle for long.
        """
        replaced = {worn.id for worn, _ in pairs_of(hosts)}
        fresh = sum(not host.worn for host in hosts)
        runs = self._usage.hosts
        found: list[Host] = []
        for host in sorted(hosts, key=lambda one: -runs.get(one.id, 0)):
            needed = runs.get(host.id, 0) > 0 or fresh + len(found) < wanted
            if host.worn and host.id not in replaced and needed:
                found.append(host)
        return found

    def _release_replaced(self, lane: str, pairs: Sequence[tuple[Host, Host]]) -> None:
        if not pairs:
            return
        unit = self._unit
        wanted = frozenset(code.key for code in wanted_codes(unit.records, self._pool.name, lane))
        warmth = Warmth(self._ready, wanted)
        for worn, replacement in pairs:
            if may_go(worn, replacement, warmth, unit.now):
                self._drain([worn.id], f"replaced: {worn.worn}")
            elif replacement.registered is not None:
                due = replacement.registered + PATIENCE
                self._result.patience = min(due, self._result.patience or due)

    def _drain(self, host_ids: Sequence[str], reason: str) -> None:
        for host in self._hosts:
            if host.id in host_ids:
                host.state = HostState.DRAINING
                host.message = reason
                self._unit.records.put_host(host)
                self._unit.draining.add(host.id)
