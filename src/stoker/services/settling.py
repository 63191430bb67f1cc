"""What follows from attempts that have ended, for all those of a unit of work together."""

from collections.abc import Sequence

from stoker.domain.hosts import Host, HostState
from stoker.domain.runs import FlowRun
from stoker.ports.store import Records
from stoker.services.changing import closing_state, crash_all, part_of
from stoker.services.claims import lending
from stoker.services.claims.claiming import claim
from stoker.services.concurrency import limiting
from stoker.services.fleet.replacing import pairs_of
from stoker.services.unit import ReadyHost, Unit


def finish(unit: Unit, ready: Sequence[ReadyHost]) -> None:
    """Bring a unit of work to its end: settle it, and claim what it made claimable."""
    settle(unit)
    for pool in sorted(unit.claimable):
        claim(unit, pool, ready)
    # A claim gives up runs that nobody can start any more.
    settle(unit)


def settle(unit: Unit) -> None:
    """End what was part of runs that are over, resume who waits for them, note idle hosts."""
    any_over = bool(unit.over)
    while unit.over:
        over, unit.over = unit.over, []
        _free(unit, over)
        broken, unit.broken = unit.broken, []
        ended = [run for run, _ in over if run.state.is_terminal]
        lost = [run for run in broken if not run.state.is_terminal]
        if ended or lost:
            _end_subflows(unit, [*ended, *lost])
        if ended:
            lending.runs_ended(unit, ended)
        for run in broken:
            unit.records.end_task_runs(run.id, closing_state(run))
        unit.abandoned += [run.id for run in lost]
    if any_over:
        lending.given_back(unit)


def _free(unit: Unit, over: Sequence[tuple[FlowRun, str | None]]) -> None:
    hosts = {host: run.pool for run, host in over if host is not None and run.pool is not None}
    unit.records.ask_for_end([run.id for run, _ in over if run.state.is_terminal], hosts)
    limiting.attempts_ended(unit, [run.id for run, _ in over if run.deployment_id is not None])
    pools = {run.pool for run, _ in over if run.pool is not None}
    unit.claimable |= pools
    unit.demand |= pools
    for host_id, pool in hosts.items():
        _slot_freed(unit, pool, host_id)


def _end_subflows(unit: Unit, ended: Sequence[FlowRun]) -> None:
    """What ran in the process of a run that is over is over too."""
    inner = unit.records.open_subflows([run.id for run in ended])
    parents = {run.id: run.parent_run_id or "" for run in inner}
    over = {run.id: run for run in ended}
    for run in inner:
        outer = parents[run.id]
        while outer not in over and outer in parents:
            outer = parents[outer]
        if outer in over:
            crash_all(unit, [run], part_of(over[outer]))


def _slot_freed(unit: Unit, pool_name: str, host_id: str) -> None:
    """Note when a host became idle; with ``idle_timeout`` 0 it takes no other run."""
    records = unit.records
    if records.leases_of(host_id):
        return
    host, pool = records.host(host_id), records.pool(pool_name)
    if host is None or pool is None or host.state is HostState.DEAD:
        return
    host.idle_since = unit.now
    if pool.warm.idle_timeout == 0 and host.is_present and _number(records, host) > pool.warm.min:
        host.state = HostState.DRAINING
        unit.draining.add(host_id)
    records.put_host(host)


def _number(records: Records, host: Host) -> int:
    """How many hosts its lane has; one that is being replaced counts with its replacement."""
    alike = [one for one in records.hosts(host.pool) if one.lane == host.lane and one.is_present]
    return len(alike) - len(pairs_of(alike))
