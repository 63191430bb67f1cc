"""The checker of the chaos harness, on histories that were made up: it finds each broken rule."""

from collections.abc import Callable

import pytest

from stoker.domain.states import StateType
from stoker.testing.chaos.checker import check
from stoker.testing.chaos.history import (
    Entry,
    History,
    Register,
    Sample,
    Still,
    StoredRun,
    Submission,
    instants,
)

LINES = 3


def entry(what: str, at: float, run: str = "a", attempt: int = 1, **more: object) -> Entry:
    """A line of the ledger; each attempt has a process of its own."""
    values = {"count": 1, "pid": 100 + attempt, "started": 7, "detail": None, **more}
    return Entry(what=what, run=run, attempt=attempt, at=at, **values)  # pyright: ignore


def good() -> History:
    """Two runs, one after the other: the second was cancelled; nothing is wrong."""
    runs = [
        StoredRun(
            id=one,
            deployment="f/d",
            queue="narrow",
            token=f"token-{one}",
            state=state,
            attempt=1,
            key=f"key-{one}",
            result=f"token-{one}" if state is StateType.COMPLETED else None,
        )
        for one, state in (("a", StateType.COMPLETED), ("b", StateType.CANCELLED))
    ]
    begun = [StateType.PENDING, StateType.RUNNING]
    return History(
        ledger=[
            entry("start", 1.0),
            entry("waits", 1.2),
            entry("start", 1.3, "b", pid=200),
            entry("tick", 1.4, "b", pid=200),
            entry("goes on", 1.5),
            entry("end", 2.0),
        ],
        submissions=[
            Submission(key="key-a", token="token-a", run_id="a"),
            Submission(key="key-b", token="token-b"),
        ],
        cancels={"b"},
        registers={"r": Register(acknowledged=4, asked=5)},
        stored_registers={"r": 5},
        runs={run.id: run for run in runs},
        states={
            "a": [*begun, StateType.COMPLETED],
            "b": [*begun, StateType.CANCELLING, StateType.CANCELLED],
        },
        logs={
            "a": ["1/1: line 0", "something else", "1/1: line 1", "1/1: line 2"],
            "b": ["1/1: line 0"],
        },
        limits={"pool": 1, "queue narrow": 1, "db": 2, "worker w": 1},
        workers={"a 1": "w", "b 1": "w"},
        samples=[Sample(at=1.0, used={"pool": 1})],
        over_since={"a": 2.1, "b": 1.5},
        occurrences={"s": instants(10.0, 10.0, 24.0, [10.0, 20.0])},
        fired={"s": [10.0, 20.0]},
        lines=LINES,
    )


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert check(good()) == []
    assert check(History()) == []


def second_end(history: History) -> None:
    history.states["a"].append(StateType.FAILED)


def no_end(history: History) -> None:
    history.states["b"].pop()
    history.runs["b"].state = StateType.CANCELLING


def lost_run(history: History) -> None:
    del history.runs["a"]
    history.ledger.clear()


def other_run(history: History) -> None:
    history.runs["a"].key = "another"


def doubled_run(history: History) -> None:
    history.runs["b"].token = "token-a"


def lost_write(history: History) -> None:
    history.stored_registers["r"] = 3


def lost_cancellation(history: History) -> None:
    history.states["b"] = [StateType.PENDING, StateType.RUNNING]


def overlap(history: History) -> None:
    history.ledger.append(entry("start", 1.9, attempt=2))


def twice(history: History) -> None:
    history.ledger.append(entry("start", 2.05, pid=300))


def beyond(history: History) -> None:
    history.ledger.append(entry("tick", 1.6, "b", pid=200))
    history.limits.clear()


def never_executed(history: History) -> None:
    history.ledger.pop()


def wrong_result(history: History) -> None:
    history.runs["a"].result = "token-b"


def too_many(history: History) -> None:
    history.ledger.remove(next(one for one in history.ledger if one.what == "waits"))


def too_many_leases(history: History) -> None:
    history.samples.append(Sample(at=2.0, used={"queue narrow": 2}))


def too_many_on_a_worker(history: History) -> None:
    too_many(history)
    del history.limits["pool"], history.limits["queue narrow"]


def too_many_leases_of_a_worker(history: History) -> None:
    history.samples.append(Sample(at=2.0, used={"worker w": 2}))


def no_new_attempt(history: History) -> None:
    history.runs["b"].state = StateType.CRASHED
    history.states["b"] = [StateType.PENDING, StateType.RUNNING, StateType.CRASHED]
    history.crash_retries["f/d"] = 1


def too_many_retries(history: History) -> None:
    history.crash_retries["f/d"] = 1
    history.crashes["b"] = 2


def attempt_for_no_reason(history: History) -> None:
    history.ledger.append(entry("start", 2.05, "b", attempt=2))
    history.over_since["b"] = 2.1


def lost_pause(history: History) -> None:
    history.held.add("a")


def lost_resumption(history: History) -> None:
    held(history)
    history.resumed["b"] = 2


def held(history: History) -> None:
    """Run b was paused, and went on: nothing is wrong."""
    history.held.add("b")
    history.resumed["b"] = 1
    history.states["b"][2:2] = [StateType.PAUSED, StateType.RUNNING]


def executing_while_suspended(history: History) -> None:
    history.stills.append(Still(run="b", begin=1.35, end=1.45))


def too_much_of_a_name(history: History) -> None:
    history.ledger.insert(1, entry("takes", 1.1, detail=["db", 2]))
    history.ledger.insert(4, entry("takes", 1.35, "b", pid=200, detail=["db", 1]))


def gap(history: History) -> None:
    history.logs["a"].remove("1/1: line 1")


def lost_tail(history: History) -> None:
    history.logs["a"].pop()


def lost_call(history: History) -> None:
    history.ledger.insert(5, entry("raised", 1.9))
    history.ledger[-1] = entry("end", 2.0, count=2)


def doubled_line(history: History) -> None:
    history.logs["b"].append("1/1: line 0")


def earlier_attempt_late(history: History) -> None:
    history.logs["b"] = ["2/1: line 0", "1/1: line 0"]


def lost_occurrence(history: History) -> None:
    history.fired["s"].pop()


def never_fired(history: History) -> None:
    del history.fired["s"]


def doubled_occurrence(history: History) -> None:
    history.fired["s"].append(10.0)


def left(history: History) -> None:
    history.left.append("lease of run a")


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (second_end, "not exactly one terminal state"),
        (no_end, "not exactly one terminal state"),
        (lost_run, "submission is gone"),
        (other_run, "submission is gone"),
        (doubled_run, "stored twice"),
        (lost_write, "write is gone"),
        (lost_cancellation, "cancellation is gone"),
        (overlap, "two attempts of a run overlap"),
        (twice, "attempt of a run has executed twice"),
        (beyond, "although it is over"),
        (never_executed, "did not execute to its end"),
        (wrong_result, "has another's result"),
        (too_many, "than a limit allows"),
        (too_many_leases, "than a limit allows"),
        (too_much_of_a_name, "than a limit allows"),
        (too_many_on_a_worker, "than a limit allows"),
        (too_many_leases_of_a_worker, "than a limit allows"),
        (no_new_attempt, "lost attempt gave no new one"),
        (too_many_retries, "more often than its crash retries"),
        (attempt_for_no_reason, "more attempts than there was reason for"),
        (lost_pause, "acknowledged pause is gone"),
        (lost_resumption, "acknowledged resumption is gone"),
        (executing_while_suspended, "although it is suspended"),
        (gap, "gap or a double"),
        (lost_tail, "gap or a double"),
        (lost_call, "gap or a double"),
        (doubled_line, "gap or a double"),
        (earlier_attempt_late, "gap or a double"),
        (lost_occurrence, "lost or doubled"),
        (never_fired, "lost or doubled"),
        (doubled_occurrence, "lost or doubled"),
        (left, "left when all is quiet"),
    ],
)
def test_what_is_wrong_is_found(fault: Callable[[History], None], rule: str) -> None:
    history = good()
    fault(history)
    assert any(rule in found.rule for found in check(history)), check(history)


def test_a_killed_childs_unsent_lines_are_no_gap() -> None:
    history = good()
    history.runs["a"].state = StateType.CRASHED
    history.states["a"][-1] = StateType.CRASHED
    history.logs["a"] = ["1/1: line 0", "1/1: line 1"]
    assert check(history) == []


def test_attempts_that_had_their_reasons_are_right() -> None:
    history = good()
    held(history)
    history.crash_retries["f/d"] = 1
    history.crashes["b"] = history.resumptions["b"] = 1
    history.ledger[4:4] = [entry("start", 1.41, "b", attempt=2), entry("start", 1.42, "b", 3)]
    history.stills.append(Still(run="b", begin=1.405, end=1.41))
    assert check(history) == []


def test_the_last_occurrence_of_an_active_schedule_is_expected() -> None:
    assert instants(10.0, 10.0, 39.9, [10.0, 20.0]) == [10.0, 20.0, 30.0]
    assert instants(10.0, 10.0, 15.0, [10.0, 20.0]) == [10.0, 20.0], "a clock was ahead"
    assert instants(10.0, 10.0, 15.0, []) == [10.0], "although it never fired"
    assert len(instants(0.1, 0.1, 0.3 - 1e-12, [])) == 3, "0.3 less a rounding error is 0.3"
