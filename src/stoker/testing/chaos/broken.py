"""Stoker with a rule broken on purpose, to see that the checker finds out.

``python -m stoker.testing.chaos.broken RULE,RULE ...`` does what ``stoker ...`` does. `RULES` has
the rules.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

FORGOTTEN = 10
"""Every so many submissions one is forgotten."""


def _replace(owner: Any, name: str, value: Any) -> None:
    """Put something else in place of a module's or a class's own."""
    setattr(owner, name, value)


def _no_limits() -> None:
    """Nothing counts what is used of the limits of pools, queues and workers."""
    from stoker.ports.store import PoolUsage
    from stoker.storage.records.leases import Leases

    usage = Leases.usage

    def of_hosts_alone(self: Any, pool: str) -> PoolUsage:
        return PoolUsage(hosts=usage(self, pool).hosts)

    _replace(Leases, "usage", of_hosts_alone)


def _frames_twice() -> None:
    """A frame that was seen before is applied again."""
    from stoker.storage.records.runs import Runs

    advance = Runs.advance

    def always(self: Any, run_id: str, seq: int) -> bool:
        advance(self, run_id, seq)
        return True

    _replace(Runs, "advance", always)


def _silence_is_death() -> None:
    """A host that is silent for a lease is taken for dead."""
    from stoker.services.fleet import registering, sweeping

    def silent(unit: Any, host: Any, _: Any) -> bool:
        registering.lost(unit, host.id, "it is silent")
        return False

    _replace(sweeping, "_silent", silent)


def _early_answers() -> None:
    """Some submissions are acknowledged and not stored."""
    from stoker.domain.runs import FlowRun
    from stoker.storage.records.runs import Runs

    insert_runs = Runs.insert_runs
    count = 0

    def forgetful(self: Any, runs: Sequence[FlowRun], keys: Sequence[str | None]) -> None:
        nonlocal count
        count += 1
        if count % FORGOTTEN:
            insert_runs(self, runs, keys)

    _replace(Runs, "insert_runs", forgetful)


def _no_crash_retries() -> None:
    """A run whose attempt was lost crashes, also where it has crash retries left."""
    from stoker.services.runs import losing

    _replace(losing, "_again", _nothing)


def _lost_resumptions() -> None:
    """Who resumes a run is told that it goes on, and it does not."""
    from stoker.services.lookup import need_run
    from stoker.services.runs import pausing

    def pretend(unit: Any, run_id: str) -> Any:
        return need_run(unit.records, run_id)

    _replace(pausing, "resume", pretend)


def _lost_occurrences() -> None:
    """What a schedule brings is not stored."""
    from stoker.services.schedules import scheduler

    _replace(scheduler, "submit_occurrences", _nothing)


def _nothing(*_: object) -> None:
    """Do nothing."""


RULES: dict[str, Callable[[], None]] = {
    "no-limits": _no_limits,
    "frames-twice": _frames_twice,
    "silence-is-death": _silence_is_death,
    "early-answers": _early_answers,
    "no-crash-retries": _no_crash_retries,
    "lost-resumptions": _lost_resumptions,
    "lost-occurrences": _lost_occurrences,
}
"""Rules that can be broken."""


if __name__ == "__main__":
    for rule in sys.argv.pop(1).split(","):
        RULES[rule]()
    from stoker.cli.main import main

    main()
