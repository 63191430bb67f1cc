"""Pauses, late runs, ends of task runs, moved and deleted runs, in every store."""

from typing import Any

import pytest

from stoker.domain.pauses import OUTSIDE, Pause, PauseEnd
from stoker.domain.runs import FlowRun, LogLine, TaskRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import Command, Transition, sources

S = StateType
LATE = StateRecord(S.SCHEDULED, "Late", 50.0, "it has waited")


def a_run(id: str, state: StateType = S.SCHEDULED, name: str = "", **fields: Any) -> FlowRun:
    record = StateRecord(state, name or state.title(), 1.0)
    known: dict[str, Any] = {"pool": "p", "queue": "q", "lane": "l", "deployment_id": "d"} | fields
    return FlowRun(id=id, name=id, flow_name="f", state=record, **known)


@pytest.fixture
def put(store):
    def put(*runs: FlowRun) -> None:
        store.write(lambda records: records.insert_runs(runs, [None] * len(runs))).result()

    return put


@pytest.fixture
def do(store):
    return lambda work: store.write(work).result()


def test_a_pause_is_open_until_it_is_said_how_it_ended(do):
    assert do(lambda records: records.pause("r", "k")) is None
    for key in ("k", OUTSIDE):
        pause = Pause(run_id="r", key=key)
        do(lambda records, pause=pause: records.put_pause(pause))
    do(lambda records: records.put_pause(Pause(run_id="other", key="k")))
    do(lambda records: records.end_pauses("r", PauseEnd.RESUMED))
    do(lambda records: records.put_pause(Pause(run_id="r", key="open")))
    do(lambda records: records.end_pauses("r", PauseEnd.EXPIRED))
    ends = {key: do(lambda records, key=key: records.pause("r", key)).end for key in ("k", "open")}
    assert ends == {"k": PauseEnd.RESUMED, "open": PauseEnd.EXPIRED}
    assert do(lambda records: records.pause("other", "k")).end is PauseEnd.OPEN
    do(lambda records: records.put_pause(Pause(run_id="r", key="k")))
    assert do(lambda records: records.pause("r", "k")).end is PauseEnd.OPEN
    do(lambda records: records.drop_pauses("r"))
    assert do(lambda records: records.pause("r", "k")) is None
    assert do(lambda records: records.pause("other", "k")) is not None


def test_pauses_that_are_overdue(put, do):
    put(
        a_run("b", S.PAUSED, "Paused", paused_until=7.0, host_id="h"),
        a_run("a", S.PAUSED, "Suspended", paused_until=8.0),
        a_run("c", S.PAUSED, "Suspending", paused_until=5.0, host_id="h"),
        a_run("d", S.PAUSED, "Paused", host_id="h"),
        a_run("e", S.PAUSED, "Paused", paused_until=9.0, host_id="h"),
    )
    assert do(lambda records: records.next_overdue()) == 7.0
    assert [run.id for run in do(lambda records: records.overdue_pauses(8.0, 10))] == ["b", "a"]
    assert [run.id for run in do(lambda records: records.overdue_pauses(8.0, 1))] == ["b"]


def test_without_pauses_none_is_overdue(do):
    assert do(lambda records: records.next_overdue()) is None


def test_runs_become_late_once_and_the_oldest_first(put, do):
    put(
        a_run("b", due=2.0, queued=True),
        a_run("a", due=1.0, queued=True),
        a_run("later", due=3.0),
        a_run("young", due=9.0, queued=True),
        a_run("going", S.PENDING, due=1.0),
    )
    known = sources(Command.LATE)

    def mark(limit: int) -> list[FlowRun]:
        return do(lambda records: records.mark_late(known, 5.0, LATE, limit))

    (first,) = mark(1)
    assert (first.id, first.state, first.version) == ("a", LATE, 1)
    assert [run.id for run in mark(10)] == ["b"]
    assert mark(10) == []
    assert do(lambda records: records.states("a")) == [LATE]
    assert do(lambda records: records.flow_run("young")).version == 0
    assert do(lambda records: records.flow_run("a")).queued


def test_what_a_transition_counts_is_kept(put, do):
    put(a_run("r", S.RUNNING, host_id="h"))
    change = Transition(
        run_id="r",
        version=0,
        state=StateRecord(S.PAUSED, "Paused", 2.0),
        attempt=1,
        run_count=1,
        host_id="h",
        crashes=2,
        paused_until=9.0,
    )
    assert do(lambda records: records.apply([change])) == [True]
    run = do(lambda records: records.flow_run("r"))
    assert (run.crashes, run.paused_until) == (2, 9.0)


def test_open_task_runs_end(do):
    def task(id: str, flow_run_id: str, state: StateType, ended: float | None) -> TaskRun:
        record = StateRecord(state, state.title(), 1.0)
        return TaskRun(
            id=id, flow_run_id=flow_run_id, task_name="t", name=id, state=record, ended=ended
        )

    tasks = [
        task("a", "r", S.RUNNING, None),
        task("b", "r", S.COMPLETED, 1.0),
        task("c", "other", S.RUNNING, None),
    ]
    end = StateRecord(S.CRASHED, "Crashed", 5.0, "its flow run crashed")
    do(lambda records: records.put_task_runs(tasks))
    do(lambda records: records.end_task_runs("r", end))
    found = {one.id: one for one in do(lambda records: records.task_runs("r"))}
    assert (found["a"].state, found["a"].ended) == (end, 5.0)
    assert found["b"] == tasks[1]
    assert do(lambda records: records.task_runs("other")) == [tasks[2]]


def test_a_run_is_moved(put, do):
    put(a_run("r", S.FAILED))
    do(lambda records: records.move_run("r", "p2", "q2", "l2"))
    run = do(lambda records: records.flow_run("r"))
    assert (run.pool, run.queue, run.lane) == ("p2", "q2", "l2")


def test_runs_that_are_shelved(put, do):
    put(
        a_run("queued", queued=True),
        a_run("later", queued=False),
        a_run("paused", S.PAUSED, "Paused", host_id="h"),
        a_run("suspended", S.PAUSED, "Suspended"),
        a_run("suspending", S.PAUSED, "Suspending", host_id="h"),
        a_run("other", S.PAUSED, "Suspended", deployment_id="e"),
        a_run("over", S.COMPLETED),
    )
    found = do(lambda records: records.shelved_runs("d"))
    assert {run.id for run in found} == {"later", "suspended", "suspending"}


def test_a_deleted_run_leaves_nothing_behind(put, do):
    put(
        a_run("r", S.COMPLETED),
        a_run("inner", S.COMPLETED, deployment_id=None, parent_run_id="r"),
        a_run("inmost", S.COMPLETED, deployment_id=None, parent_run_id="inner"),
        a_run("child", S.COMPLETED, parent_run_id="r"),
    )
    line = LogLine(at=1.0, level=20, logger="l", message="m")
    for run_id in ("r", "inner", "inmost", "child"):
        state = StateRecord(S.COMPLETED, "Completed", 1.0)
        task = TaskRun(id=f"t-{run_id}", flow_run_id=run_id, task_name="t", name="t", state=state)

        def fill(records, run_id=run_id, task=task) -> None:
            records.add_logs(run_id, [line])
            records.put_task_runs([task])
            records.put_pause(Pause(run_id=run_id, key="k"))

        do(fill)
    do(lambda records: records.delete_run("r"))
    for run_id in ("r", "inner", "inmost"):
        assert do(lambda records, run_id=run_id: records.flow_run(run_id)) is None
        assert do(lambda records, run_id=run_id: records.logs(run_id, 0, 10)) == []
        assert do(lambda records, run_id=run_id: records.task_runs(run_id)) == []
        assert do(lambda records, run_id=run_id: records.pause(run_id, "k")) is None
    assert do(lambda records: records.flow_run("child")) is not None
    assert len(do(lambda records: records.logs("child", 0, 10))) == 1
