"""Changing a run's state: decide, apply, and what follows from it."""

from collections.abc import Sequence

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.errors import Outrun
from stoker.domain.runs import FlowRun
from stoker.domain.states import TERMINAL, StateRecord, StateType
from stoker.domain.transitions import Command, Rejected, Wish, decide
from stoker.services.events.happening import run_entered
from stoker.services.unit import Unit

EXECUTED = frozenset({StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING})
"""States from which an attempt may leave something open."""
ANEW = frozenset({Command.RECOVER, Command.RESUME, Command.RERUN})
"""Commands that, where they make a run scheduled, lead to another attempt."""


def change(unit: Unit, run: FlowRun, wish: Wish) -> Rejected | None:
    """Make a wish come true, in the store and in ``run``; or say why not.

    Raises:
        Outrun: Somebody else changed the run since it was read.
    """
    decided = decide(run, wish)
    if isinstance(decided, Rejected):
        return decided
    before, host_id = run.state.type, run.host_id
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
        unit.over.append((run, None if before in TERMINAL else host_id))
        if run.state.is_terminal:
            unit.ended.append(run)
        if before in EXECUTED and run.state.type is not StateType.COMPLETED:
            unit.broken.append(run)
        if wish.command in ANEW:
            _begin_anew(unit, run)
    return None


def closing_state(run: FlowRun) -> StateRecord:
    """How the open task runs of a run end whose attempt is over."""
    kind = StateType.CRASHED
    if run.state.type in (StateType.CANCELLED, StateType.PAUSED):
        kind = StateType.CANCELLED
    return StateRecord(kind, kind.title(), run.state.at, part_of(run))


def _begin_anew(unit: Unit, run: FlowRun) -> None:
    """Its next attempt has a start of its own."""
    run.anatomy = StartAnatomy(submitted=max(run.state.at, run.due))
    unit.records.set_anatomy(run.id, run.anatomy)
    unit.scheduled |= not run.queued


def end_inner(unit: Unit, inner: FlowRun, run: FlowRun) -> None:
    """End a run that was part of one that is over."""
    change(unit, inner, Wish(command=Command.CRASH, at=unit.now, message=part_of(run)))


def part_of(run: FlowRun) -> str:
    """Why something ended that was part of a run whose attempt is over."""
    if run.state.is_terminal:
        return f"the flow run that it was part of ended {run.state.name}"
    return f"the attempt that it was part of is over: its flow run is {run.state.name}"


def crash_all(unit: Unit, runs: Sequence[FlowRun], message: str) -> None:
    """End open runs whose process is gone. The end of one of them may end others."""
    for each in runs:
        run = unit.records.flow_run(each.id)
        if run is not None and not run.state.is_terminal:
            change(unit, run, Wish(command=Command.CRASH, at=unit.now, message=message))
