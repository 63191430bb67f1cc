"""Changing a run's state: decide, apply, and what follows from it."""

from collections.abc import Sequence

from stoker.domain.errors import Outrun
from stoker.domain.runs import FlowRun
from stoker.domain.transitions import Command, Rejected, Wish, decide
from stoker.services.happening import run_entered
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
        unit.over.append((run, host_id))
        if run.state.is_terminal:
            unit.ended.append(run)
    return None


def end_inner(unit: Unit, inner: FlowRun, run: FlowRun) -> None:
    """End a run that was part of one that is over."""
    change(unit, inner, Wish(command=Command.CRASH, at=unit.now, message=part_of(run)))


def part_of(run: FlowRun) -> str:
    """Why a run ended whose process was that of another."""
    return f"the flow run that it was part of ended {run.state.name}"


def crash_all(unit: Unit, runs: Sequence[FlowRun], message: str) -> None:
    """End open runs whose process is gone. The end of one of them may end others."""
    for each in runs:
        run = unit.records.flow_run(each.id)
        if run is not None and not run.state.is_terminal:
            change(unit, run, Wish(command=Command.CRASH, at=unit.now, message=message))
