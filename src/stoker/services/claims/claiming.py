"""Claiming: giving queued runs the slots of the hosts whose sockets this server holds."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from msgspec.structs import replace

from stoker.domain.deployments import Code, Deployment
from stoker.domain.environment import Environment, acts_at_start, text_values
from stoker.domain.errors import Invalid
from stoker.domain.hosts import HostState
from stoker.domain.jobs import Job
from stoker.domain.leases import Lease, Lendable, has_room
from stoker.domain.limits import RunLimits, limits_of
from stoker.domain.pools import WorkPool, WorkQueue
from stoker.domain.runs import FlowRun
from stoker.domain.templates import code_of, resolve
from stoker.domain.transitions import Command, Wish
from stoker.services.changing import change
from stoker.services.claims.claim_groups import Group, Lineup
from stoker.services.unit import ReadyHost, Unit

LOOKED_AT = 8
"""Hosts that are read together, ahead of the claim; each of the others when it is wanted."""


def claim(unit: Unit, pool_name: str, ready: Sequence[ReadyHost]) -> None:
    """Claim as many of a pool's queued runs as limits and slots allow.

    Runs that are waited for go first: they may borrow what their waiters lend. The others go by
    queue priority, then age. The jobs are in ``unit.assigned``.
    """
    taken = unit.draining | unit.used
    hosts = [host for host in ready if host.pool == pool_name and host.id not in taken]
    if not hosts:
        return
    unit.records.lock(f"pool:{pool_name}")
    unit.records.ask_for_claim(pool_name, [host.id for host in hosts[:LOOKED_AT]], _slots(hosts))
    pool = unit.records.pool(pool_name)
    if pool is None or pool.paused:
        return
    _Claim(unit, pool, hosts).run()


class _Target(NamedTuple):
    """What a run needs imported, its function's name, its environment, and what it may use."""

    code: Code
    function: str
    env: Environment
    limits: RunLimits


class _Claim:
    """One pass over a pool, with the use of its limits as it grows."""

    def __init__(self, unit: Unit, pool: WorkPool, hosts: list[ReadyHost]) -> None:
        self._unit = unit
        self._pool = pool
        self._hosts = hosts
        self._queues = {queue.name: queue for queue in unit.records.queues(pool.name)}
        self._usage = unit.records.usage(pool.name)
        self._full: set[tuple[str, ...]] = set()
        self._limits = {one.id: one.limit for one in unit.records.workers(pool.name)}
        self._owners: dict[str, str | None] = {}
        self._deployments: dict[str, Deployment | None] = {}
        self._in_deployment: dict[str, int] = {}

    def run(self) -> None:
        # Each of them needs a slot that is free, or one that is lent.
        most = _slots(self._hosts)
        for run in self._unit.records.queued_nested(self._pool.name, most):
            self._claim_nested(run)
        lanes = sorted({host.lane for host in self._hosts})
        for _, queues in groupby(self._queues.values(), lambda queue: queue.priority):
            rooms = {
                (queue.name, lane): room
                for queue in queues
                for lane in lanes
                if (room := self._room(queue, lane)) > 0
            }
            lineup = Lineup(self._unit.records, self._pool.name, rooms)
            for group in lineup:
                self._claim_alone(lineup, group)
            lineup.settle()

    def _claim_alone(self, lineup: Lineup, group: Group) -> None:
        """Take the oldest run of a group; or nothing of it, or of its queue and lane, any more."""
        queue, lane = self._queues[group.stored.queue], group.stored.lane
        if self._room(queue, lane) <= 0:
            lineup.close(group.pair)
            return
        used = self._in_deployment.setdefault(group.stored.deployment_id, group.stored.used)
        if not has_room(group.stored.limit, used):
            self._unit.records.block_group(group.stored)
            lineup.drop(group)
            return
        run = group.runs[0]
        target = self._target(run)
        if target is None:
            group.pop()
            return
        host = self._best_host(queue.name, lane, target.code, [])
        if host is None:
            lineup.close(group.pair)
            return
        group.pop()
        self._take(run, host, target, [])

    def _room(self, queue: WorkQueue, lane: str) -> int:
        """How many runs of a claim group can be claimed at the most."""
        if queue.paused:
            return 0
        rooms = [
            sum(
                max(0, host.slots - self._usage.hosts.get(host.id, 0))
                for host in self._hosts
                if host.lane == lane and host.serves(queue.name)
            )
        ]
        if self._pool.concurrency_limit is not None:
            rooms.append(self._pool.concurrency_limit - self._usage.pool)
        if queue.concurrency_limit is not None:
            rooms.append(queue.concurrency_limit - self._usage.queues.get(queue.name, 0))
        return min(rooms)

    def _best_host(
        self, queue: str, lane: str, code: Code, lenders: Sequence[Lendable]
    ) -> ReadyHost | None:
        """The best host with a slot, lent or free: then code that is warm, then few runs."""
        lent_slots = {one.lease.host_id for one in lenders if one.slot}
        lent_workers = {one.lease.worker_id for one in lenders if one.worker}
        key = code.key
        best: ReadyHost | None = None
        best_rank: tuple[bool, bool, int] | None = None
        for host in self._hosts:
            lent = host.id in lent_slots
            used = self._usage.hosts.get(host.id, 0)
            if host.lane != lane or not host.serves(queue) or not (lent or used < host.slots):
                continue
            rank = (not lent, key not in host.codes, used)
            if best_rank is not None and rank >= best_rank:
                continue
            owner = self._owner(host)
            if owner is not None and (owner in lent_workers or self._worker_has_room(owner)):
                best, best_rank = host, rank
        return best

    def _owner(self, host: ReadyHost) -> str | None:
        """The worker of a host by the store, where another may have adopted it by now.

        None where the store says that it is not up: it may have been given up while its socket
        is open. Nor where it has another socket by now.
        """
        if host.id not in self._owners:
            stored = self._unit.records.host(host.id)
            up = stored is not None and stored.state is HostState.UP
            own = stored if stored and up and stored.connection == host.connection else None
            self._owners[host.id] = own and (own.worker_id or "")
        return self._owners[host.id]

    def _claim_nested(self, run: FlowRun) -> None:
        queue = self._queues.get(run.queue or "")
        if queue is None or queue.paused:
            return
        # A fan-out has hundreds of runs with the same waiter: what one lacks all of them lack.
        alike = (queue.name, run.lane or "", *sorted(self._unit.records.waiters(run.id)))
        if alike in self._full:
            return
        target = self._target(run)
        if target is None:
            return
        lenders = [one for one in self._unit.records.lenders(run.id) if one.lease.pool == run.pool]
        if not self._claim_lent(run, queue, target, lenders) and not self._claim_lent(
            run, queue, target, [*lenders, *self._idle_keys()]
        ):
            self._full.add(alike)

    def _claim_lent(
        self, run: FlowRun, queue: WorkQueue, target: _Target, lenders: Sequence[Lendable]
    ) -> bool:
        if not self._pool_has_room() and not any(one.pool for one in lenders):
            return False
        lends_queue = any(one.queue and one.lease.queue == queue.name for one in lenders)
        if not self._queue_has_room(queue.name) and not lends_queue:
            return False
        same = run.deployment_id
        lends = any(one.deployment and one.lease.deployment_id == same for one in lenders)
        if not self._deployment_has_room(same) and not lends:
            return False
        host = self._best_host(queue.name, run.lane or "", target.code, lenders)
        if host is None:
            return False
        self._take(run, host, target, lenders)
        return True

    def _idle_keys(self) -> list[Lendable]:
        """Keys that runs of the whole pool have no use for while they wait, of full limits alone.

        Without them two parents that wait for children in each other's queue would block each
        other. Slots are among them only as far as the store says: of waits that are held. For lack
        of others a host more is launched.
        """
        return [
            Lendable(
                lease=one.lease,
                pool=one.pool and not self._pool_has_room(),
                queue=one.queue and not self._queue_has_room(one.lease.queue),
                worker=one.worker and not self._worker_has_room(one.lease.worker_id),
                slot=one.slot,
                deployment=one.deployment
                and not self._deployment_has_room(one.lease.deployment_id),
            )
            for one in self._unit.records.waiting_leases(self._pool.name)
        ]

    def _pool_has_room(self) -> bool:
        return has_room(self._pool.concurrency_limit, self._usage.pool)

    def _queue_has_room(self, name: str) -> bool:
        queue = self._queues.get(name)
        return queue is None or has_room(queue.concurrency_limit, self._usage.queues.get(name, 0))

    def _deployment_has_room(self, deployment_id: str | None) -> bool:
        deployment = self._deployment(deployment_id or "")
        if deployment is None or deployment.concurrency_limit is None:
            return True
        used = self._in_deployment.get(deployment.id)
        if used is None:
            used = self._unit.records.deployment_use(deployment.id)
            self._in_deployment[deployment.id] = used
        return used < deployment.concurrency_limit

    def _worker_has_room(self, worker_id: str) -> bool:
        return has_room(self._limits.get(worker_id), self._usage.workers.get(worker_id, 0))

    def _take(
        self,
        run: FlowRun,
        host: ReadyHost,
        target: _Target,
        lenders: Sequence[Lendable],
    ) -> None:
        unit = self._unit
        rejected = change(unit, run, Wish(command=Command.CLAIM, at=unit.now, host_id=host.id))
        if rejected is not None:
            return
        lease = Lease(
            run_id=run.id,
            attempt=run.attempt,
            pool=self._pool.name,
            queue=run.queue or "",
            worker_id=self._owner(host) or "",
            host_id=host.id,
            deployment_id=run.deployment_id,
        )
        _borrow(lease, lenders)
        unit.records.put_lease(lease)
        self._count(lease)
        _stamp(unit, run, host)
        if host.once:
            self._use_up(host, run)
        unit.assigned.setdefault(host.id, []).append(_job(run, target))

    def _use_up(self, host: ReadyHost, run: FlowRun) -> None:
        """It takes no other run, whatever happens to this one. The next is ordered at once."""
        stored = self._unit.records.host(host.id)
        if stored is not None:
            stored.state = HostState.DRAINING
            stored.message = f"used by flow run {run.id}"
            stored.idle_since = None
            self._unit.records.put_host(stored)
        self._hosts = [one for one in self._hosts if one is not host]
        self._unit.used.add(host.id)
        self._unit.demand.add(self._pool.name)

    def _count(self, lease: Lease) -> None:
        usage = self._usage
        usage.pool += lease.pool_from is None
        for counts, name, lender in (
            (usage.queues, lease.queue, lease.queue_from),
            (usage.workers, lease.worker_id, lease.worker_from),
            (usage.hosts, lease.host_id, lease.slot_from),
        ):
            counts[name] = counts.get(name, 0) + (lender is None)
        in_deployment, name = self._in_deployment, lease.deployment_id or ""
        if name in in_deployment:
            in_deployment[name] += lease.deployment_from is None

    def _target(self, run: FlowRun) -> _Target | None:
        """What to execute for a run; None, and the run cancelled, where nobody knows any more."""
        deployment = self._deployment(run.deployment_id or "")
        if deployment is None or deployment.code is None:
            return self._give_up(run, "its deployment was deleted before it started")
        # A run's ``env`` comes to its job by itself; whatever else it sets, the template may have
        # made any part of the job of it.
        if not run.job_variables.keys() - {"env"}:
            return _aimed(run, deployment.code, deployment.function, deployment.limits)
        others = {name: value for name, value in run.job_variables.items() if name != "env"}
        both = {**deployment.job_variables, **others}
        try:
            configuration = resolve(self._pool.base_job_template, both)
        except Invalid as error:
            return self._give_up(run, f"its work pool was changed before it started: {error}")
        code, limits = code_of(deployment, configuration), limits_of(configuration)
        return _aimed(run, code, deployment.function, limits)

    def _deployment(self, deployment_id: str) -> Deployment | None:
        if deployment_id not in self._deployments:
            self._deployments[deployment_id] = self._unit.records.deployment(deployment_id)
        return self._deployments[deployment_id]

    def _give_up(self, run: FlowRun, message: str) -> None:
        wish = Wish(command=Command.CANCEL, at=self._unit.now, message=message)
        change(self._unit, run, wish)


def _slots(hosts: Sequence[ReadyHost]) -> int:
    return sum(host.slots for host in hosts)


def _aimed(run: FlowRun, code: Code, function: str, limits: RunLimits) -> _Target:
    """Give a run a code of its own where its environment has what acts before its first line."""
    env = text_values(run.job_variables.get("env"))
    at_start = {name: value for name, value in env.items() if acts_at_start(name)}
    if at_start:
        code = replace(code, env={**code.env, **at_start})
        env = {name: value for name, value in env.items() if name not in at_start}
    return _Target(code, function, env, limits)


def _borrow(lease: Lease, lenders: Sequence[Lendable]) -> None:
    """Take each key from the nearest run that lends it."""
    for one in lenders:
        lender = one.lease
        if one.pool and lease.pool_from is None:
            lease.pool_from = lender.run_id
        if one.queue and lease.queue_from is None and lender.queue == lease.queue:
            lease.queue_from = lender.run_id
        if one.worker and lease.worker_from is None and lender.worker_id == lease.worker_id:
            lease.worker_from = lender.run_id
        if one.slot and lease.slot_from is None and lender.host_id == lease.host_id:
            lease.slot_from = lender.run_id
        same = lender.deployment_id == lease.deployment_id
        if one.deployment and lease.deployment_from is None and same:
            lease.deployment_from = lender.run_id


def _stamp(unit: Unit, run: FlowRun, host: ReadyHost) -> None:
    anatomy = run.anatomy
    anatomy.claimed = unit.now
    if host.registered > run.created:
        anatomy.launch_requested = host.requested
        anatomy.launched = host.launched
        anatomy.registered = host.registered
    unit.records.set_anatomy(run.id, anatomy)


def _job(run: FlowRun, target: _Target) -> Job:
    return Job(
        run_id=run.id,
        attempt=run.attempt,
        code=target.code,
        function=target.function,
        parameters=run.parameters,
        env=target.env,
        flow_name=run.flow_name,
        run_name=run.name,
        deployment=run.deployment or "",
        parent_run_id=run.parent_run_id,
        tags=run.tags,
        timeout=run.timeout,
        limits=target.limits,
        scheduled=run.due if run.instant is None else run.instant,
    )
