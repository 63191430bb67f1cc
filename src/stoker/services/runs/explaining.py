"""Why a run waits, and what is expected."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from stoker.domain.hosts import HostState
from stoker.domain.leases import has_room
from stoker.domain.pools import Worker
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.domain.transitions import AWAITING_CRASH_RETRY, SUSPENDING
from stoker.ports.store import Records


@dataclass(slots=True)
class Outlook:
    """What this server knows beyond the store.

    Attributes:
        workers: Connected workers by id.
        cold_start: Median seconds from a launch to the host's registration, by pool.
        failures: Why the last launch failed, by pool and lane.
    """

    workers: Mapping[str, Worker] = field(default_factory=dict[str, Worker])
    cold_start: Mapping[str, float] = field(default_factory=dict[str, float])
    failures: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])


def explain(records: Records, run: FlowRun, outlook: Outlook, now: float) -> str | None:
    """Say in one line why a run has not started yet; None where it has."""
    if run.state.type is StateType.PENDING:
        return "its host is importing its code or about to start it"
    if run.state.type is StateType.PAUSED:
        return _paused(run)
    if run.state.type is not StateType.SCHEDULED or run.pool is None:
        return None
    if not run.queued and run.due > now:
        return _for_later(run)
    return _held_back(records, run) or _no_slot(records, run, outlook, now)


def _paused(run: FlowRun) -> str:
    if run.state.name == SUSPENDING:
        return "its process is being ended; then it is suspended"
    what = "suspended: it has given back its slot" if run.host_id is None else "paused"
    end = "" if run.paused_until is None else f"; it fails at {_time(run.paused_until)} otherwise"
    return f"it is {what}; `stoker flow-run resume {run.id}` lets it go on{end}"


def _for_later(run: FlowRun) -> str:
    if run.state.name == AWAITING_CRASH_RETRY:
        return f"attempt {run.attempt} crashed; the next one may begin at {_time(run.due)}"
    return f"it is for later; it may begin at {_time(run.due)}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _held_back(records: Records, run: FlowRun) -> str | None:
    pool = records.pool(run.pool or "")
    if pool is None:
        return f"work pool {run.pool} was deleted; nothing will start it"
    if pool.paused:
        return f"work pool {pool.name} is paused; `stoker work-pool resume {pool.name}`"
    usage = records.usage(pool.name)
    if pool.concurrency_limit == 0:
        return (
            f"work pool {pool.name} may run nothing: its limit is 0; "
            f"`stoker work-pool set-concurrency-limit {pool.name} N` raises it"
        )
    if not has_room(pool.concurrency_limit, usage.pool):
        return (
            f"work pool {pool.name} runs {usage.pool} of {pool.concurrency_limit} at a time; "
            "it starts when one of them ends"
        )
    for queue in records.queues(pool.name):
        if queue.name != run.queue:
            continue
        used = usage.queues.get(queue.name, 0)
        if queue.paused:
            return f"work queue {queue.name} is paused"
        if queue.concurrency_limit == 0:
            return (
                f"work queue {queue.name} may run nothing: its limit is 0; "
                f"`stoker work-queue set {queue.name} -p {pool.name} --limit N` raises it"
            )
        if not has_room(queue.concurrency_limit, used):
            return (
                f"work queue {queue.name} runs {used} of {queue.concurrency_limit} at a time; "
                "it starts when one of them ends"
            )
    deployment = records.deployment(run.deployment_id or "")
    if deployment is None or deployment.concurrency_limit is None:
        return None
    limit = deployment.concurrency_limit
    if limit == 0:
        return (
            f"deployment {deployment.full_name} may run nothing: its limit is 0; "
            "deploy it with another"
        )
    used = records.deployment_use(deployment.id)
    if used < limit:
        return None
    return (
        f"deployment {deployment.full_name} runs {used} of {limit} at a time; it starts when one "
        "of them ends"
    )


def _no_slot(records: Records, run: FlowRun, outlook: Outlook, now: float) -> str:
    workers = [worker for worker in outlook.workers.values() if worker.pool == run.pool]
    if not workers:
        return (
            f"no worker serves work pool {run.pool}; start one with "
            f"`stoker worker start -p {run.pool}`"
        )
    workers = [one for one in workers if not one.queues or run.queue in one.queues]
    if not workers:
        return f"no worker of work pool {run.pool} serves work queue {run.queue}"
    usage = records.usage(run.pool or "")
    used = usage.workers
    if not any(has_room(worker.limit, used.get(worker.id, 0)) for worker in workers):
        limits = ", ".join(f"{one.name} {used[one.id]} of {one.limit}" for one in workers)
        return f"its workers run all that they take at a time ({limits})"
    hosts = [host for host in records.hosts(run.pool) if host.lane == run.lane]
    starting = [h for h in hosts if h.state in (HostState.REQUESTED, HostState.LAUNCHED)]
    if starting:
        expected = outlook.cold_start.get(run.pool or "")
        since = now - min(host.requested for host in starting)
        text = f"a host has been launching for {since:.1f} s"
        return text if expected is None else f"{text}; that takes about {expected:.1f} s here"
    failure = outlook.failures.get((run.pool or "", run.lane or ""))
    if failure is not None:
        return f"the last host could not be launched ({failure}); another try follows"
    up = [host for host in hosts if host.state is HostState.UP]
    free = sum(usage.hosts.get(host.id, 0) < host.slots for host in up)
    if free:
        return f"{free} hosts have room for it, but no connection; it starts when one is back"
    once = sum(host.once for host in hosts)
    if once:
        return (
            f"{once} hosts are used by one run each; the next is launched when one of them leaves"
        )
    if up:
        return f"all slots of {len(up)} hosts are taken; it starts when a run ends"
    return "a host is about to be launched for it"
