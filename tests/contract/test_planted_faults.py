"""The state machine finds faults that are planted, one at a time.

`python tests/contract/test_planted_faults.py` plants each of them several times, in random runs of
the machine's usual length, and prints how often it was found, and how soon.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings

from stoker.services.claims import claim_groups, claiming
from stoker.storage.postgres.dialect import statements
from stoker.storage.queries import queries
from stoker.storage.records.pending import Pending
from stoker.storage.records.runs import Runs
from stoker.testing.memory import leases, queues
from stoker.testing.memory import runs as runs_in_memory
from stoker.testing.state_machine import BOUNDED, Make, run_machine, two_empty_stores

Plant = Callable[[ExitStack], None]


@contextmanager
def planted(fault: str) -> Iterator[None]:
    """Have one of `FAULTS` in the code."""
    with ExitStack() as stack:
        FAULTS[fault](stack)
        yield


def _put(where: Any, name: str, what: Any) -> Plant:
    return lambda stack: stack.enter_context(patch.object(where, name, what))


def _edit(query: str, old: str, new: str) -> Plant:
    """Change the text of a query, for both databases."""

    def plant(stack: ExitStack) -> None:
        for texts in (queries(), statements()):
            for name in (query, f"{query}_many"):
                if old in texts.get(name, ""):
                    text = texts[name].replace(old, new)
                    stack.enter_context(patch.dict(texts, {name: text}))

    return plant


def _nothing(*_: object, **__: object) -> None:
    return None


def _apply_whatever_version(self: Any, transition: Any) -> bool:
    """`Runs._apply` without its compare."""
    known = self._known(transition.run_id)
    if known is None:
        return False
    self._pending.enter(self._session, transition)
    known.version += 1
    return True


def _end_without_inheritance(self: Any, session: Any, ended: list[Any]) -> None:
    session.run_many("unblock_freed", ended)
    session.run_many("drop_lease", ended)


def _leave_notes(self: Any, session: Any) -> None:
    """`Pending.write_notes` without the runs that are queued again."""
    self._queued.clear()
    _write_notes(self, session)


def _keep_first(self: Any, group: Any, place: Any) -> None:
    """`Pending.note` that keeps the last place in place of the first."""
    self._groups[group] = max(place, self._groups.get(group, place))


def _enter_without_due(tables: Any, run: Any) -> None:
    """The model's `enter`, which forgets that a group begins earlier now."""
    tables.groups.setdefault(queues.group_of(run), queues.Group(run.due, run.id))


_write_notes = Pending.write_notes

FAULTS: dict[str, Plant] = {
    # The writes that are noted first.
    "a run that is queued again is not noted in its claim group": _put(
        Pending, "write_notes", _leave_notes
    ),
    "a run that is moved or promoted is not noted in its claim group": _put(
        Pending, "note_run", _nothing
    ),
    "of the new runs of a claim group the last is noted": _put(Pending, "note", _keep_first),
    "keys that were lent are not inherited": _put(Pending, "_end", _end_without_inheritance),
    # The store's compare-and-set.
    "a change is applied to whichever version": _put(Runs, "_apply", _apply_whatever_version),
    "a change keeps the run's version": _edit(
        "change_run", "version = :new_version", "version = :new_version - 1"
    ),
    # SQL.
    "a claim group keeps its head when an older run enters": _edit(
        "note_run", "THEN excluded.head", "THEN claim_groups.head"
    ),
    "freed limits do not unblock": _edit("unblock_freed", "SET blocked = 0", "SET blocked = 1"),
    "borrowed keys are counted": _edit("deployment_use", "AND deployment_from IS NULL", ""),
    "a lease stays when its attempt ends": _edit(
        "drop_lease", "DELETE FROM leases WHERE", "DELETE FROM leases WHERE 1 = 0 AND"
    ),
    "promotion is by more than the time": _edit("promote", "due <=", "due <"),
    "a queue is in the order of ids alone": _edit("queued", "ORDER BY due, id", "ORDER BY id"),
    # The claim, on all stores alike.
    "a claim group that is used up hides the rest": _put(
        claim_groups.Group, "is_used_up", property(lambda _: False)
    ),
    "the head of a claim group is moved too far": _put(
        claim_groups, "_place", lambda run: (run.due + 1.0, run.id)
    ),
    "deployments have no limit": _put(claiming, "has_room", lambda limit, used: True),
    "a worker's limit is not looked at": _put(
        claiming._Claim, "_worker_has_room", lambda self, worker: True
    ),
    # Leases.
    "keys are borrowed of whoever lends, wherever it is": _put(claiming, "_borrow", _nothing),
    # The model.
    "the model lends a key twice": _put(leases, "KEYS", ("pool_from", "queue_from")),
    "the model's groups do not begin earlier": _put(runs_in_memory, "enter", _enter_without_due),
}
"""Each by what is wrong."""

CHEAP = (
    "a run that is queued again is not noted in its claim group",
    "of the new runs of a claim group the last is noted",
    "a change keeps the run's version",
    "borrowed keys are counted",
    "the head of a claim group is moved too far",
    "a worker's limit is not looked at",
    "the model lends a key twice",
)
"""Faults that are found at once, in each part of the code."""


def found(make: Make, bounds: settings) -> str:
    """How the machine finds what is wrong; empty where it does not."""
    try:
        run_machine(make, bounds=bounds)
    except Exception as error:
        # Whatever a fault makes of a step is a find.
        return repr(error)
    return ""


@pytest.mark.parametrize("fault", CHEAP)
def test_a_planted_fault_is_found(fault, two_stores):
    bounds = settings(BOUNDED, derandomize=True, database=None)
    with planted(fault):
        assert found(two_stores, bounds), fault


def main(times: int = 3) -> None:
    """Plant each fault so many times; print how often it was found, and in how many seconds."""
    for fault in FAULTS:
        seconds: list[float] = []
        for _ in range(times):
            with ExitStack() as stack:
                make = stack.enter_context(two_empty_stores())
                stack.enter_context(planted(fault))
                begun = perf_counter()
                if found(make, settings(BOUNDED, database=None)):
                    seconds.append(perf_counter() - begun)
        each = sum(seconds) / max(1, len(seconds))
        print(f"{len(seconds)} of {times}, {each:5.1f} s: {fault}", flush=True)


if __name__ == "__main__":
    main()
