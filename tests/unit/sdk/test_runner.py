"""The runner: one job executed in the process of a child."""

import os
import signal
import sys
import threading
import time
from types import ModuleType
from typing import Any

import pytest

from stoker import flow, get_run_logger, task
from stoker.domain.deployments import Code
from stoker.domain.reports import AwaitingRetry, Finished, Started, SubflowCreated
from stoker.domain.states import StateType
from stoker.engine import backends, runner
from stoker.engine.context import CURRENT
from stoker.results import decode
from stoker.runtime import deployment, flow_run
from stoker.states import Failed
from stoker.testing.recording import RecordingBackend
from stoker.wire.host import Job

DEADLINE = 10


class Child:
    """Executes jobs as a host's child does."""

    def __init__(self) -> None:
        self.backend = RecordingBackend()

    def run(self, function: Any, parameters: dict[str, Any] | None = None, **job: Any) -> Finished:
        module = ModuleType("users")
        module.__dict__["entry"] = function
        return runner.execute(
            module,
            Job(
                run_id="the-run",
                attempt=1,
                code=Code(path="", file=""),
                function="entry",
                parameters=parameters or {},
                **job,
            ),
            self.backend,
        )

    def kinds(self, run_id: str = "the-run") -> list[type]:
        return [type(report) for report in self.backend.of_run(run_id)]


@pytest.fixture
def child() -> Child:
    return Child()


def test_a_job_is_run_and_its_end_returned_not_reported(child: Child) -> None:
    @flow
    def entry(x: int):
        return x + 1

    finished = child.run(entry, {"x": "3"})
    assert finished.state.type is StateType.COMPLETED
    assert finished.result is not None
    assert decode(finished.result) == 4
    assert child.kinds() == [Started]


def test_the_run_knows_its_job(child: Child) -> None:
    @flow
    def entry():
        return [
            flow_run.id,
            flow_run.name,
            flow_run.parent_flow_run_id,
            flow_run.tags,
            flow_run.deployment,
            deployment.name,
        ]

    finished = child.run(
        entry, run_name="n", parent_run_id="p", tags=["t"], deployment="entry/daily"
    )
    assert finished.result is not None
    assert decode(finished.result) == ["the-run", "n", "p", ["t"], "entry/daily", "daily"]


def test_subflows_tasks_and_logs_go_to_the_jobs_backend(child: Child) -> None:
    @task
    def step():
        get_run_logger().info("in the task")

    @flow
    def inner():
        step()

    @flow
    def entry():
        inner()
        step.submit()

    child.run(entry)
    sub = child.backend.run("inner")
    assert sub.parent_run_id == "the-run"
    assert child.kinds(sub.id)[0] is SubflowCreated
    assert child.kinds(sub.id)[-1] is Finished
    assert {run.flow_run_id for run in child.backend.task_runs()} == {sub.id, "the-run"}
    assert len(child.backend.lines("the-run")) == 1


def test_nothing_is_written_to_the_console(child: Child, capfd: pytest.CaptureFixture[str]) -> None:
    @flow
    def entry():
        get_run_logger().info("hello")

    child.run(entry)
    assert capfd.readouterr() == ("", "")


def test_a_name_from_parameters_is_reported(child: Child) -> None:
    @flow(flow_run_name="load {x}")
    def entry(x):
        pass

    child.run(entry, {"x": 3})
    assert child.backend.starts("the-run")[0].name == "load 3"


def test_retries_are_reported(child: Child) -> None:
    calls = []

    @flow(retries=1)
    def entry():
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")

    assert child.run(entry).state.type is StateType.COMPLETED
    kinds = [kind for kind in child.kinds() if kind in {Started, AwaitingRetry}]
    assert kinds == [Started, AwaitingRetry, Started]


def test_an_exception_is_a_failed_state_and_comes_back(child: Child) -> None:
    @flow
    def entry():
        raise KeyError("x")

    finished = child.run(entry)
    assert (finished.state.type, finished.state.message) == (StateType.FAILED, "KeyError: 'x'")
    assert finished.result is not None
    assert isinstance(decode(finished.result), KeyError)
    assert any("Traceback" in line.message for line in child.backend.lines())


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"x": "no number"}, "parameter 'x' (int)"),
        ({}, "missing a required argument: 'x'"),
        ({"x": 1, "y": 2}, "unexpected keyword argument 'y'"),
    ],
)
def test_wrong_parameters_fail_before_the_first_line(
    child: Child, parameters: dict[str, Any], says: str
) -> None:
    @flow
    def entry(x: int):
        raise AssertionError

    finished = child.run(entry, parameters)
    assert finished.state.type is StateType.FAILED
    assert says in finished.state.message
    assert child.backend.reports == []


def test_what_is_no_flow_is_told(child: Child) -> None:
    def entry():
        pass

    assert "is a function and no flow; put @flow on it" in child.run(entry).state.message
    assert "has no flow 'entry'" in child.run(None).state.message


def test_a_result_that_cannot_be_serialised_is_told(child: Child) -> None:
    @flow
    def entry():
        return threading.Lock()

    finished = child.run(entry)
    assert finished.state.type is StateType.FAILED
    assert "a lock was returned that cannot be serialised" in finished.state.message


def test_persist_result_false_keeps_nothing(child: Child) -> None:
    @flow(persist_result=False)
    def entry():
        return threading.Lock()

    finished = child.run(entry)
    assert (finished.state.type, finished.result) == (StateType.COMPLETED, None)


def test_a_returned_state_is_the_end(child: Child) -> None:
    @flow
    def entry():
        return Failed("no data today", name="Empty")

    state = child.run(entry).state
    assert (state.type, state.name, state.message) == (StateType.FAILED, "Empty", "no data today")


@pytest.mark.parametrize(
    ("code", "kind"), [(0, StateType.COMPLETED), (None, StateType.COMPLETED), (2, StateType.FAILED)]
)
def test_sys_exit_ends_the_run_alone(child: Child, code: int | None, kind: StateType) -> None:
    @flow
    def entry():
        sys.exit(code)

    assert child.run(entry).state.type is kind


def test_an_async_flow(child: Child) -> None:
    @task
    async def step(x):
        return x + 1

    @flow
    async def entry(x: int):
        return await step(x)

    finished = child.run(entry, {"x": 1})
    assert finished.result is not None
    assert decode(finished.result) == 2


@pytest.fixture
def sigterm_is_restored():
    def ignore(*_: object) -> None:
        """A signal that comes after the run must not end the tests."""

    before = signal.signal(signal.SIGTERM, ignore)
    yield
    assert signal.getsignal(signal.SIGTERM) is ignore
    signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_cancels_what_runs(child: Child, sigterm_is_restored) -> None:
    cleaned = []

    @task
    def hangs():
        terminate()
        threading.Event().wait(DEADLINE)

    @flow(retries=3)
    def entry():
        try:
            hangs()
        except Exception:
            cleaned.append("never")
        finally:
            cleaned.append("finally")

    finished = child.run(entry)
    assert finished.state.type is StateType.CANCELLED
    assert cleaned == ["finally"]
    assert child.backend.task_runs()[0].state.type is StateType.CANCELLED


def test_sigterm_again_leaves_alone_what_cleans_up(child: Child, sigterm_is_restored) -> None:
    cleaned = []

    @flow
    def entry():
        try:
            terminate()
            threading.Event().wait(DEADLINE)
        finally:
            terminate()
            cleaned.append(1)

    assert child.run(entry).state.type is StateType.CANCELLED
    assert cleaned == [1]


def test_sigterm_cancels_a_flow_that_waits_for_its_tasks(child: Child, sigterm_is_restored) -> None:
    go = threading.Event()

    @task
    def slow():
        until = time.monotonic() + DEADLINE
        while not go.is_set() and time.monotonic() < until:
            terminate()
            go.wait(0.01)

    @flow
    def entry():
        slow.submit().result()

    finished = child.run(entry)
    go.set()
    assert finished.state.type is StateType.CANCELLED


def test_sigterm_cancels_an_async_flow_at_its_next_await(child: Child, sigterm_is_restored) -> None:
    import asyncio

    cleaned = []

    @flow
    async def entry():
        terminate()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    assert child.run(entry).state.type is StateType.CANCELLED
    assert cleaned == [1]


def test_sigterm_cancels_an_async_flow_that_waits_for_a_deployed_run(
    child: Child, sigterm_is_restored
) -> None:
    from stoker import arun_deployment

    go = threading.Event()

    def answer(request):
        until = time.monotonic() + DEADLINE
        while not go.is_set() and time.monotonic() < until:
            terminate()
            go.wait(0.01)

    child.backend.answer = answer

    @flow
    async def entry():
        await arun_deployment("a/b")

    finished = child.run(entry)
    go.set()
    assert finished.state.type is StateType.CANCELLED


def test_sigterm_never_breaks_a_report_off(child: Child, sigterm_is_restored) -> None:
    class Careful(RecordingBackend):
        begun = whole = 0

        def report(self, run_id, *reports):
            self.begun += 1
            if any(isinstance(report, Started) for report in reports):
                terminate()
            super().report(run_id, *reports)
            self.whole += 1

    child.backend = backend = Careful()

    @flow
    def entry():
        raise AssertionError

    assert child.run(entry).state.type is StateType.CANCELLED
    assert backend.whole == backend.begun > 0


def test_threads_of_the_users_report_to_the_same_backend(child: Child) -> None:
    @flow
    def inner():
        pass

    @flow
    def entry():
        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()

    child.run(entry)
    assert child.backend.run("inner").parent_run_id is None


def test_the_rehearsal_leaves_no_trace(backend: RecordingBackend) -> None:
    before = set(sys.modules), signal.getsignal(signal.SIGTERM)
    runner.rehearse()
    assert (set(sys.modules), signal.getsignal(signal.SIGTERM)) == before
    assert backend.reports == []
    assert CURRENT.get() is None
    assert backends.current() is backend


def test_prepare_builds_the_validators() -> None:
    @flow
    def typed(x: int):
        return x

    @flow
    def wrong(x: "list[int"):  # type: ignore[syntax]  # noqa: F722
        pass

    module = ModuleType("users")
    module.__dict__.update(wrong=wrong, typed=typed, number=3)
    runner.prepare(module)
    assert typed.signature._checks is not None
    assert list(typed.signature._checks) == ["x"]


def test_a_flow_that_sleeps_is_ended_by_its_own_limit_in_order(child: Child) -> None:
    order = []

    @flow(
        timeout_seconds=0.02,
        retries=1,
        on_failure=[lambda _flow, _run, state: order.append(state.name)],
    )
    def sleeps():
        try:
            time.sleep(DEADLINE)
        finally:
            order.append("cleaned up")

    finished = child.run(sleeps)
    assert (finished.state.type, finished.state.name) == (StateType.FAILED, "TimedOut")
    assert order == ["cleaned up", "cleaned up", "TimedOut"]
    assert "longer than 0.02 s" in child.backend.lines()[-1].message


def test_a_run_whose_result_cannot_be_kept_has_failed_for_its_hooks_and_log_too(
    child: Child,
) -> None:
    called = []
    hook = lambda _flow, _run, state: called.append(state.name)  # noqa: E731

    @flow(retries=2, on_completion=[hook], on_failure=[hook])
    def locks():
        called.append("flow")
        return threading.Lock()

    finished = child.run(locks)
    assert finished.state.name == "Failed"
    assert called == ["flow", "Failed"]
    (line,) = child.backend.lines()
    assert "is Failed" in line.message
    assert "cannot be serialised" in line.message
