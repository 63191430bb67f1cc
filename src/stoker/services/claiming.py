"""Claiming: giving queued runs the slots of the hosts whose sockets this server holds."""

from collections.abc import Sequence
from typing import NamedTuple

from stoker.domain.deployments import Code
from stoker.domain.jobs import Job
from stoker.domain.leases import Lease, Lendable, has_room
from stoker.domain.pools import WorkPool, WorkQueue
from stoker.domain.runs import FlowRun
from stoker.domain.templates import CODE_KEYS, code_of, resolve, text_values
from stoker.domain.transitions import Command, Wish
from stoker.services.changing import change
from stoker.services.unit import ReadyHost, Unit


def claim(unit: Unit, pool_name: str, ready: Sequence[ReadyHost]) -> None:
    """Claim as many of a pool's queued runs as limits and slots allow.

    Runs that are waited for go first: they may borrow what their waiters lend. The others go by
    queue priority, then age. The jobs are in ``unit.assigned``.
    """
    hosts = [host for host in ready if host.pool == pool_name and host.id not in unit.draining]
    pool = unit.records.pool(pool_name) if hosts else None
    if pool is None or pool.paused:
        return
    _Claim(unit, pool, hosts).run()


class _Target(NamedTuple):
    """What a run needs imported, and its function's name."""

    code: Code
    function: str


class _Claim:
    """One pass over a pool, with the use of its limits as it grows."""

    def __init__(self, unit: Unit, pool: WorkPool, hosts: list[ReadyHost]) -> None:
        self._unit = unit
        self._pool = pool
        self._hosts = hosts
        self._queues = {queue.name: queue for queue in unit.records.queues(pool.name)}
        self._usage = unit.records.usage(pool.name)

    def run(self) -> None:
        for run in self._unit.records.queued_nested(self._pool.name):
            self._claim_nested(run)
        lanes = {host.lane for host in self._hosts}
        for queue in self._queues.values():
            for lane in lanes:
                self._claim_group(queue, lane)

    def _claim_group(self, queue: WorkQueue, lane: str) -> None:
        room = self._room(queue, lane)
        if room <= 0:
            return
        for run in self._unit.records.queued(self._pool.name, queue.name, lane, room):
            target = self._target(run)
            if target is None:
                continue
            host = self._free_host(queue.name, lane, target.code)
            if host is None:
                return
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

    def _free_host(self, queue: str, lane: str, code: Code) -> ReadyHost | None:
        """The best host with a free slot: one that has the code warm, then the least busy."""
        best: ReadyHost | None = None
        best_rank: tuple[bool, int] | None = None
        for host in self._hosts:
            used = self._usage.hosts.get(host.id, 0)
            if host.lane != lane or not host.serves(queue) or used >= host.slots:
                continue
            if not has_room(host.worker_limit, self._usage.workers.get(host.worker_id, 0)):
                continue
            rank = (code.key not in host.codes, used)
            if best_rank is None or rank < best_rank:
                best, best_rank = host, rank
        return best

    def _claim_nested(self, run: FlowRun) -> None:
        queue = self._queues.get(run.queue or "")
        if queue is None or queue.paused:
            return
        target = self._target(run)
        if target is None:
            return
        lenders = [one for one in self._unit.records.lenders(run.id) if one.lease.pool == run.pool]
        if not any(one.pool for one in lenders) and not has_room(
            self._pool.concurrency_limit, self._usage.pool
        ):
            return
        used = self._usage.queues.get(queue.name, 0)
        lends_queue = any(one.queue and one.lease.queue == queue.name for one in lenders)
        if not lends_queue and not has_room(queue.concurrency_limit, used):
            return
        host = self._nested_host(run, queue.name, target.code, lenders)
        if host is not None:
            self._take(run, host, target, lenders)

    def _nested_host(
        self, run: FlowRun, queue: str, code: Code, lenders: list[Lendable]
    ) -> ReadyHost | None:
        """A host whose slot a waiting run lends, if its worker's limit allows; else a free one."""
        for host in self._hosts:
            if host.lane != run.lane or not host.serves(queue):
                continue
            here = [one for one in lenders if one.lease.host_id == host.id and one.slot]
            if not here:
                continue
            lends = any(one.worker and one.lease.worker_id == host.worker_id for one in lenders)
            used = self._usage.workers.get(host.worker_id, 0)
            if lends or has_room(host.worker_limit, used):
                return host
        return self._free_host(queue, run.lane or "", code)

    def _take(
        self,
        run: FlowRun,
        host: ReadyHost,
        target: _Target,
        lenders: list[Lendable],
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
            worker_id=host.worker_id,
            host_id=host.id,
        )
        _borrow(lease, lenders)
        unit.records.insert_lease(lease)
        self._count(lease)
        _stamp(unit, run, host)
        unit.assigned.setdefault(host.id, []).append(_job(run, target))

    def _count(self, lease: Lease) -> None:
        usage = self._usage
        usage.pool += lease.pool_from is None
        for counts, name, lender in (
            (usage.queues, lease.queue, lease.queue_from),
            (usage.workers, lease.worker_id, lease.worker_from),
            (usage.hosts, lease.host_id, lease.slot_from),
        ):
            counts[name] = counts.get(name, 0) + (lender is None)

    def _target(self, run: FlowRun) -> _Target | None:
        """What to execute for a run; None, and the run cancelled, where nobody knows any more."""
        unit = self._unit
        deployment = unit.records.deployment(run.deployment_id or "")
        if deployment is None or deployment.code is None:
            message = "its deployment was deleted before it started"
            change(unit, run, Wish(command=Command.CANCEL, at=unit.now, message=message))
            return None
        if not CODE_KEYS.intersection(run.job_variables) - {"env"}:
            return _Target(deployment.code, deployment.function)
        others = {name: value for name, value in run.job_variables.items() if name != "env"}
        both = {**deployment.job_variables, **others}
        code = code_of(deployment, resolve(self._pool.base_job_template, both))
        return _Target(code, deployment.function)


def _borrow(lease: Lease, lenders: list[Lendable]) -> None:
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
        env=text_values(run.job_variables.get("env")),
        flow_name=run.flow_name,
        run_name=run.name,
        deployment=run.deployment or "",
        parent_run_id=run.parent_run_id,
        tags=run.tags,
        timeout=run.timeout,
    )
