"""The sweep: hosts that are silent, hosts that nobody launched, scripts that ended."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from stoker.domain.fencing import workers_turn
from stoker.domain.hosts import Host, HostState, ProcessIdentity
from stoker.domain.pools import Worker
from stoker.services.events.happening import host_told
from stoker.services.fleet.registering import adopt, drain, lost
from stoker.services.unit import Unit

SCRIPT_FENCE = 600.0
"""Seconds after its lease when a script on another machine is given up."""


@dataclass(frozen=True, slots=True)
class SweepRules:
    """What the sweep goes by.

    Attributes:
        up_since: When this server came up: before it had a full term nobody is silent (seconds
            since the epoch).
        lease: Seconds that a heartbeat holds.
        launch_timeout: Seconds within which an ordered host must be launched where its worker is
            gone, and a launched one must register.
        workers: Ids of connected workers.
        asked: Ids of hosts that an earlier sweep had their workers asked to end.
        is_dead: Whether a process is dead; None where this machine cannot tell.
    """

    up_since: float
    lease: float
    launch_timeout: float
    workers: Collection[str]
    asked: Collection[str]
    is_dead: Callable[[ProcessIdentity], bool | None]


def sweep(unit: Unit, rules: SweepRules) -> list[Host]:
    """Find hosts that are silent, and give up those that are dead beyond doubt or fenced.

    The hosts of a worker that is gone are given to another of its machine; where there is none
    for as long as a fence, they take no run any more, and leave.

    Returns:
        Hosts that their workers are to end now: their time is nearly over.
    """
    condemned: list[Host] = []
    pools = [pool.name for pool in unit.records.pools()]
    unit.records.lock(*(f"pool:{pool}" for pool in pools))
    # What frees a slot names the pool that it was in. A deployment that has moved may wait in
    # another one, for the end of a run that it had before.
    unit.claimable |= {pool for pool in pools if unit.records.any_queued(pool)}
    adopt(unit, rules.workers, lambda worker: _is_gone(unit, worker, rules))
    for host in unit.records.hosts():
        if not host.pool:
            _script(unit, host, rules)
        elif host.state is HostState.REQUESTED:
            if _overdue(unit, host.requested, rules) and not _hears(unit, host.worker_id, rules):
                lost(unit, host.id, "no worker launched it")
        elif host.state is HostState.LAUNCHED:
            if _overdue(unit, host.launched or host.requested, rules):
                lost(unit, host.id, f"it did not register within {rules.launch_timeout:g} s")
        elif host.process is not None and host.lease_until and host.lease_until < unit.now:
            if _silent(unit, host, rules):
                condemned.append(host)
        elif host.state is HostState.UP and host.worker_id not in rules.workers:
            _deserted(unit, host, rules)
    return condemned


def _is_gone(unit: Unit, worker: Worker, rules: SweepRules) -> bool:
    """Whether a worker that is not connected is dead, or has had a full term to come back."""
    dead = rules.is_dead(worker.process) if worker.process is not None else None
    if dead is not None:
        return dead
    return max(worker.last_seen, rules.up_since) + rules.lease < unit.now


def _hears(unit: Unit, worker_id: str | None, rules: SweepRules) -> bool:
    """Whether a worker gets what is ordered: its socket may look open and lead nowhere."""
    if worker_id is None or worker_id not in rules.workers:
        return False
    seen = [one.last_seen for one in unit.records.workers() if one.id == worker_id]
    return max([rules.up_since, *seen]) + rules.lease >= unit.now


def _overdue(unit: Unit, since: float, rules: SweepRules) -> bool:
    return unit.now - max(since, rules.up_since) > rules.launch_timeout


def _script(unit: Unit, host: Host, rules: SweepRules) -> None:
    dead = rules.is_dead(host.process) if host.process is not None else None
    if dead:
        lost(unit, host.id, "the script ended without saying so")
    elif dead is None and max(host.lease_until, rules.up_since) + SCRIPT_FENCE < unit.now:
        lost(unit, host.id, f"the script has been silent for {SCRIPT_FENCE:.0f} s")


def _silent(unit: Unit, host: Host, rules: SweepRules) -> bool:
    """A silent host is not a dead one: its runs keep their leases until it is fenced.

    Returns whether its worker is to end it, which is better than to trust that it has ended
    itself. It gets from one sweep to the next.
    """
    since = max(host.lease_until - rules.lease, rules.up_since)
    silent_for = unit.now - since
    fence = _fence_of(unit, host)
    watched = host.worker_id in rules.workers
    if silent_for > fence and (host.id in rules.asked or not watched):
        lost(unit, host.id, f"silent for {silent_for:.0f} s, beyond its pool's fence_after")
        return False
    if silent_for > rules.lease and host.state is HostState.UP:
        host.state = HostState.UNREACHABLE
        host.message = f"silent for {silent_for:.0f} s"
        unit.records.put_host(host)
        host_told(unit, host, "unreachable")
        unit.demand.add(host.pool)
    return watched and silent_for > workers_turn(fence)


def _deserted(unit: Unit, host: Host, rules: SweepRules) -> None:
    """Nobody could launch another in its place, or prove its death."""
    seen = [one.last_seen for one in unit.records.workers() if one.id == host.worker_id]
    since = max([rules.up_since, *seen])
    if unit.now - since > _fence_of(unit, host):
        drain(unit, host.id, f"no worker has watched it for {unit.now - since:.0f} s")


def _fence_of(unit: Unit, host: Host) -> float:
    """Seconds of silence after which a host has certainly ended its runs."""
    pool = unit.records.pool(host.pool)
    # It may not have heard yet that its pool's was lowered.
    return max(host.fence_after, pool.fence_after if pool is not None else 0.0)
