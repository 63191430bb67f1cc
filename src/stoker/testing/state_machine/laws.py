"""What must hold after each step, said without the code that is to hold it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from stoker.domain.hosts import HostState
from stoker.domain.leases import Lease
from stoker.domain.runs import FlowRun
from stoker.domain.states import ACTIVE, StateRecord
from stoker.domain.transitions import SUSPENDED, TABLE
from stoker.ports.store import Records, RunFilter
from stoker.services.unit import ReadyHost
from stoker.testing.state_machine.scene import HOSTS, POOLS
from stoker.testing.state_machine.views import MANY, open_groups

Uses = dict[tuple[str, str], tuple[int, int | None]]
"""By kind and name of a limit: how many use it, and how many may."""

FOLLOWS = {(before, after) for (before, _), (after, _) in [*TABLE.items(), *SUSPENDED.items()]}


class Facts:
    """What the laws are about, as one store has it."""

    def __init__(self, records: Records) -> None:
        self.runs = {run.id: run for run in records.flow_runs(RunFilter(limit=MANY))}
        self.leases = {one.run_id: one for host in HOSTS for one in records.leases_of(host)}
        self.uses = _uses(records, list(self.leases.values()))
        self.closed = _closed(records)
        self.up = {
            host.id: host.worker_id or "" for host in records.hosts() if host.state is HostState.UP
        }
        self.heads = {
            (group.pool, group.lane, group.queue, group.deployment_id): (group.due, group.head)
            for pool in POOLS
            for group in open_groups(records, pool)
        }

    def room(self, kind: str, name: str) -> bool:
        """Whether a limit has room for one more."""
        used, limit = self.uses.get((kind, name), (0, None))
        return limit is None or used < limit


def _uses(records: Records, leases: Sequence[Lease]) -> Uses:
    limits: dict[tuple[str, str], int | None] = {}
    for name in POOLS:
        pool = records.pool(name)
        limits["pool", name] = pool.concurrency_limit if pool is not None else None
        for queue in records.queues(name):
            limits["queue", f"{name}/{queue.name}"] = queue.concurrency_limit
        for worker in records.workers(name):
            limits["worker", worker.id] = worker.limit
    for deployment in records.deployments():
        limits["deployment", deployment.id] = deployment.concurrency_limit
    for name in HOSTS:
        host = records.host(name)
        limits["host", name] = host.slots if host is not None else 0
    counts = dict.fromkeys(limits, 0)
    for lease in leases:
        for key, lender in (
            (("pool", lease.pool), lease.pool_from),
            (("queue", f"{lease.pool}/{lease.queue}"), lease.queue_from),
            (("worker", lease.worker_id), lease.worker_from),
            (("deployment", lease.deployment_id or ""), lease.deployment_from),
            (("host", lease.host_id), lease.slot_from),
        ):
            if key in counts:
                counts[key] += lender is None
    return {key: (counts[key], limit) for key, limit in limits.items()}


def _closed(records: Records) -> set[tuple[str, str]]:
    """The pools (with no queue) and queues that start nothing."""
    closed: set[tuple[str, str]] = set()
    for name in POOLS:
        pool = records.pool(name)
        if pool is None or pool.paused:
            closed.add((name, ""))
        closed |= {(name, queue.name) for queue in records.queues(name) if queue.paused}
    return closed


def no_limit_is_exceeded(before: Facts | None, now: Facts) -> None:
    """Where the use of a limit has grown, it is within the limit.

    A slot is an exception: a run that had lent its own has it back at once, since its process is
    there already.
    """
    old = before.leases if before is not None else {}
    given = {one.host_id for one in now.leases.values() if one.run_id not in old}
    for (kind, name), (used, limit) in now.uses.items():
        known, _ = before.uses.get((kind, name), (0, None)) if before is not None else (0, None)
        if limit is not None and used > known and (kind != "host" or name in given):
            assert used <= limit, f"{kind} {name}: {used} of {limit}"


def leases_match_states(now: Facts) -> None:
    """A run has a lease as long as it has a process, and of its current attempt."""
    for run in now.runs.values():
        lease = now.leases.get(run.id)
        active = not run.state.is_terminal and run.host_id is not None
        assert (lease is not None) == active, run
        assert lease is None or (lease.attempt, lease.host_id) == (run.attempt, run.host_id), run


def nobody_waits_for_nothing(now: Facts, ready: dict[str, ReadyHost]) -> None:
    """A queued run that nothing is in the way of has a slot."""
    for run in now.runs.values():
        if not run.queued or {(run.pool, ""), (run.pool, run.queue)} & now.closed:
            continue
        pool, queue, owner = run.pool or "", run.queue or "", run.deployment_id or ""
        if now.room("pool", pool) and now.room("queue", f"{pool}/{queue}"):
            free = [one for one in ready.values() if _would_take(one, run, now)]
            assert not free or not now.room("deployment", owner), (run, free)


def _would_take(host: ReadyHost, run: FlowRun, now: Facts) -> bool:
    return (
        (host.pool, host.lane) == (run.pool, run.lane)
        and host.serves(run.queue or "")
        and host.id in now.up
        and now.room("host", host.id)
        and now.room("worker", now.up[host.id])
    )


def groups_begin_no_later_than_their_runs(now: Facts) -> None:
    """No claim group that is open hides a run that it has."""
    for run in now.runs.values():
        head = now.heads.get((run.pool or "", run.lane or "", run.queue or "", _owner(run)))
        assert not run.queued or head is None or head <= (run.due, run.id), run


def _owner(run: FlowRun) -> str:
    return run.deployment_id or ""


def history_follows_the_table(run: FlowRun, states: Sequence[StateRecord]) -> None:
    """Each state of a run can follow the one before, and the last one is its state."""
    for before, after in pairwise(states):
        ends = before.type in ACTIVE and after.is_terminal
        assert (before.type, after.type) in FOLLOWS or ends, (run, before, after)
    assert not states or states[-1] == run.state, (run, states)


def changed(before: Any, now: Facts) -> list[str]:
    """The runs that are not as they were."""
    known: dict[str, FlowRun] = before.runs if before is not None else {}
    return [run.id for run in now.runs.values() if known.get(run.id) != run]
