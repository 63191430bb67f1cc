"""Taking in what running flows report: each frame once, in order, and of the current attempt."""

import pytest

from stoker.domain.anatomy import StartClass
from stoker.domain.reports import (
    AwaitingRetry,
    Finished,
    Frame,
    HandedOver,
    Logged,
    Started,
    SubflowCreated,
    TaskRunChanged,
)
from stoker.domain.runs import FlowRun, LogLine, TaskRun
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.services.fleet import registering


def line(text: str, **fields) -> LogLine:
    return LogLine(at=1.0, level=20, logger="stoker", message=text, **fields)


def ended(kind: StateType = StateType.COMPLETED, **fields) -> Finished:
    return Finished(StateRecord(kind, kind.title(), 1005.0, "so"), **fields)


def subflow(run_id: str, parent: str | None = None, **fields) -> FlowRun:
    state = StateRecord(StateType.RUNNING, "Running", 1001.0)
    return FlowRun(
        id=run_id,
        name="inner",
        flow_name="g",
        state=state,
        attempt=1,
        parent_run_id=parent,
        **fields,
    )


def task_run(run_id: str, kind: StateType, task_id: str = "t", **fields) -> TaskRun:
    state = StateRecord(kind, kind.title(), 1002.0)
    return TaskRun(
        id=task_id, flow_run_id=run_id, task_name="add", name="add-1", state=state, **fields
    )


def messages(world, run) -> list[str]:
    return [one.message for one in world.read(lambda records: records.logs(run.id, 0, 1000))]


@pytest.fixture
def run(world):
    """A run that its host has and that has not started."""
    world.host()
    return world.run(world.submit())


def test_a_run_starts_and_ends_as_it_reports(world, run):
    result = ResultRecord("json", b"42")
    world.report(run, Started(1001.0, name="named-42"))
    found = world.run(run)
    assert (found.state.type, found.started, found.run_count) == (StateType.RUNNING, 1001.0, 1)
    assert found.name == "named-42"
    world.report(run, ended(result=result))
    found = world.run(run)
    assert (found.state.type, found.state.message, found.ended) == (
        StateType.COMPLETED,
        "so",
        1005.0,
    )
    assert found.result == result
    assert world.lease(run) is None
    assert [one.id for one in world.last.ended] == [run.id]
    assert world.states(run) == ["Pending", "Running", "Completed"]


def test_a_retry_is_counted_and_keeps_the_first_start(world, run):
    world.report(run, Started(1001.0), AwaitingRetry(1002.0, "boom; again in 1 s"))
    assert world.run(run).state.message == "boom; again in 1 s"
    world.report(run, Started(1003.0, run_count=2))
    found = world.run(run)
    assert (found.run_count, found.started, found.anatomy.first_line) == (2, 1001.0, 1001.0)
    assert world.states(run) == ["Pending", "Running", "AwaitingRetry", "Retrying"]


@pytest.mark.parametrize("attempt", [0, 1, 3])
def test_frames_of_another_attempt_change_nothing(world, run, attempt):
    world.do(lambda unit: registering.release(unit, [(run.id, 1)]))
    before = world.run(run)
    assert before.attempt == 2
    reports = [Started(1.0), Logged([line("x")]), ended()]
    reports.append(TaskRunChanged(task_run(run.id, StateType.RUNNING)))
    world.frames(Frame(run.id, attempt, 9, reports))
    assert world.run(run) == before
    assert messages(world, run) == []
    assert world.read(lambda records: records.task_runs(run.id)) == []


def test_a_frame_that_was_seen_is_dropped_and_numbers_begin_anew_with_an_attempt(world, run):
    first = Frame(run.id, 1, 1, [Logged([line("one")])])
    second = Frame(run.id, 1, 2, [Logged([line("two")])])
    world.frames(first, second, first)
    world.frames(second)
    assert messages(world, run) == ["one", "two"]
    world.do(lambda unit: registering.release(unit, [(run.id, 1)]))
    world.frames(Frame(run.id, 2, 1, [Logged([line("three")])]))
    assert messages(world, run) == ["one", "two", "three"]


def test_frames_of_an_unknown_run_are_dropped(world):
    world.frames(Frame("nobody", 1, 1, [Logged([line("x")]), ended()]))
    assert world.run("nobody") is None


def test_logs_and_task_runs_after_the_end_are_kept_and_states_are_not(world, run):
    world.start(run)
    world.finish(run)
    late = task_run(run.id, StateType.COMPLETED, ended=1.0)
    world.report(
        run,
        Logged([line("late", task_run_id="t")]),
        TaskRunChanged(late),
        Started(9.0, 2),
        ended(StateType.FAILED),
    )
    assert messages(world, run) == ["late"]
    assert world.read(lambda records: records.task_runs(run.id)) == [late]
    assert world.run(run).state.type is StateType.COMPLETED
    assert world.states(run) == ["Pending", "Running", "Completed"]
    assert world.last.ended == []
    assert world.last.logged == {run.id}


def test_logs_keep_their_order_across_frames_and_tell_who_wrote_them(world, run):
    world.frames(
        Frame(run.id, 1, 1, [Logged([line("1"), line("2", task_run_id="t")]), Started(1.0)]),
        Frame(run.id, 1, 2, [Logged([line("3")])]),
    )
    stored = world.read(lambda records: records.logs(run.id, 0, 1000))
    assert [(one.message, one.task_run_id) for one in stored] == [
        ("1", None),
        ("2", "t"),
        ("3", None),
    ]
    assert [one.id for one in stored] == sorted(one.id for one in stored)
    rest = world.read(lambda records: records.logs(run.id, stored[0].id, 1))
    assert [one.message for one in rest] == ["2"]


def test_a_task_run_that_is_over_stays_as_it_is(world, run):
    over = task_run(run.id, StateType.COMPLETED, ended=1003.0, run_count=1)
    world.report(run, TaskRunChanged(task_run(run.id, StateType.RUNNING)))
    world.report(run, TaskRunChanged(over))
    world.report(run, TaskRunChanged(task_run(run.id, StateType.RUNNING)))
    assert world.read(lambda records: records.task_runs(run.id)) == [over]


def test_the_start_anatomy_is_put_together_and_classified(world, run):
    world.report(
        run,
        HandedOver(received=1000.2, handed_over=1000.4, imported=1000.3, import_seconds=0.1),
        Started(1000.5),
    )
    anatomy = world.run(run).anatomy
    assert (anatomy.submitted, anatomy.claimed) == (1000.0, 1000.0)
    assert (anatomy.received, anatomy.imported, anatomy.import_seconds) == (1000.2, 1000.3, 0.1)
    assert (anatomy.handed_over, anatomy.first_line, anatomy.seconds) == (1000.4, 1000.5, 0.5)
    assert anatomy.start_class is StartClass.WARM


def test_a_hot_start_imports_nothing(world, run):
    world.report(run, HandedOver(received=1000.2, handed_over=1000.4))
    assert world.run(run).anatomy.start_class is StartClass.HOT


def test_a_run_that_waited_for_its_host_started_cold(world):
    run = world.submit()
    world.now += 5
    world.host()
    world.report(run, HandedOver(received=1005.2, handed_over=1005.4, imported=1005.3))
    assert world.run(run).anatomy.start_class is StartClass.COLD


def test_a_subflow_is_created_once_with_the_host_of_its_process(world, run):
    world.start(run)
    created = Frame("s", 1, 1, [SubflowCreated(subflow("s", run.id)), Started(1001.5)])
    world.frames(created)
    world.frames(created, Frame("s", 1, 2, [ended()]), created)
    found = world.run("s")
    assert (found.state.type, found.host_id, found.parent_run_id) == (
        StateType.COMPLETED,
        "h",
        run.id,
    )
    assert found.started == 1001.5
    assert world.states(found) == ["Running", "Completed"]
    assert world.lease("s") is None


def test_a_subflow_that_is_open_when_its_parent_ends_has_crashed(world, run):
    world.start(run)
    world.frames(
        Frame("s", 1, 1, [SubflowCreated(subflow("s", run.id)), Started(1.0)]),
        Frame("t", 1, 1, [SubflowCreated(subflow("t", "s")), Started(1.0)]),
        Frame("u", 1, 1, [SubflowCreated(subflow("u", "s")), Started(1.0), ended()]),
    )
    world.finish(run, StateType.FAILED)
    for inner in ("s", "t"):
        assert world.state(inner) is StateType.CRASHED
        assert "part of ended" in world.run(inner).state.message
    assert world.state("u") is StateType.COMPLETED


def test_a_subflow_whose_beginning_comes_after_its_parents_end_does_not_stay_open(world, run):
    """What a dead host had spooled arrives after its runs were given up."""
    world.start(run)
    world.do(lambda unit: registering.lost(unit, "h", "killed"))
    world.frames(
        Frame("s", 1, 1, [SubflowCreated(subflow("s", run.id)), Started(1.0)]),
        Frame("t", 1, 1, [SubflowCreated(subflow("t", "s")), Started(1.0)]),
        Frame("u", 1, 1, [SubflowCreated(subflow("u", run.id)), Started(1.0), ended()]),
    )
    assert world.state("s") is StateType.CRASHED
    assert world.state("t") is StateType.CRASHED
    assert world.state("u") is StateType.COMPLETED, "it is known how it ended"


def test_a_script_names_the_host_of_its_runs_itself(world):
    world.frames(Frame("s", 1, 1, [SubflowCreated(subflow("s", host_id="script"))]), host=None)
    assert world.run("s").host_id == "script"
    assert [one.id for one in world.read(lambda records: records.open_runs_of("script"))] == ["s"]


def test_what_a_subflow_reports_after_its_parents_end_in_one_batch_is_ignored(world, run):
    """It must not make the batch fail: the host would send it again for ever."""
    world.start(run)
    world.frames(
        Frame("s", 1, 1, [SubflowCreated(subflow("s", run.id)), Started(1.0)]),
        Frame("t", 1, 1, [SubflowCreated(subflow("t", "s")), Started(1.0)]),
        Frame(run.id, 1, 100, [ended(StateType.FAILED)]),
        Frame("t", 1, 2, [Logged([line("late")]), ended()]),
        Frame("s", 1, 2, [ended()]),
    )
    assert [world.state(one) for one in (run, "s", "t")] == [
        StateType.FAILED,
        StateType.CRASHED,
        StateType.CRASHED,
    ]
    assert [one.message for one in world.read(lambda records: records.logs("t", 0, 9))] == ["late"]
