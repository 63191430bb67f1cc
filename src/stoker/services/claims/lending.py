"""Waits, and the lending of leases: a run that waits for a deployed child lends it its keys.

So nested runs never deadlock a pool, and a limit counts only the runs that execute. Where that
is not enough for a child, since it needs the key of another queue or worker, any waiting run of
the pool lends it one. A run that may go on first has its keys back: where another run still has
them (the wait timed out, or a link of the chain ended early) and no limit has room for both, the
wait is held until something is given back.
"""

from collections.abc import Sequence

from stoker.domain.errors import Conflict
from stoker.domain.leases import Lease, has_room
from stoker.domain.runs import FlowRun
from stoker.services.unit import Unit


def begin_wait(unit: Unit, waiter: str, child: FlowRun) -> None:
    """Note that a run waits for another, which may borrow its keys from now on.

    Raises:
        Conflict: The other waits for this one, if by way of others: neither could ever go on.
    """
    seen, above = set[str](), {waiter}
    while above:
        seen |= above
        above = {one for run_id in above for one in unit.records.waiters(run_id)} - seen
    if child.id in seen:
        raise Conflict(
            f"flow run {child.name} waits for this one already: neither could ever go on"
        )
    unit.records.add_wait(waiter, child.id)
    if child.pool is not None:
        unit.claimable.add(child.pool)
        unit.demand.add(child.pool)


def end_wait(unit: Unit, waiter: str, child: FlowRun) -> None:
    """A wait is over, since the child is or since time has passed: resume its waiter, or hold it.

    The waiter is in ``unit.resumed`` if it may go on.
    """
    unit.records.drop_wait(waiter, child.id)
    if unit.records.waits_of(waiter) or _regain(unit, waiter):
        unit.resumed.append((waiter, child))
    else:
        unit.records.hold_wait(waiter, child.id)


def runs_ended(unit: Unit, runs: Sequence[FlowRun]) -> None:
    """End the waits for runs that are over."""
    by_id = {run.id: run for run in runs}
    # The oldest first: what is given back may not be enough for all.
    for waiter, child in sorted(unit.records.waits_for(list(by_id))):
        end_wait(unit, waiter, by_id[child])


def given_back(unit: Unit) -> None:
    """End the waits that are held, as far as limits have room now."""
    for waiter, child_id in unit.records.held_waits():
        child = unit.records.flow_run(child_id)
        if child is not None:
            end_wait(unit, waiter, child)


def _regain(unit: Unit, waiter: str) -> bool:
    """Take back what a run has lent, the borrowers getting keys of their own, if all fit."""
    lent = unit.records.borrowers(waiter)
    if not lent:
        return True
    unit.records.lock(*{f"pool:{lease.pool}" for lease in lent})
    if not all(_fits(unit, waiter, lease) for lease in lent):
        return False
    for lease in lent:
        lease.pool_from = None if lease.pool_from == waiter else lease.pool_from
        lease.queue_from = None if lease.queue_from == waiter else lease.queue_from
        lease.worker_from = None if lease.worker_from == waiter else lease.worker_from
        lease.slot_from = None if lease.slot_from == waiter else lease.slot_from
        lease.deployment_from = None if lease.deployment_from == waiter else lease.deployment_from
        unit.records.put_lease(lease)
    return True


def _fits(unit: Unit, waiter: str, lease: Lease) -> bool:
    """Whether the keys that a lease has borrowed of a run fit as keys of its own.

    A slot always does: the process exists already.
    """
    records = unit.records
    usage = records.usage(lease.pool)
    if lease.pool_from == waiter:
        pool = records.pool(lease.pool)
        if pool is not None and not has_room(pool.concurrency_limit, usage.pool):
            return False
    if lease.queue_from == waiter:
        for queue in records.queues(lease.pool):
            used = usage.queues.get(queue.name, 0)
            if queue.name == lease.queue and not has_room(queue.concurrency_limit, used):
                return False
    if lease.worker_from == waiter:
        for worker in records.workers(lease.pool):
            used = usage.workers.get(worker.id, 0)
            if worker.id == lease.worker_id and not has_room(worker.limit, used):
                return False
    if lease.deployment_from == waiter and lease.deployment_id is not None:
        deployment = records.deployment(lease.deployment_id)
        limit = deployment.concurrency_limit if deployment is not None else None
        return limit is None or records.deployment_use(lease.deployment_id) < limit
    return True
