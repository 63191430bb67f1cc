"""Capacity: how many hosts each lane should have now, by the warm policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from stoker.domain.errors import Invalid
from stoker.domain.hosts import Host, HostOrder, HostState
from stoker.domain.ids import new_id
from stoker.domain.pools import WarmKnobs, Worker, WorkPool
from stoker.domain.templates import Json, infrastructure_of, lane_of, resolve
from stoker.domain.warm_policy import IdleHost, LaneDemand, hosts_to_drain, wanted_hosts
from stoker.ports.store import PoolUsage, Records
from stoker.services.unit import Unit


@dataclass(slots=True)
class Plan:
    """What was decided for a pool.

    Attributes:
        requested: Hosts that were newly asked for.
        next_idle: When the next idle host will have been idle for too long, seconds since the
            epoch.
    """

    requested: list[Host]
    next_idle: float | None


def plan(
    unit: Unit, pool_name: str, workers: Sequence[Worker], blocked: Mapping[str, float]
) -> Plan:
    """Order hosts for a pool's lanes, and drain those that are not wanted any more.

    Workers that serve the same queues stand for each other; demand of a queue goes to those that
    serve the fewest others.

    Args:
        unit: The transaction.
        pool_name: The pool.
        workers: Its connected workers.
        blocked: By lane, until when nothing is launched (seconds since the epoch), since
            launches failed.
    """
    result = Plan([], None)
    pool = unit.records.pool(pool_name)
    if pool is None:
        return result
    groups: dict[tuple[str, ...], list[Worker]] = {}
    for worker in workers:
        if not worker.draining:
            groups.setdefault(_set_of(worker.queues), []).append(worker)
    infrastructure = _lanes(unit.records, pool)
    planner = _Planner(unit, pool, result, set(groups), set(infrastructure))
    for queues, members in sorted(groups.items(), key=lambda item: (not item[0], len(item[0]))):
        for lane, configuration in infrastructure.items():
            may_launch = blocked.get(lane, 0.0) <= unit.now
            planner.lane(lane, configuration, queues, members, may_launch=may_launch)
    planner.leave_rest()
    return result


def orders_of(records: Records, worker_id: str, pool: str) -> list[HostOrder]:
    """All hosts that a worker should have."""
    return [
        HostOrder(
            host_id=host.id,
            process=host.process,
            slots=host.slots,
            infrastructure=host.infrastructure,
        )
        for host in records.hosts(pool)
        if host.worker_id == worker_id
    ]


def _lanes(records: Records, pool: WorkPool) -> dict[str, Json]:
    """The pool's lanes and their infrastructure; that of its bare template first."""
    lanes: dict[str, Json] = {}
    variables: list[Json] = [{}]
    variables.extend(deployment.job_variables for deployment in records.deployments(pool.name))
    for count in records.queued_counts(pool.name):
        for run in records.queued(pool.name, count.queue, count.lane, 1):
            deployment = records.deployment(run.deployment_id or "")
            if deployment is not None:
                variables.append({**deployment.job_variables, **run.job_variables})
    for each in variables:
        try:
            configuration = resolve(pool.base_job_template, each)
        except Invalid:
            # No host can be launched for it; that is no reason to launch none for the others.
            continue
        lanes.setdefault(lane_of(pool, configuration), infrastructure_of(configuration))
    return lanes


def _set_of(queues: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(queues))


def _own_lane(pool: WorkPool) -> str | None:
    try:
        return lane_of(pool, resolve(pool.base_job_template, {}))
    except Invalid:
        return None


class _Planner:
    """One pass over a pool's lanes."""

    def __init__(
        self,
        unit: Unit,
        pool: WorkPool,
        result: Plan,
        served: set[tuple[str, ...]],
        lanes: set[str],
    ) -> None:
        records = unit.records
        self._unit = unit
        self._pool = pool
        self._result = result
        self._lanes = lanes
        self._hosts = records.hosts(pool.name)
        self._usage = records.usage(pool.name)
        self._queued = self._claimable(self._usage)
        paused = {queue.name for queue in records.queues(pool.name) if queue.paused or pool.paused}
        nested = records.queued_nested(pool.name)
        self._nested = [run for run in nested if run.queue not in paused]
        self._own_lane = _own_lane(pool)
        # A worker whose socket is gone for a moment still has its hosts.
        self._served = served | {_set_of(worker.queues) for worker in records.workers(pool.name)}

    def _claimable(self, usage: PoolUsage) -> dict[tuple[str, str], int]:
        """Queued runs by queue and lane, as far as the limits would let them start."""
        pool, records = self._pool, self._unit.records
        room = None
        if pool.concurrency_limit is not None:
            room = max(0, pool.concurrency_limit - usage.pool)
        counts: dict[tuple[str, str], int] = {}
        for queue in records.queues(pool.name):
            left = None
            if pool.paused or queue.paused:
                left = 0
            elif queue.concurrency_limit is not None:
                left = max(0, queue.concurrency_limit - usage.queues.get(queue.name, 0))
            for count in records.queued_counts(pool.name):
                if count.queue != queue.name:
                    continue
                runs = min(n for n in (count.runs, left, room) if n is not None)
                counts[queue.name, count.lane] = runs
                left = left - runs if left is not None else None
                room = room - runs if room is not None else None
        return counts

    def lane(
        self,
        lane: str,
        infrastructure: Json,
        queues: tuple[str, ...],
        workers: Sequence[Worker],
        *,
        may_launch: bool,
    ) -> None:
        """Bring one lane's hosts, of workers that serve the same queues, to the wanted number."""
        # The pool's own lane is kept warm; the others cost nothing until they are used.
        present = [host for host in self._hosts if host.lane == lane and host.is_present]
        hosts = [host for host in present if _set_of(host.queues) == queues]
        others = [host for host in present if _set_of(host.queues) != queues]
        elsewhere = sum(_set_of(host.queues) in self._served for host in others)
        warm = self._pool.warm
        least = warm.min if lane == self._own_lane else 0
        knobs = replace(warm, min=max(0, least - elsewhere), max=max(0, warm.max - elsewhere))
        demand = self._demand(lane, queues, hosts)
        wanted = wanted_hosts(knobs, demand)
        if wanted > len(hosts) and may_launch:
            self._order(wanted - len(hosts), lane, infrastructure, workers)
            return
        self._leave(knobs, demand, hosts)

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

    def _leave(self, knobs: WarmKnobs, demand: LaneDemand, hosts: Sequence[Host]) -> None:
        """Drain those that have been idle for too long, and note when the next will have been."""
        idle = [
            IdleHost(host.id, host.idle_since)
            for host in hosts
            if host.state is HostState.UP
            and host.idle_since is not None
            and not self._unit.records.leases_of(host.id)
        ]
        leaving = hosts_to_drain(knobs, demand, len(hosts), idle, self._unit.now)
        self._drain(leaving)
        staying = [one for one in idle if one.id not in leaving]
        if staying and len(hosts) - len(leaving) > wanted_hosts(knobs, demand):
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
            busy=sum(self._usage.hosts.get(host.id, 0) for host in hosts),
            queued=max(queued, len(nested)),
            nested=len(nested),
        )

    def _order(
        self, number: int, lane: str, infrastructure: Json, workers: Sequence[Worker]
    ) -> None:
        """Ask for hosts, of the worker that has the fewest and whose limit has use for more."""
        slots = self._pool.warm.slots_per_host
        of_lane = [host for host in self._hosts if host.lane == lane and host.is_present]
        counts = {
            worker.id: sum(host.worker_id == worker.id for host in of_lane) for worker in workers
        }
        for _ in range(number):
            open_to = [
                worker
                for worker in workers
                if worker.limit is None or counts[worker.id] * slots < worker.limit
            ]
            if not open_to:
                return
            worker = min(open_to, key=lambda one: counts[one.id])
            counts[worker.id] += 1
            host = Host(
                id=new_id(self._unit.now),
                pool=self._pool.name,
                lane=lane,
                worker_id=worker.id,
                queues=worker.queues,
                slots=slots,
                requested=self._unit.now,
                infrastructure=infrastructure,
            )
            self._unit.records.put_host(host)
            self._hosts.append(host)
            self._result.requested.append(host)

    def _drain(self, host_ids: Sequence[str]) -> None:
        for host in self._hosts:
            if host.id in host_ids:
                host.state = HostState.DRAINING
                host.message = "idle and not wanted any more"
                self._unit.records.put_host(host)
                self._unit.draining.add(host.id)
