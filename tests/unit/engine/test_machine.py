"""The step machine, with the test as its driver: no clock, no threads, no I/O."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from stoker.domain.reports import AwaitingRetry, Report, Started, TaskRunChanged
from stoker.domain.states import StateType
from stoker.engine import resolve
from stoker.engine.backends import NULL
from stoker.engine.context import FlowContext, TaskContext
from stoker.engine.interrupts import RunCancelled
from stoker.engine.machine import (
    MESSAGE_LIMIT,
    FlowAttempts,
    TaskAttempts,
    attempts,
    one_line,
    task_steps,
)
from stoker.engine.parameters import Signature
from stoker.engine.retries import NEVER, RetryPolicy
from stoker.engine.steps import Call, Note, Outcome, Settle, Sleep, Steps, Tell


@pytest.fixture(autouse=True)
def no_placeholders(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has made no future and no state yet."""
    monkeypatch.setattr(resolve, "active", lambda: False)


class Plan:
    def __init__(
        self, retries: RetryPolicy = NEVER, timeout: float | None = None, condition: Any = None
    ) -> None:
        self.retries = retries
        self.timeout = timeout
        self.retry_condition = condition
        self.hooks: Mapping[StateType, Sequence[Callable[..., Any]]] = {}


class Stage:
    """Plays the driver: time stands still except in sleeps, calls answer from a script."""

    def __init__(self, script: list[Any]) -> None:
        self.script = script
        self.time = 100.0
        self.done: list[str] = []
        self.reports: list[Report] = []
        self.calls: list[Call] = []
        self.slept: list[Sleep] = []
        self.settled: list[Settle] = []

    def now(self) -> float:
        return self.time

    def play(self, steps: Steps) -> Outcome:
        answer: Any = None
        error: BaseException | None = None
        while True:
            try:
                step = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as end:
                return end.value
            answer = error = None
            if isinstance(step, Call) and step.function is keep:
                continue
            self.done.append(type(step).__name__)
            match step:
                case Call():
                    self.calls.append(step)
                    result = self.script.pop(0)
                    if isinstance(result, BaseException):
                        error = result
                    else:
                        answer = result
                case Sleep():
                    self.slept.append(step)
                    self.time += step.seconds
                case Tell():
                    self.reports += step.reports
                case Settle():
                    self.settled.append(step)
                case Note():
                    pass
                case _:
                    raise AssertionError(step)


def keep(outcome: Outcome) -> None:
    raise AssertionError(outcome)


def flow_context() -> FlowContext:
    return FlowContext(id="the-run", name="n", flow_name="f", backend=NULL)


def play_flow(script: list[Any], plan: Plan | None = None) -> tuple[Stage, Outcome]:
    stage = Stage(script)
    run = FlowAttempts("flow", plan or Plan(), flow_context(), keep)
    return stage, stage.play(attempts(run, (1,), {"a": 2}, print, stage.now))


def play_task(script: list[Any], plan: Plan | None = None) -> tuple[Stage, Outcome]:
    stage = Stage(script)
    context = TaskContext(
        "t", "add-0", "add", flow_context(), [], (1,), {}, Signature(print, "add"), False, False
    )
    run = TaskAttempts("task", plan or Plan(), context)
    return stage, stage.play(task_steps(run, print, stage.now))


def test_a_flow_run_is_started_called_and_over() -> None:
    stage, outcome = play_flow(["value"])
    assert stage.done == ["Tell", "Call"]
    assert stage.reports == [Started(100.0, 1)]
    (call,) = stage.calls
    assert (call.function, call.args, call.kwargs, call.timeout) == (print, (1,), {"a": 2}, None)
    assert (outcome.value, outcome.error) == ("value", None)
    assert (outcome.state.type, outcome.state.at) == (StateType.COMPLETED, 100.0)


def test_a_time_limit_is_asked_for() -> None:
    stage, _ = play_flow([None], Plan(timeout=3.0))
    assert stage.calls[0].timeout == 3.0
    assert "of 'f'" in stage.calls[0].what


def test_retries_wait_as_long_as_they_should() -> None:
    policy = RetryPolicy(3, (1.0, 10.0), 0.5)
    stage, outcome = play_flow([ValueError("1"), ValueError("2"), ValueError("3"), 4], Plan(policy))
    assert outcome.value == 4
    assert stage.slept == [Sleep(1.0, 0.5), Sleep(10.0, 0.5), Sleep(10.0, 0.5)]
    assert stage.reports == [
        Started(100.0, 1),
        AwaitingRetry(100.0, "ValueError: 1"),
        Started(101.0, 2),
        AwaitingRetry(101.0, "ValueError: 2"),
        Started(111.0, 3),
        AwaitingRetry(111.0, "ValueError: 3"),
        Started(121.0, 4),
    ]


def test_without_a_delay_there_is_no_sleep() -> None:
    stage, _ = play_flow([ValueError(), 1], Plan(RetryPolicy(1)))
    assert stage.slept == []


def test_retries_run_out() -> None:
    stage, outcome = play_flow([ValueError("1"), ValueError("2")], Plan(RetryPolicy(1)))
    assert len(stage.calls) == 2
    assert outcome.state.message == "ValueError: 2"
    assert isinstance(outcome.error, ValueError)


@pytest.mark.parametrize("error", [RunCancelled("x"), KeyboardInterrupt(), SystemExit(1)])
def test_what_ends_a_process_is_not_tried_again(error: BaseException) -> None:
    stage, outcome = play_flow([error], Plan(RetryPolicy(5)))
    assert len(stage.calls) == 1
    assert outcome.error is error


def test_a_cancel_during_the_delay_ends_the_run() -> None:
    class Interrupted(Stage):
        def play(self, steps: Steps) -> Outcome:
            step = next(steps)
            while not isinstance(step, Sleep):
                failing = isinstance(step, Call)
                step = steps.throw(ValueError()) if failing else steps.send(None)
            with pytest.raises(StopIteration) as end:
                steps.throw(RunCancelled("cancelled"))
            return end.value.value

    stage = Interrupted([])
    run = FlowAttempts("flow", Plan(RetryPolicy(1, (5.0,))), flow_context(), keep)
    outcome = stage.play(attempts(run, (), {}, print, stage.now))
    assert outcome.state.type is StateType.CANCELLED


def test_a_condition_is_asked_only_while_there_are_retries() -> None:
    condition = len
    plan = Plan(RetryPolicy(1), condition=condition)
    stage, outcome = play_flow([ValueError(), True, ValueError()], plan)
    assert [call.function for call in stage.calls] == [print, condition, print]
    assert outcome.state.type is StateType.FAILED


class Pool:
    cancelled = False


def settles(answer: Any) -> Settle:
    context = flow_context()
    context.pool = pool = Pool()  # type: ignore[assignment]
    stage = Stage([answer])
    stage.play(attempts(FlowAttempts("flow", Plan(), context, keep), (), {}, print, stage.now))
    (settled,) = stage.settled
    assert settled.pool is pool
    assert context.pool is None
    return settled


@pytest.mark.parametrize(
    ("answer", "cancel", "abandon"),
    [
        (1, False, False),
        (ValueError(), True, False),
        (RunCancelled(), True, True),
        (KeyboardInterrupt(), True, True),
    ],
)
def test_submitted_tasks_are_settled_as_the_flow_ends(
    answer: Any, cancel: bool, abandon: bool
) -> None:
    settled = settles(answer)
    assert (settled.cancel, settled.abandon) == (cancel, abandon)


def test_a_task_run_is_reported_when_it_ends() -> None:
    stage, outcome = play_task([5])
    assert outcome.value == 5
    assert stage.done == ["Call", "Tell"]
    (report,) = stage.reports
    assert isinstance(report, TaskRunChanged)
    record = report.task_run
    assert (record.id, record.flow_run_id, record.name) == ("t", "the-run", "add-0")
    assert (record.run_count, record.started, record.ended) == (1, 100.0, 100.0)


def test_a_task_run_that_is_retried_is_reported_each_time() -> None:
    stage, _ = play_task([ValueError("no"), 5], Plan(RetryPolicy(1, (7.0,))))
    runs = [report.task_run for report in stage.reports if isinstance(report, TaskRunChanged)]
    assert [run.state.name for run in runs] == ["AwaitingRetry", "Completed"]
    assert [(run.run_count, run.started, run.ended) for run in runs] == [
        (1, 100.0, None),
        (2, 100.0, 107.0),
    ]


def test_a_machine_that_is_given_up_says_nothing_more() -> None:
    stage = Stage([])
    run = FlowAttempts("flow", Plan(RetryPolicy(5)), flow_context(), keep)
    steps = attempts(run, (), {}, print, stage.now)
    next(steps)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


def test_an_exception_fits_in_one_line() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 5000))) == MESSAGE_LIMIT
    assert one_line(Mute()).startswith("Mute: ")
