"""Whether each attempt had its reason: a lost one makes a new one, and so does a resumption."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from stoker.domain.states import TERMINAL, StateType
from stoker.testing.chaos.history import Entry, History, Violation

GOES_ON = frozenset({StateType.RUNNING, StateType.SCHEDULED})
"""What a paused or suspended run is after it was resumed."""


def check_attempts(history: History) -> Iterator[Violation]:
    """A lost attempt gives a new one as long as crash retries are left, and nothing else does."""
    executed: dict[str, set[int]] = defaultdict(set)
    for entry in history.ledger:
        executed[entry.run].add(entry.attempt)
    for run in history.runs.values():
        retries = history.crash_retries.get(run.deployment, 0)
        crashes = history.crashes.get(run.id, 0)
        reasons = 1 + crashes + history.resumptions.get(run.id, 0)
        broken = ""
        if crashes > retries:
            broken = "a run was queued again more often than its crash retries allow"
        elif run.state is StateType.CRASHED and crashes < retries:
            broken = "a lost attempt gave no new one although crash retries were left"
        elif len(executed[run.id]) > reasons:
            broken = "a run executed in more attempts than there was reason for"
        if broken:
            yield Violation(
                rule=broken,
                run=run.id,
                evidence={
                    "deployment": run.deployment,
                    "crash retries": retries,
                    "crashes": crashes,
                    "executed attempts": sorted(executed[run.id]),
                    "states": history.states.get(run.id, []),
                },
            )


def check_holds(history: History) -> Iterator[Violation]:
    """Acknowledged pauses, suspensions and resumptions happened; who is suspended stands still."""
    for run_id in sorted(history.held):
        states = history.states.get(run_id, [])
        if StateType.PAUSED not in states:
            yield Violation(rule="an acknowledged pause is gone", run=run_id, evidence=states)
    for run_id, count in history.resumed.items():
        states = history.states.get(run_id, [])
        went_on = sum(
            before is StateType.PAUSED and after in GOES_ON for before, after in pairwise(states)
        )
        if went_on < count and not set(states) <= TERMINAL:
            yield Violation(
                rule="an acknowledged resumption is gone",
                run=run_id,
                evidence={"acknowledged": count, "states": states},
            )
    suspended = {still.run for still in history.stills}
    lines: dict[str, list[Entry]] = defaultdict(list)
    for entry in history.ledger:
        if entry.run in suspended:
            lines[entry.run].append(entry)
    for still in history.stills:
        during = [one for one in lines[still.run] if still.begin < one.at < still.end]
        if during:
            yield Violation(
                rule="a run executes although it is suspended",
                run=still.run,
                evidence={"suspended": still, "lines": during[:3]},
            )
