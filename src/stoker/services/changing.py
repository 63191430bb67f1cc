"""Changing a run's state: decide, apply, and what follows from it."""

from collections.abc import Sequence

from stoker.domain.errors import Outrun
from stoker.domain.hosts import Host, HostState
from stoker.domain.runs import FlowRun
from stoker.domain.transitions import Command, Rejected, Wish, decide
from stoker.ports.store import Records
from stoker.services import lending, limiting
from stoker.services.happening import run_entered
from stoker.services.replacing import pairs_of
from stoker.services.unit import Unit


def change(unit: Unit, run: FlowRun, wish: Wish) -> Rejected | None:
    """Make a wish come true, in the store and in ``run``; or say why not.

    Raises:
        Outrun: Somebody else changed the run since it was read.
    """
    decided = decide(run, wish)
    if isinstance(decided, Rejected):
        return decided
    host_id = run.host_id
    if decided.ends_attempt and run.pool is not None:
        # What it gives back, others count.
        unit.records.lock(f"pool:{run.pool}")
    (applied,) = unit.records.apply([decided])
    if not applied:
        raise Outrun(f"flow run {run.id} was changed by somebody else; read it again")
    run.state = decided.state
    run.version += 1
    run.attempt = decided.attempt
    run.run_count = decided.run_count
    run.host_id = decided.host_id
    run.due, run.queued = decided.due, decided.queued
    run.crashes, run.paused_until = decided.crashes, decided.paused_until
    if decided.first_start:
        run.started = decided.state.at
    run.ended = decided.state.at if decided.state.is_terminal else None
    run.result = decided.result
    run_entered(unit, run)
    if decided.ends_attempt:
        _attempt_ended(unit, run, host_id)
    return None


def _attempt_ended(unit: Unit, run: FlowRun, host_id: str | None) -> None:
    if run.deployment_id is not None:
        limiting.attempt_ended(unit, run.id)
    if run.pool is not None:
        unit.claimable.add(run.pool)
        unit.demand.add(run.pool)
        if host_id is not None:
            _slot_freed(unit, run.pool, host_id)
    if run.state.is_terminal:
        unit.ended.append(run)
        _end_subflows(unit, run)
        lending.run_ended(unit, run)
    lending.given_back(unit)


def _end_subflows(unit: Unit, run: FlowRun) -> None:
    """What ran in the process of a run that is over is over too."""
    crash_all(unit, unit.records.open_subflows(run.id), _part_of(run))


def end_inner(unit: Unit, inner: FlowRun, run: FlowRun) -> None:
    """End a run that was part of one that is over."""
    change(unit, inner, Wish(command=Command.CRASH, at=unit.now, message=_part_of(run)))


def _part_of(run: FlowRun) -> str:
    return f"the flow run that it was part of ended {run.state.name}"


def crash_all(unit: Unit, runs: Sequence[FlowRun], message: str) -> None:
    """End open runs whose process is gone. The end of one of them may end others."""
    for each in runs:
        run = unit.records.flow_run(each.id)
        if run is not None and not run.state.is_terminal:
            change(unit, run, Wish(command=Command.CRASH, at=unit.now, message=message))


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
