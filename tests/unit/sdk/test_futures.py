"""Submitted tasks: futures, map, dependencies, and the flow that waits for them."""

import threading
import time

import pytest

from stoker import allow_failure, flow, task, unmapped
from stoker.domain.states import StateType
from stoker.engine.context import MissingContext
from stoker.engine.parameters import ParameterError
from stoker.futures import UpstreamFailed, as_completed, wait
from stoker.states import State
from stoker.task_runners import ThreadPoolTaskRunner
from stoker.testing.recording import RecordingBackend

DEADLINE = 10


@task
def add(a, b=1):
    return a + b


@task
def breaks():
    raise ValueError("no")


def test_a_future_gives_the_result() -> None:
    @flow
    def run():
        future = add.submit(1, b=2)
        assert future.wait(DEADLINE) is future
        assert future.done()
        assert future.state.is_completed()
        return future.result(), add.submit(5).result()

    assert run() == (3, 6)


def test_it_runs_in_another_thread() -> None:
    @task
    def where():
        return threading.get_ident()

    @flow
    def run():
        return where.submit().result() != threading.get_ident()

    assert run()


def test_a_future_raises_what_the_task_raised() -> None:
    @flow
    def run():
        future = breaks.submit()
        with pytest.raises(ValueError, match="no"):
            future.result()
        error = future.result(raise_on_failure=False)
        assert isinstance(error, ValueError)
        assert future.state.is_failed()

    run()


def test_result_and_wait_take_a_limit() -> None:
    go = threading.Event()

    @task
    def slow():
        assert go.wait(DEADLINE)
        return 1

    @flow
    def run():
        future = slow.submit()
        with pytest.raises(TimeoutError, match="slow-0"):
            future.result(timeout=0.001)
        assert not future.wait(0.001).done()
        assert future.state.is_pending()
        go.set()
        return future.result(DEADLINE)

    assert run() == 1


def test_futures_are_resolved_wherever_they_are_in_the_arguments() -> None:
    @task
    def total(values, more, *, named):
        return sum(values) + sum(more["x"]) + sum(named)

    @flow
    def run():
        one = add.submit(0)
        nested = {"x": [one, {1: one}[1]]}
        return total.submit([one, 1], nested, named=(one, add.submit(one))).result()

    assert run() == 1 + 1 + 2 + 3


def test_direct_calls_and_subflows_resolve_futures_and_states() -> None:
    @flow
    def inner(values):
        return sum(values)

    @flow
    def run():
        one = add.submit(0)
        state = add(1, return_state=True)
        return add(one, b=state), inner([one, state])

    assert run() == (3, 3)


def test_one_after_the_other() -> None:
    done = []

    @task
    def note(name):
        done.append(name)

    @flow
    def run():
        first = note.submit("first")
        second = note.submit("second", wait_for=[first])
        note("third", wait_for=[second])

    run()
    assert done == ["first", "second", "third"]


def test_a_task_does_not_begin_before_its_inputs_are_there() -> None:
    go, begun = threading.Event(), threading.Event()

    @task
    def slow():
        assert go.wait(DEADLINE)
        return 1

    @task
    def after(value):
        begun.set()
        return value

    @flow
    def run():
        future = after.submit(slow.submit())
        assert not begun.wait(0.01)
        go.set()
        return future.result(DEADLINE)

    assert run() == 1


def test_a_task_that_waits_for_its_inputs_takes_no_thread() -> None:
    go = threading.Event()

    @task
    def slow():
        assert go.wait(DEADLINE)
        return 1

    def threads() -> int:
        return sum(thread.name == "stoker-task" for thread in threading.enumerate())

    @flow
    def run():
        before = threads()
        first = slow.submit()
        futures = [add.submit(first) for _ in range(10)]
        taken = threads() - before
        go.set()
        assert [future.result(DEADLINE) for future in futures] == [2] * 10
        return taken

    assert run() <= 1


def test_a_failed_input_fails_what_needs_it(backend: RecordingBackend) -> None:
    @flow
    def run():
        bad = breaks.submit()
        after = add.submit(bad)
        with pytest.raises(UpstreamFailed, match="breaks-0"):
            after.result(DEADLINE)
        with pytest.raises(UpstreamFailed):
            add(1, wait_for=[bad])

    run()
    runs = backend.task_runs("add")
    assert [run.state.name for run in runs] == ["UpstreamFailed", "UpstreamFailed"]
    assert [run.run_count for run in runs] == [0, 0]


def test_allow_failure_passes_the_exception_on() -> None:
    @task
    def look(value):
        return type(value).__name__

    @flow
    def run():
        bad = breaks.submit()
        return look.submit(allow_failure(bad)).result(), look(allow_failure(bad))

    assert run() == ("ValueError", "ValueError")


def test_the_flow_waits_for_its_tasks(backend: RecordingBackend) -> None:
    go = threading.Event()

    @task
    def slow():
        assert go.wait(DEADLINE)

    @flow
    def run():
        slow.submit()
        threading.Timer(0.01, go.set).start()
        return 1

    assert run() == 1
    (record,) = backend.task_runs("slow")
    assert record.state.type is StateType.COMPLETED
    end = backend.finished("run").state.at
    assert record.ended is not None
    assert record.ended <= end


def test_a_failed_task_that_nobody_looks_at_does_not_fail_the_flow(
    backend: RecordingBackend,
) -> None:
    @flow
    def run():
        breaks.submit()
        return 1

    assert run() == 1
    assert backend.finished("run").state.type is StateType.COMPLETED
    assert backend.task_runs("breaks")[0].state.type is StateType.FAILED


def test_a_returned_future_decides_the_end(backend: RecordingBackend) -> None:
    @flow
    def good():
        return add.submit(1)

    @flow
    def bad():
        return breaks.submit()

    assert good() == 2
    with pytest.raises(ValueError, match="no"):
        bad()
    assert backend.finished("bad").state.type is StateType.FAILED


def test_returned_futures_decide_together(backend: RecordingBackend) -> None:
    @flow
    def good():
        return [add.submit(1), add.submit(2)]

    @flow
    def bad():
        return [add.submit(1), breaks.submit()]

    states = good()
    assert all(isinstance(state, State) for state in states)
    assert [state.result() for state in states] == [2, 3]
    with pytest.raises(ValueError, match="no"):
        bad()
    assert backend.finished("bad").state.message.startswith("1 of 2")


def test_map() -> None:
    @flow
    def run():
        futures = add.map([1, 2, 3], b=unmapped(10))
        assert len(futures.wait()) == 3
        return futures.result(), add.map(range(2), 5).result(), add.map([1, 2], [3, 4]).result()

    assert run() == ([11, 12, 13], [5, 6], [4, 6])


def test_map_takes_futures_elements_and_texts() -> None:
    @task
    def listed():
        return [1, 2]

    @task
    def join(a, b):
        return f"{a}{b}"

    @flow
    def run():
        first = add.map(listed.submit())
        return join.map(first, "xy").result()

    assert run() == ["2xy", "3xy"]


@pytest.mark.parametrize(
    ("args", "says"),
    [((1, 2), "needs an argument to go through"), (([1], [1, 2]), "argument 1 has 1")],
)
def test_map_says_what_is_wrong(args, says: str) -> None:
    @flow
    def run():
        with pytest.raises(ParameterError, match=says):
            add.map(*args)

    run()


def test_map_of_nothing_is_nothing() -> None:
    @flow
    def run():
        return add.map([]).result()

    assert run() == []


def test_wait_and_as_completed() -> None:
    @flow
    def run():
        futures = add.map(range(5))
        waited = wait(futures, DEADLINE)
        assert waited.not_done == []
        return sorted(future.result() for future in as_completed(futures, DEADLINE)), len(
            waited.done
        )

    assert run() == ([1, 2, 3, 4, 5], 5)


@pytest.mark.parametrize("use", [lambda: add.submit(1), lambda: add.map([1])])
def test_submit_needs_a_flow(use) -> None:
    with pytest.raises(MissingContext, match="needs a running flow"):
        use()


def test_no_more_threads_than_max_workers() -> None:
    lock = threading.Lock()
    now = most = 0

    @task
    def step():
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.001)
        with lock:
            now -= 1

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def run():
        step.map(range(0))
        for _ in range(20):
            step.submit()

    run()
    assert most == 2


def test_tasks_that_wait_for_tasks_never_wait_for_ever() -> None:
    @task
    def leaf(n):
        return n

    @task
    def branch(n):
        return sum(leaf.map(range(n)).result()) + leaf.submit(n).result()

    @task
    def root():
        return [future.result() for future in branch.map([1, 2, 3])]

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run():
        return root.submit().result(DEADLINE)

    assert run() == [1, 3, 6]


def test_a_flow_that_fails_lets_running_tasks_end_and_begins_no_more(
    backend: RecordingBackend,
) -> None:
    begun, go = threading.Event(), threading.Event()

    @task
    def slow():
        begun.set()
        assert go.wait(DEADLINE)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run():
        slow.submit()
        add.submit(1)
        assert begun.wait(DEADLINE)
        threading.Timer(0.01, go.set).start()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run()
    assert backend.task_runs("slow")[0].state.type is StateType.COMPLETED
    assert backend.task_runs("add")[0].state.type is StateType.CANCELLED


def test_ctrl_c_does_not_wait_for_tasks(backend: RecordingBackend) -> None:
    begun, go = threading.Event(), threading.Event()

    @task
    def slow():
        begun.set()
        assert go.wait(DEADLINE)

    @flow
    def run():
        slow.submit()
        assert begun.wait(DEADLINE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    go.set()
    assert backend.finished("run").state.type is StateType.CANCELLED


def test_max_workers_must_be_possible() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        ThreadPoolTaskRunner(max_workers=0)


def test_submit_and_map_can_give_the_final_states() -> None:
    @flow
    def run():
        states = [
            add.submit(1, return_state=True),
            breaks.submit(return_state=True),
            *add.map([1, 2], return_state=True),
        ]
        assert all(isinstance(state, State) for state in states)
        return [state.name for state in states], [states[0].result(), states[3].result()]

    assert run() == (["Completed", "Failed", "Completed", "Completed"], [2, 3])
