"""Flows: what a call returns, what is recorded of it, and how it ends."""

import pytest

from stoker import flow, task
from stoker.domain.reports import Finished, Logged, Started, SubflowCreated
from stoker.domain.states import StateType
from stoker.states import Cancelled, Completed, Failed, FailedRun, Running
from stoker.testing.recording import RecordingBackend


def kinds(backend: RecordingBackend, run_id: str) -> list[str]:
    known = [report for report in backend.of_run(run_id) if not isinstance(report, Logged)]
    return [type(report).__name__ for report in known]


def test_a_flow_returns_its_value_and_is_recorded(backend: RecordingBackend) -> None:
    @flow
    def double_it(x, y=2):
        return x * y

    assert double_it(4) == 8
    run = backend.run("double-it")
    assert run.state.type is StateType.RUNNING
    assert (run.attempt, run.version, run.parent_run_id) == (1, 0, None)
    assert run.parameters == {"x": 4, "y": 2}
    assert kinds(backend, run.id) == ["SubflowCreated", "Started", "Finished"]
    assert backend.starts(run.id)[0].run_count == 1
    finished = backend.finished("double-it")
    assert finished.state.type is StateType.COMPLETED
    assert finished.result is not None
    assert finished.result.data == b"8"


def test_the_record_comes_before_all_else_of_the_run(backend: RecordingBackend) -> None:
    @flow
    def noop():
        pass

    noop()
    assert isinstance(backend.reports[0][1], SubflowCreated)


def test_the_end_of_a_top_level_flow_is_flushed(backend: RecordingBackend) -> None:
    @flow
    def inner():
        pass

    @flow
    def outer():
        inner()
        assert backend.flushed == []

    outer()
    assert backend.flushed == [len(backend.reports)]
    assert isinstance(backend.reports[-1][1], Finished)


def test_a_failed_top_level_flow_is_flushed_too(backend: RecordingBackend) -> None:
    @flow
    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert backend.flushed == [len(backend.reports)]


def test_a_subflow_is_linked_to_its_parent_and_ends_first(backend: RecordingBackend) -> None:
    @flow
    def inner(n):
        return n + 1

    @flow
    def outer():
        return inner(1) + inner(2)

    assert outer() == 5
    parent = backend.run("outer")
    children = backend.runs("inner")
    assert [child.parent_run_id for child in children] == [parent.id, parent.id]
    assert len({child.id for child in children}) == 2
    order = [run_id for run_id, report in backend.reports if isinstance(report, Finished)]
    assert order == [children[0].id, children[1].id, parent.id]


def test_a_flow_in_a_task_is_a_child_of_the_flow(backend: RecordingBackend) -> None:
    @flow
    def inner():
        return 1

    @task
    def step():
        return inner()

    @flow
    def outer():
        return step.submit().result() + step()

    assert outer() == 2
    assert {run.parent_run_id for run in backend.runs("inner")} == {backend.run("outer").id}


def test_an_exception_is_raised_and_recorded_in_one_line(backend: RecordingBackend) -> None:
    @flow
    def fails():
        raise ValueError("no\nsuch file")

    with pytest.raises(ValueError, match="such file"):
        fails()
    finished = backend.finished("fails")
    assert finished.state.type is StateType.FAILED
    assert finished.state.message == "ValueError: no such file"
    assert finished.result is not None
    assert finished.result.format == "error"


def test_a_failed_flow_logs_the_traceback_once_without_the_engine(
    backend: RecordingBackend,
) -> None:
    @task
    def breaks():
        raise ValueError("no")

    @flow
    def fails():
        breaks()

    with pytest.raises(ValueError, match="no"):
        fails()
    traces = [line for line in backend.lines() if "Traceback" in line.message]
    assert len(traces) == 1
    assert "in breaks" in traces[0].message
    assert "stoker/engine" not in traces[0].message
    assert traces[0].task_run_id == backend.task_runs("breaks")[0].id


def test_return_state_gives_the_state_in_place_of_the_value() -> None:
    @flow
    def good():
        return 3

    @flow
    def bad():
        raise ValueError("no")

    assert good(return_state=True).is_completed()
    assert good(return_state=True).result() == 3
    state = bad(return_state=True)
    assert state.is_failed()
    assert isinstance(state.result(raise_on_failure=False), ValueError)
    with pytest.raises(ValueError, match="no"):
        state.result()


@pytest.mark.parametrize(
    ("state", "kind", "raised"),
    [
        (Failed("bad data"), StateType.FAILED, FailedRun),
        (Failed("bad data", data=KeyError("x")), StateType.FAILED, KeyError),
        (Cancelled("not today"), StateType.CANCELLED, FailedRun),
    ],
)
def test_a_returned_state_is_the_end(
    backend: RecordingBackend, state, kind: StateType, raised: type[Exception]
) -> None:
    @flow
    def decides():
        return state

    with pytest.raises(raised):
        decides()
    known = backend.finished("decides").state
    assert (known.type, known.message) == (kind, state.message)


def test_a_returned_completed_state_carries_its_data(backend: RecordingBackend) -> None:
    @flow
    def decides():
        return Completed("all fine", data=[1, 2], name="Skipped")

    assert decides() == [1, 2]
    known = backend.finished("decides").state
    assert (known.type, known.name, known.message) == (
        StateType.COMPLETED,
        "Skipped",
        "all fine",
    )


def test_a_state_that_ends_nothing_cannot_be_returned(backend: RecordingBackend) -> None:
    @flow
    def decides():
        return Running()

    with pytest.raises(ValueError, match="cannot end Running"):
        decides()
    assert backend.finished("decides").state.type is StateType.FAILED


def test_a_list_with_a_failed_state_fails_the_flow(backend: RecordingBackend) -> None:
    @flow
    def decides():
        return [Completed(), Failed("first"), Failed("second")]

    with pytest.raises(FailedRun, match="first"):
        decides()
    assert backend.finished("decides").state.message.startswith("2 of 3 states")


def test_states_beside_other_values_decide_nothing() -> None:
    @flow
    def decides():
        return [Failed("first"), 3]

    assert decides() == [Failed("first"), 3]


def test_retries_call_again_until_it_works(backend: RecordingBackend) -> None:
    calls = []

    @flow(retries=2)
    def shaky():
        calls.append(1)
        if len(calls) < 3:
            raise ValueError(f"call {len(calls)}")
        return "done"

    assert shaky() == "done"
    run = backend.run("shaky")
    assert kinds(backend, run.id) == [
        "SubflowCreated",
        "Started",
        "AwaitingRetry",
        "Started",
        "AwaitingRetry",
        "Started",
        "Finished",
    ]
    assert [start.run_count for start in backend.starts(run.id)] == [1, 2, 3]


def test_retries_end(backend: RecordingBackend) -> None:
    calls = []

    @flow(retries=1)
    def shaky():
        calls.append(1)
        raise ValueError("always")

    with pytest.raises(ValueError, match="always"):
        shaky()
    assert len(calls) == 2
    assert backend.finished("shaky").state.type is StateType.FAILED


def test_a_run_is_named_after_its_parameters(backend: RecordingBackend) -> None:
    @flow(flow_run_name="load-{day}-{n}")
    def load(day, n=3):
        pass

    load("monday")
    run = backend.run("load")
    assert run.name == "load-monday-3"
    assert backend.starts(run.id)[0].name == "load-monday-3"


@pytest.mark.parametrize("maker", [lambda: "fixed", lambda parameters: f"n{parameters['n']}"])
def test_a_function_names_a_run(backend: RecordingBackend, maker) -> None:
    @flow(flow_run_name=maker)
    def load(n):
        pass

    load(1)
    assert backend.run("load").name in {"fixed", "n1"}


def test_without_a_name_runs_get_readable_ones(backend: RecordingBackend) -> None:
    @flow
    def load():
        pass

    load()
    assert backend.run("load").name.count("-") == 1


def test_hooks_are_called_with_flow_run_and_state() -> None:
    called = []

    def hook(flow, run, state):
        called.append((flow.name, run.flow_name, state.type))

    @flow(on_completion=[hook])
    def good():
        pass

    @flow(on_failure=[hook])
    def bad():
        raise ValueError

    good()
    bad(return_state=True)
    assert called == [("good", "good", StateType.COMPLETED), ("bad", "bad", StateType.FAILED)]


def test_a_hook_that_fails_is_logged_and_harms_nothing(backend: RecordingBackend) -> None:
    def hook(flow, run, state):
        raise ValueError("in the hook")

    @flow(on_completion=[hook])
    def good():
        return 1

    assert good() == 1
    assert any("in the hook" in line.message for line in backend.lines())


def test_with_options_changes_a_copy() -> None:
    @flow(retries=3)
    def one():
        return 1

    other = one.with_options(name="other")
    assert (one.name, other.name) == ("one", "other")
    assert other.plan.retries.retries == 3
    assert other() == 1


def test_methods_can_be_flows() -> None:
    class Loader:
        factor = 3

        @flow
        def load(self, n):
            return n * self.factor

        @flow
        @staticmethod
        def still(n):
            return n

    assert Loader().load(2) == 6
    assert Loader.still(2) == Loader().still(2) == 2


def test_sys_exit_is_told_and_passed_on(backend: RecordingBackend) -> None:
    @flow
    def leaves():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        leaves()
    state = backend.finished("leaves").state
    assert state.type is StateType.FAILED
    assert "sys.exit(3)" in state.message


def test_ctrl_c_cancels_the_run_and_its_parent(backend: RecordingBackend) -> None:
    @flow(retries=3)
    def inner():
        raise KeyboardInterrupt

    @flow(retries=3)
    def outer():
        inner()

    with pytest.raises(KeyboardInterrupt):
        outer()
    assert backend.finished("inner").state.type is StateType.CANCELLED
    assert backend.finished("outer").state.type is StateType.CANCELLED


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"retrys": 2}, TypeError, "no option 'retrys'; it has: .*retries"),
        ({"retries": -1}, ValueError, "0 or more"),
        ({"timeout_seconds": 0}, ValueError, "above 0"),
        ({"name": "a/b"}, ValueError, "must not have a '/'"),
        ({"name": 3}, TypeError, "@flow: name must be a text, not 3"),
        ({"retries": "a"}, TypeError, "@flow: retries must be a whole number, not 'a'"),
        ({"retries": True}, TypeError, "@flow: retries must be a whole number, not True"),
        ({"timeout_seconds": "a"}, TypeError, "@flow: timeout_seconds must be a number, not 'a'"),
        ({"retry_delay_seconds": [1, "a"]}, TypeError, "@flow: retry_delay_seconds must be"),
        ({"log_prints": "yes"}, TypeError, "@flow: log_prints must be True or False"),
        ({"on_failure": print}, TypeError, "@flow: on_failure must be a list of functions"),
        ({"flow_run_name": 3}, TypeError, "@flow: flow_run_name must be a text or a function"),
        ({"task_runner": "threads"}, TypeError, "@flow: task_runner must be a task runner"),
    ],
)
def test_impossible_options_are_refused(options, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):

        @flow(**options)
        def some():
            pass


def test_generators_are_refused() -> None:
    with pytest.raises(TypeError, match="does not run generators"):

        @flow
        def some():
            yield 1


def test_a_flow_keeps_the_look_of_its_function() -> None:
    @flow
    def some():
        """Do it."""

    assert vars(some)["__name__"] == "some"
    assert some.__doc__ == some.description == "Do it."


def test_large_and_strange_parameters_are_described(backend: RecordingBackend) -> None:
    @flow
    def load(a, b, c):
        pass

    load(object(), list(range(100_000)), {"k": [1.5, None]})
    known = backend.run("load").parameters
    assert known == {"a": "<object>", "b": "<list of 100000>", "c": {"k": [1.5, None]}}


def test_results_that_are_no_json_are_not_kept_of_local_runs(backend: RecordingBackend) -> None:
    @flow
    def load():
        return {1, 2}

    assert load() == {1, 2}
    assert backend.finished("load").result is None


def test_persist_result_keeps_them(backend: RecordingBackend) -> None:
    @flow(persist_result=True)
    def load():
        return {1, 2}

    load()
    result = backend.finished("load").result
    assert result is not None
    assert result.format == "pickle"


def test_a_result_that_cannot_be_kept_fails_the_run(backend: RecordingBackend) -> None:
    @flow(persist_result=True)
    def load():
        return lambda: 1

    with pytest.raises(Exception, match="cannot be serialised"):
        load()
    assert backend.finished("load").state.type is StateType.FAILED
    told = [line.message.splitlines()[0] for line in backend.lines()]
    assert told[0] == "flow 'load' begins"
    assert "is Failed: Unserialisable: a function was returned" in told[1]
    assert told[2:] == ["flow 'load' is Failed"]


def test_started_is_reported_right_before_the_first_call(backend: RecordingBackend) -> None:
    @flow
    def some():
        assert isinstance(backend.reports[-1][1], Started)

    some()
