"""Whether more executed at a time than a limit allows: by the ledger, and by the store's leases."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stoker.testing.chaos.history import Entry, History, Violation, placed

RULE = "more executed at a time than a limit allows"

PAUSES = frozenset({"waits", "end", "raised", "broken off"})
"""After these a flow does not execute, until its next line says otherwise."""


class Use(NamedTuple):
    """From when to when a run used so many slots of something, in seconds since boot."""

    begin: float
    end: float
    slots: int
    run: str


def check_limits(history: History) -> Iterator[Violation]:
    """Compare the use of each limit with it."""
    uses = uses_of(history)
    for name, limit in history.limits.items():
        peak = _peak(uses.get(name, ()))
        if peak is not None and sum(use.slots for use in peak) > limit:
            yield Violation(
                rule=RULE, run=peak[0].run, evidence={"limit": name, "is": limit, "uses": peak}
            )
        worst = max(history.samples, key=lambda one: one.used.get(name, 0), default=None)
        if worst is not None and worst.used.get(name, 0) > limit:
            evidence = {"limit": name, "is": limit, "leases": worst.used[name], "at": worst.at}
            yield Violation(rule=RULE, evidence=evidence)


def uses_of(history: History) -> dict[str, list[Use]]:
    """Return what the ledger says of each limit's use.

    A process that was killed executed until its last line at least.
    """
    processes: dict[tuple[str, int, int], list[Entry]] = defaultdict(list)
    for entry in history.ledger:
        processes[entry.run, entry.pid, entry.started].append(entry)
    uses: dict[str, list[Use]] = defaultdict(list)
    for (run_id, _, _), entries in processes.items():
        run = history.runs.get(run_id)
        worker = history.workers.get(placed(run_id, entries[0].attempt))
        for begin, end in _executing(entries):
            use = Use(begin, end, 1, run_id)
            uses["pool"].append(use)
            if worker is not None:
                uses[f"worker {worker}"].append(use)
            if run is not None:
                uses[f"queue {run.queue}"].append(use)
                uses[f"deployment {run.deployment}"].append(use)
        for name, use in _taken(entries):
            uses[name].append(use)
    return uses


def _executing(entries: Sequence[Entry]) -> Iterator[tuple[float, float]]:
    begin: float | None = None
    last = 0.0
    for entry in entries:
        if begin is None and entry.what not in PAUSES:
            begin = entry.at
        if begin is not None and entry.what in PAUSES:
            yield begin, entry.at
            begin = None
        last = entry.at
    if begin is not None:
        yield begin, last


def _taken(entries: Sequence[Entry]) -> Iterator[tuple[str, Use]]:
    """What was taken of named limits; ``detail`` is the name and the number of slots."""
    open_uses: dict[str, Use] = {}
    for entry in entries:
        if entry.what == "takes":
            name, slots = entry.detail
            open_uses[name] = Use(entry.at, entry.at, slots, entry.run)
        elif entry.what == "frees" and entry.detail[0] in open_uses:
            name = entry.detail[0]
            yield name, open_uses.pop(name)._replace(end=entry.at)
    for name, use in open_uses.items():
        yield name, use._replace(end=entries[-1].at)


def _peak(uses: Sequence[Use]) -> list[Use] | None:
    """The uses at the moment when most is used; None where nothing is ever."""
    uses = [use for use in uses if use.begin < use.end]
    moments = sorted(
        [(use.begin, 1, number) for number, use in enumerate(uses)]
        + [(use.end, 0, number) for number, use in enumerate(uses)]
    )
    present: set[int] = set()
    worst: set[int] = set()
    used = most = 0
    for _, begins, number in moments:
        if begins:
            present.add(number)
            used += uses[number].slots
            if used > most:
                most, worst = used, set(present)
        else:
            present.discard(number)
            used -= uses[number].slots
    return [uses[number] for number in sorted(worst)] or None
