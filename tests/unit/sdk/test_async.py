"""Coroutine functions as flows and tasks."""

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest

from stoker import flow, get_run_logger, task
from stoker.domain.states import StateType
from stoker.runtime import flow_run
from stoker.testing.recording import RecordingBackend

DEADLINE = 10


@task
async def add(a, b=1):
    await asyncio.sleep(0)
    return a + b


@task
def plain(a):
    return a * 10


def test_an_async_flow(backend: RecordingBackend) -> None:
    @flow
    async def run(n):
        return await add(n) + plain(n)

    assert asyncio.run(run(2)) == 23
    assert backend.finished("run").state.type is StateType.COMPLETED
    assert [record.name for record in backend.task_runs()] == ["add-0", "plain-0"]
    assert backend.flushed == [len(backend.reports)]


def test_async_and_plain_flows_nest(backend: RecordingBackend) -> None:
    @flow
    async def inner():
        return 1

    @flow
    def middle():
        return 10

    @flow
    async def outer():
        return await inner() + middle()

    @flow
    def top():
        return asyncio.run(outer())

    assert top() == 11
    parent = backend.run("outer")
    assert parent.parent_run_id == backend.run("top").id
    assert backend.run("inner").parent_run_id == parent.id
    assert backend.run("middle").parent_run_id == parent.id


def test_tasks_side_by_side_know_their_own_run(backend: RecordingBackend) -> None:
    @task
    async def speak(n):
        await asyncio.sleep(0)
        get_run_logger().info("I am %s", n)

    @flow
    async def run():
        await asyncio.gather(*(speak(n) for n in range(5)))
        get_run_logger().info("done")

    asyncio.run(run())
    by_id = {record.id: record.name for record in backend.task_runs()}
    spoken = {by_id[line.task_run_id]: line.message for line in backend.lines() if line.task_run_id}
    assert spoken == {f"speak-{n}": f"I am {n}" for n in range(5)}


def test_runs_side_by_side_know_their_own_parent(backend: RecordingBackend) -> None:
    @flow
    async def leaf():
        await asyncio.sleep(0)
        return flow_run.parent_flow_run_id

    @flow
    async def branch():
        return await leaf() == flow_run.id

    @flow
    async def run():
        return await asyncio.gather(*(branch() for _ in range(5)))

    assert asyncio.run(run()) == [True] * 5


def test_async_tasks_can_be_submitted_from_both() -> None:
    @flow
    def from_plain():
        return add.submit(add.submit(1)).result(DEADLINE)

    @flow
    async def from_async():
        future = add.submit(plain.submit(1))
        return await future.result_async(), await add(future), add.map([1, 2]).result()

    assert from_plain() == 3
    assert asyncio.run(from_async()) == (11, 12, [2, 3])


def test_a_wait_for_an_input_does_not_block_the_event_loop() -> None:
    go = threading.Event()

    @task
    def slow():
        assert go.wait(DEADLINE)
        return 1

    @flow
    async def run():
        waits = asyncio.create_task(add(slow.submit()))
        await asyncio.sleep(0.005)
        go.set()
        return await waits

    assert asyncio.run(run()) == 2


def test_failures_and_states() -> None:
    @task
    async def breaks():
        raise ValueError("no")

    @flow
    async def run():
        assert (await breaks(return_state=True)).is_failed()
        await breaks()

    state = asyncio.run(run(return_state=True))
    with pytest.raises(ValueError, match="no"):
        state.result()


def test_retries_with_a_delay_and_an_async_condition(backend: RecordingBackend) -> None:
    calls = []

    async def always(task, run, state):
        return True

    @task(retries=2, retry_delay_seconds=0.001, retry_jitter_factor=1, retry_condition_fn=always)
    async def shaky():
        calls.append(1)
        if len(calls) < 3:
            raise ValueError
        return len(calls)

    @flow
    async def run():
        return await shaky()

    assert asyncio.run(run()) == 3


def test_a_time_limit_ends_it_at_the_next_await(backend: RecordingBackend) -> None:
    cleaned = []

    @task(timeout_seconds=0.01)
    async def hangs():
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    @flow
    async def run():
        with pytest.raises(TimeoutError, match="hangs-0"):
            await hangs()

    asyncio.run(run())
    assert cleaned == [1]
    assert backend.task_runs()[0].state.name == "TimedOut"


def test_a_timeout_error_of_the_users_is_no_time_limit(backend: RecordingBackend) -> None:
    @task(timeout_seconds=10)
    async def breaks():
        raise TimeoutError("the database")

    @flow
    async def run():
        with pytest.raises(TimeoutError, match="the database"):
            await breaks()

    asyncio.run(run())
    assert backend.task_runs()[0].state.name == "Failed"


def test_a_cancelled_flow_ends_cancelled(backend: RecordingBackend) -> None:
    begun = asyncio.Event()

    @flow(retries=3)
    async def hangs():
        begun.set()
        await asyncio.Event().wait()

    async def main():
        running = asyncio.create_task(hangs())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert backend.finished("hangs").state.type is StateType.CANCELLED


async def swallows() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(DEADLINE)


async def blocks() -> None:
    time.sleep(0.03)


@pytest.mark.parametrize("function", [swallows, blocks])
def test_who_overruns_has_not_completed(backend: RecordingBackend, function: Any) -> None:
    limited = flow(timeout_seconds=0.02)(function)
    state = asyncio.run(limited(return_state=True))
    assert state.name == "TimedOut"
    assert "longer than 0.02 s" in state.message
