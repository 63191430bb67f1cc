"""Pruning by age, a small step at a time: each is one short transaction."""

from collections.abc import Callable

from msgspec import Struct, field

from stoker.services.operations.rolling_up import roll_up
from stoker.services.unit import Unit

RUNS = 50
"""Runs that one step deletes."""
LINES = 2_000
"""Log lines or events that one step deletes."""


class Ages(Struct, frozen=True, kw_only=True):
    """What is pruned: what is older than so many seconds; None keeps it."""

    runs: float | None = None
    logs: float | None = None
    events: float | None = None


class Pruned(Struct, kw_only=True):
    """What was deleted.

    Attributes:
        runs: How many runs, with their states, task runs and logs.
        logs: How many log lines of runs that stay.
        events: How many events.
        files: Files below the results folder that nobody needs any more.
        more: Whether there may be more to delete.
    """

    runs: int = 0
    logs: int = 0
    events: int = 0
    files: list[str] = field(default_factory=list[str])
    more: bool = False

    def add(self, other: "Pruned") -> None:
        """Count another step's, too."""
        self.runs += other.runs
        self.logs += other.logs
        self.events += other.events
        self.files += other.files


Step = Callable[[Unit], Pruned]


def steps(ages: Ages) -> list[Step]:
    """Return what there is to do; each is repeated until there is no more."""
    found: list[Step] = []
    runs, logs, events = ages.runs, ages.logs, ages.events
    if runs is not None:
        found.append(lambda unit: prune_runs(unit, unit.now - runs))
        found.append(lambda unit: prune_backfills(unit, unit.now - runs))
    if logs is not None:
        found.append(lambda unit: prune_logs(unit, unit.now - logs))
    if events is not None:
        found.append(lambda unit: prune_events(unit, unit.now - events))
        found.append(lambda unit: prune_outbox(unit, unit.now - events))
    return found


def prune_runs(unit: Unit, before: float) -> Pruned:
    """Delete some runs that ended before a time, after they are counted in the rollups.

    A run that an open one needs stays. One with a long log goes in several steps.
    """
    records = unit.records
    ids = records.prunable_runs(before, RUNS)
    roll_up(unit, ids)
    pruned = Pruned(more=len(ids) == RUNS)
    lines = LINES
    for run_id in ids:
        lines -= records.prune_logs_of(run_id, lines)
        if lines <= 0:
            pruned.more = True
            break
        run = records.flow_run(run_id)
        if run is None or not records.prune_run(run_id, before):
            continue
        pruned.runs += 1
        if run.result is not None and run.result.file:
            pruned.files.append(run.result.file)
    return pruned


def prune_logs(unit: Unit, before: float) -> Pruned:
    """Delete some log lines from before a time, whatever run they are of."""
    count = unit.records.prune_logs(before, LINES)
    return Pruned(logs=count, more=count == LINES)


def prune_events(unit: Unit, before: float) -> Pruned:
    """Delete some events from before a time."""
    count = unit.records.prune_events(before, LINES)
    return Pruned(events=count, more=count == LINES)


def prune_outbox(unit: Unit, before: float) -> Pruned:
    """Delete some of what automations had done before a time."""
    return Pruned(more=unit.records.prune_outbox(before, LINES) == LINES)


def prune_backfills(unit: Unit, before: float) -> Pruned:
    """Delete some backfills from before a time, once their runs are deleted."""
    return Pruned(more=unit.records.prune_backfills(before, LINES) == LINES)


def count(unit: Unit, ages: Ages) -> Pruned:
    """Count what there is to delete now."""
    records, found = unit.records, Pruned()
    if ages.runs is not None:
        found.runs = records.count_prunable(unit.now - ages.runs)
    if ages.logs is not None:
        found.logs = records.count_logs(unit.now - ages.logs)
    if ages.events is not None:
        found.events = records.count_events(unit.now - ages.events)
    return found
