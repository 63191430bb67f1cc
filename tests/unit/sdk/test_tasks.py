"""Tasks called in a flow: values, records, retries."""

import asyncio
import functools
from typing import Any

import pytest

from stoker import flow, task
from stoker.domain.states import StateType
from stoker.engine.parameters import ParameterError
from stoker.states import Failed, FailedRun
from stoker.tasks import exponential_backoff
from stoker.testing.recording import RecordingBackend


def test_a_task_returns_its_value_and_is_recorded_once(backend: RecordingBackend) -> None:
    @task
    def add(a, b=1):
        return a + b

    @flow
    def sums():
        return add(1) + add(2, b=3)

    assert sums() == 7
    runs = backend.task_runs("add")
    assert [run.name for run in runs] == ["add-0", "add-1"]
    assert {run.flow_run_id for run in runs} == {backend.run("sums").id}
    assert all(run.state.type is StateType.COMPLETED and run.run_count == 1 for run in runs)
    assert all(run.started is not None and run.ended is not None for run in runs)
    from stoker.domain.reports import TaskRunChanged

    assert len(backend.of_type(TaskRunChanged)) == 2


def test_a_task_works_outside_of_any_flow_unrecorded(backend: RecordingBackend) -> None:
    calls = []

    @task(retries=1)
    def shaky():
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return 2

    assert shaky() == 2
    assert backend.reports == []


def test_tasks_in_tasks_belong_to_the_flow(backend: RecordingBackend) -> None:
    @task
    def inner():
        return 1

    @task
    def outer():
        return inner() + 1

    @flow
    def both():
        return outer()

    assert both() == 2
    assert {run.flow_run_id for run in backend.task_runs()} == {backend.run("both").id}


def test_an_exception_reaches_the_flow(backend: RecordingBackend) -> None:
    @task
    def breaks():
        raise KeyError("x")

    @flow
    def catches():
        with pytest.raises(KeyError):
            breaks()
        return "fine"

    assert catches() == "fine"
    run = backend.task_runs("breaks")[0]
    assert run.state.type is StateType.FAILED
    assert run.state.message == "KeyError: 'x'"


def test_stop_iteration_of_a_task_is_a_failure_like_any_other() -> None:
    @task
    def breaks():
        raise StopIteration(5)

    @flow
    def catches():
        return breaks(return_state=True)

    assert catches.fn().is_failed()


def test_return_state(backend: RecordingBackend) -> None:
    @task
    def breaks():
        raise ValueError("no")

    @flow
    def looks():
        state = breaks(return_state=True)
        assert state.is_failed()
        return isinstance(state.result(raise_on_failure=False), ValueError)

    assert looks() is True


def test_a_returned_state_is_the_end(backend: RecordingBackend) -> None:
    @task
    def decides():
        return Failed("bad", name="Rejected")

    @flow
    def looks():
        with pytest.raises(FailedRun, match="bad"):
            decides()

    looks()
    assert backend.task_runs("decides")[0].state.name == "Rejected"


def test_retries_and_their_record(backend: RecordingBackend) -> None:
    calls = []

    @task(retries=3, retry_delay_seconds=[0, 0.001])
    def shaky():
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("not yet")
        return "done"

    @flow
    def run():
        return shaky()

    assert run() == "done"
    from stoker.domain.reports import TaskRunChanged

    states = [report.task_run.state.name for report in backend.of_type(TaskRunChanged)]
    assert states == ["AwaitingRetry", "AwaitingRetry", "Completed"]
    record = backend.task_runs("shaky")[0]
    assert record.run_count == 3
    warnings = [line for line in backend.lines() if "left" in line.message]
    assert "3 retries left" in warnings[0].message
    assert "2 retries left" in warnings[1].message


def test_the_condition_of_retries_is_asked(backend: RecordingBackend) -> None:
    calls = []

    def only_value_errors(task, run, state):
        return isinstance(state.result(raise_on_failure=False), ValueError)

    @task(retries=5, retry_condition_fn=only_value_errors)
    def shaky():
        calls.append(1)
        raise ValueError if len(calls) == 1 else KeyError

    @flow
    def run():
        return shaky(return_state=True).is_failed()

    assert run()
    assert len(calls) == 2


def test_a_condition_that_fails_means_no_retry(backend: RecordingBackend) -> None:
    calls = []

    @task(retries=5, retry_condition_fn=lambda *_: 1 / 0)
    def shaky():
        calls.append(1)
        raise ValueError("no")

    @flow
    def run():
        shaky(return_state=True)

    run()
    assert len(calls) == 1
    assert any("retry_condition_fn" in line.message for line in backend.lines())


def test_names_from_parameters(backend: RecordingBackend) -> None:
    @task(task_run_name="load {day}")
    def load(day, n=1):
        pass

    @flow
    def run():
        load("monday")

    run()
    assert backend.task_runs()[0].name == "load monday"


def test_methods_can_be_tasks() -> None:
    class Loader:
        factor = 3

        @task
        def load(self, n):
            return n * self.factor

        @task
        @staticmethod
        def still(n):
            return n

    @flow
    def run():
        loader = Loader()
        return loader.load(2), loader.load.submit(3).result(), Loader.still(1), loader.still(1)

    assert run() == (6, 9, 1, 1)


def test_hooks() -> None:
    called = []

    def hook(task, run, state):
        called.append((task.name, run.name, state.name))

    @task(on_failure=[hook], on_completion=[hook])
    def step(fail):
        if fail:
            raise ValueError

    @flow
    def run():
        step(False)
        step(True, return_state=True)

    run()
    assert called == [("step", "step-0", "Completed"), ("step", "step-1", "Failed")]


def test_with_options_and_backoff() -> None:
    @task
    def step():
        pass

    careful = step.with_options(retries=3, retry_delay_seconds=exponential_backoff(2))
    assert careful.plan.retries.delays == (2, 4, 8)
    assert step.plan.retries.retries == 0


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="no option 'retry'"):
        task(retry=2)(lambda: None)  # type: ignore[call-overload]


@pytest.mark.parametrize("decorate", [task, flow])
def test_reserved_names_are_refused(decorate) -> None:
    with pytest.raises(TypeError, match="'return_state', which Stoker takes for itself"):

        @decorate
        def some(x, *, return_state):
            pass


def test_generators_are_refused() -> None:
    with pytest.raises(TypeError, match="does not run generators"):

        @task
        def some():
            yield 1


@task(retries=3)
def one_number(n: int) -> int:
    return n


@task(retries=3, timeout_seconds=60, task_run_name="number-{n}")
def named_number(n: int) -> int:
    return n


@task(retries=3)
async def later(n: int) -> int:
    return n


@pytest.mark.parametrize("function", [one_number, named_number, later])
def test_a_call_that_does_not_fit_is_not_tried_again(
    backend: RecordingBackend, function: Any
) -> None:
    @flow
    async def run():
        found = function(1, 2)
        return await found if function.is_async else found

    says = rf"task '{function.name}': too many positional arguments; it takes: n"
    with pytest.raises(ParameterError, match=says):
        asyncio.run(run())
    (record,) = backend.task_runs()
    assert (record.state.name, record.run_count) == ("Failed", 1)
    first = backend.lines()[1].message
    assert "Traceback" not in first
    assert "left" not in first


def test_a_call_that_does_not_fit_is_not_submitted(backend: RecordingBackend) -> None:
    @flow
    def run():
        with pytest.raises(ParameterError, match="missing a required argument: 'n'"):
            one_number.submit()
        with pytest.raises(ParameterError, match="unexpected keyword argument 'm'"):
            one_number.map([1, 2], m=3)

    run()
    assert backend.task_runs() == []


def test_a_type_error_of_the_users_is_tried_again(backend: RecordingBackend) -> None:
    @task(retries=1)
    def wrong_inside():
        return one_number.fn()  # type: ignore[call-arg]

    @task(retries=1)
    def wrong_in_c():
        return len(3)  # type: ignore[arg-type]

    @flow
    def run():
        for function in (wrong_inside, wrong_in_c):
            with pytest.raises(TypeError):
                function()

    run()
    assert [record.run_count for record in backend.task_runs()] == [2, 2]


def test_a_decorator_may_give_arguments_of_its_own(backend: RecordingBackend) -> None:
    def with_database(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function("database", *args)

        return wrapper

    @task
    @with_database
    def read(database, key):
        return database, key

    @flow
    def run():
        return read("k"), read.submit("k").result()

    assert run() == (("database", "k"), ("database", "k"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tags": "abc"}, "@task: tags must be a list of texts, not 'abc'"),
        ({"tags": [1]}, "@task: tags must be a list of texts"),
        ({"retries": "a"}, "@task: retries must be a whole number, not 'a'"),
        ({"retry_jitter_factor": "a"}, "@task: retry_jitter_factor must be a number"),
        ({"retry_condition_fn": 1}, "@task: retry_condition_fn must be a function"),
    ],
)
def test_options_of_the_wrong_kind_are_refused(options: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        task(**options)(len)
    with pytest.raises(TypeError, match=says):
        one_number.with_options(**options)
