"""Making and changing work pools, queues and deployments."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from stoker.domain.deployments import ISOLATIONS, Deployment
from stoker.domain.errors import Conflict, Invalid
from stoker.domain.hosts import HostState
from stoker.domain.ids import new_id
from stoker.domain.limits import limits_of
from stoker.domain.pools import WorkPool, WorkQueue
from stoker.domain.templates import DEFAULT_TEMPLATES, code_of, lane_of, resolve
from stoker.services.claims import lending
from stoker.services.events.happening import deployment_told, pool_told, queue_told
from stoker.services.fleet.registering import drain, lost
from stoker.services.lookup import need_deployment, need_pool, need_queues, need_run
from stoker.services.naming import check_name
from stoker.services.runs.cancelling import cancel
from stoker.services.schedules import backfilling, scheduling
from stoker.services.unit import Unit


def create_pool(unit: Unit, pool: WorkPool) -> WorkPool:
    """Store a new pool with its default queue.

    Raises:
        Conflict: The name is taken.
        Invalid: Its type, name or a knob is impossible.
    """
    unit.records.lock(f"pool:{pool.name}")
    if unit.records.pool(pool.name) is not None:
        raise Conflict(f"there is a work pool {pool.name!r} already")
    if pool.type not in DEFAULT_TEMPLATES:
        raise Invalid(f"no pool type {pool.type!r}; there is: {', '.join(DEFAULT_TEMPLATES)}")
    check_name(pool.name, "work pool")
    pool.base_job_template = pool.base_job_template or DEFAULT_TEMPLATES[pool.type]
    _check_pool(pool)
    pool.id = new_id(unit.now)
    pool.created = unit.now
    unit.records.put_pool(pool)
    unit.records.put_queue(WorkQueue(pool=pool.name))
    pool_told(unit, pool.name, "created")
    unit.demand.add(pool.name)
    return pool


def update_pool(unit: Unit, name: str, changes: Mapping[str, Any]) -> WorkPool:
    """Change some fields of a pool; of its ``warm`` policy the knobs that are given.

    Raises:
        NotFound: There is no such pool.
        Invalid: A value is impossible.
    """
    unit.records.lock(f"pool:{name}")
    pool = need_pool(unit.records, name)
    paused = pool.paused
    for field, value in changes.items():
        setattr(pool, field, replace(pool.warm, **value) if field == "warm" else value)
    _check_pool(pool)
    unit.records.put_pool(pool)
    pool_told(unit, name, _change(paused, pool.paused))
    if "warm" in changes or "fence_after" in changes:
        unit.terms.update({host.id: pool.terms for host in unit.records.hosts(name)})
    if "base_job_template" in changes:
        for deployment in unit.records.deployments(name):
            _resolve(pool, deployment)
            unit.records.put_deployment(deployment)
        _follow(unit, pool)
    lending.given_back(unit)
    unit.claimable.add(name)
    unit.demand.add(name)
    return pool


def delete_pool(unit: Unit, name: str) -> None:
    """Forget a pool that nothing uses, and cancel the runs that are still queued in it.

    Raises:
        Conflict: Deployments or hosts use it.
    """
    unit.records.lock(f"pool:{name}")
    need_pool(unit.records, name)
    deployments = unit.records.deployments(name)
    if deployments:
        names = ", ".join(deployment.full_name for deployment in deployments[:5])
        raise Conflict(f"work pool {name!r} has deployments ({names}); delete them first")
    hosts = unit.records.hosts(name)
    if any(unit.records.leases_of(host.id) for host in hosts):
        raise Conflict(f"work pool {name!r} has running flow runs; cancel them first")
    for host in hosts:
        if host.state is HostState.REQUESTED:
            lost(unit, host.id, "its work pool was deleted")
        else:
            drain(unit, host.id, "its work pool was deleted")
    for count in unit.records.queued_counts(name):
        # Of deployments that have moved to another pool.
        for run in unit.records.queued(name, count.queue, count.lane, count.runs):
            cancel(unit, run.id, "its work pool was deleted")
    unit.records.delete_launches(name)
    unit.records.delete_pool(name)
    pool_told(unit, name, "deleted")
    unit.demand.add(name)


def put_queue(unit: Unit, queue: WorkQueue) -> WorkQueue:
    """Create or replace a queue of a pool."""
    unit.records.lock(f"pool:{queue.pool}")
    need_pool(unit.records, queue.pool)
    check_name(queue.name, "work queue")
    _check_limit(queue.concurrency_limit)
    if queue.priority < 1:
        raise Invalid("priority is 1 (first) or more")
    before = [one for one in unit.records.queues(queue.pool) if one.name == queue.name]
    unit.records.put_queue(queue)
    what = _change(before[0].paused, queue.paused) if before else "created"
    queue_told(unit, queue.pool, queue.name, what)
    lending.given_back(unit)
    unit.claimable.add(queue.pool)
    unit.demand.add(queue.pool)
    return queue


def put_deployment(unit: Unit, deployment: Deployment) -> Deployment:
    """Create a deployment, or replace the one of the same flow and name.

    Raises:
        NotFound: There is no such pool or queue.
        Invalid: Its name, entrypoint or job variables are impossible.
    """
    # Its schedules' lock goes before its pool's, as where they fire.
    known = unit.records.deployment(deployment.full_name)
    if known is not None and deployment.schedules is not None:
        unit.records.lock(scheduling.lock_of(known.id))
    unit.records.lock(f"pool:{deployment.pool}", *([f"pool:{known.pool}"] if known else []))
    pool = need_pool(unit.records, deployment.pool)
    need_queues(unit.records, pool.name, [deployment.queue])
    check_name(deployment.name, "deployment")
    check_name(deployment.flow_name, "flow")
    file, _, function = deployment.entrypoint.rpartition(":")
    if not file or not function:
        raise Invalid(f"entrypoint {deployment.entrypoint!r} is not like path/file.py:flow_name")
    if deployment.isolation not in ISOLATIONS:
        known = ", ".join(ISOLATIONS)
        raise Invalid(f"isolation {deployment.isolation!r} is not known; there is: {known}")
    _check_limit(deployment.concurrency_limit)
    if deployment.crash_retries < 0 or deployment.crash_retry_delay < 0:
        raise Invalid("crash_retries and crash_retry_delay are 0 or more")
    before = unit.records.deployment(deployment.full_name)
    deployment.id = before.id if before else new_id(unit.now)
    deployment.created = before.created if before else unit.now
    deployment.updated = unit.now
    schedules, deployment.schedules = deployment.schedules, None
    _resolve(pool, deployment)
    unit.records.put_deployment(deployment)
    deployment_told(unit, deployment, "updated" if before else "created")
    if schedules is not None:
        scheduling.replace_all(unit, deployment, schedules)
    if before is not None and before.lane != deployment.lane:
        _follow(unit, pool, deployment)
    if before is not None and before.concurrency_limit != deployment.concurrency_limit:
        unit.records.unblock(deployment.id)
        lending.given_back(unit)
        unit.claimable |= {before.pool, pool.name}
    unit.demand.add(pool.name)
    return deployment


def delete_deployment(unit: Unit, name: str) -> None:
    """Forget a deployment, and cancel its runs that are queued, suspended, or for later.

    Those that execute go on.

    Raises:
        NotFound: There is no such deployment.
    """
    deployment = need_deployment(unit.records, name)
    scheduling.delete_all(unit, deployment)
    backfilling.cancel_all(unit, deployment)
    shelved = unit.records.shelved_runs(deployment.id)
    # It may have moved, and have left runs in the queues of other pools.
    pools = sorted(pool.name for pool in unit.records.pools())
    unit.records.lock(*(f"pool:{name}" for name in pools))
    unit.records.delete_deployment(deployment.id)
    unit.records.unblock(deployment.id)
    deployment_told(unit, deployment, "deleted")
    for pool in pools:
        for count in unit.records.queued_counts(pool):
            for run in unit.records.queued(pool, count.queue, count.lane, count.runs):
                if run.deployment_id == deployment.id:
                    cancel(unit, run.id, "its deployment was deleted")
    for run in shelved:
        # The end of one of them may have ended another, which it waited for.
        if not need_run(unit.records, run.id).state.is_terminal:
            cancel(unit, run.id, "its deployment was deleted")
    unit.demand.add(deployment.pool)


def _change(was_paused: bool, is_paused: bool) -> str:
    """What an event of a change is called."""
    if was_paused == is_paused:
        return "updated"
    return "paused" if is_paused else "resumed"


def _follow(unit: Unit, pool: WorkPool, only: Deployment | None = None) -> None:
    """Queue runs in the lanes that they have now, of a pool's deployments or of one of them."""
    records = unit.records
    for count in records.queued_counts(pool.name):
        for run in records.queued(pool.name, count.queue, count.lane, count.runs):
            if only is not None and run.deployment_id != only.id:
                continue
            deployment = only or records.deployment(run.deployment_id or "")
            if deployment is None:
                continue
            variables = {**deployment.job_variables, **run.job_variables}
            try:
                configuration = resolve(pool.base_job_template, variables)
                lane = lane_of(pool, configuration, deployment.isolation)
            except Invalid as error:
                cancel(unit, run.id, f"its work pool or deployment was changed: {error}")
            else:
                records.set_lane(run.id, lane)
    unit.claimable.add(pool.name)


def _resolve(pool: WorkPool, deployment: Deployment) -> None:
    configuration = resolve(pool.base_job_template, deployment.job_variables)
    deployment.code = code_of(deployment, configuration)
    deployment.limits = limits_of(configuration)
    deployment.lane = lane_of(pool, configuration, deployment.isolation)


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 0:
        raise Invalid("a concurrency limit is 0 or more; leave it out for none")


def _check_pool(pool: WorkPool) -> None:
    _check_limit(pool.concurrency_limit)
    warm = pool.warm
    if warm.min < 0 or warm.buffer < 0 or warm.idle_timeout < 0:
        raise Invalid("min, buffer and idle_timeout are 0 or more")
    if warm.slots_per_host < 1 or warm.max < max(1, warm.min):
        raise Invalid("slots_per_host is 1 or more, max is 1 or more and not below min")
    for name in ("max_runs", "max_age", "max_memory_growth"):
        most: float | None = getattr(warm, name)
        if most is not None and most <= 0:
            raise Invalid(f"{name} is more than 0, or none")
    if pool.fence_after <= 0:
        raise Invalid("fence_after is more than 0 seconds")
    resolve(pool.base_job_template, {})
