"""Task runs that are handed to a task runner, each begun once what it waits for is over."""

import threading
import time
from contextvars import copy_context
from typing import Any, cast

from stoker.engine import blocking
from stoker.engine.context import FlowContext, TaskContext
from stoker.engine.interrupts import RunCancelled, deliver
from stoker.engine.machine import TaskAttempts, failed
from stoker.engine.pool import TaskPool
from stoker.engine.steps import Outcome, Steps
from stoker.futures import Future, pending, queued_state


def submit(
    steps: Steps,
    context: TaskContext,
    pool: TaskPool,
    inputs: tuple[Any, ...],
    *,
    is_async: bool,
) -> Future[Any]:
    """Have a pool execute a task run, and return its future.

    Args:
        steps: The task run.
        context: What it is in.
        pool: Its flow's.
        inputs: What it is given; it begins when the futures in there are done.
        is_async: Whether it is a coroutine.
    """
    future = Future[Any](context.id, context.name, queued_state(time.time()))
    carried = copy_context()

    def work() -> None:
        future.finish(carried.run(_drive, is_async, steps, context, pool))

    pool.expect()
    upstream = pending(*inputs)
    left = len(upstream)
    lock = threading.Lock()

    def one_done(_: Any) -> None:
        nonlocal left
        with lock:
            left -= 1
            ready = not left
        if ready:
            pool.put(work)

    if not left:
        pool.put(work)
    for other in upstream:
        other.add_done_callback(one_done)
    return future


def _drive(is_async: bool, steps: Steps, context: TaskContext, pool: TaskPool) -> Outcome:
    try:
        if pool.cancelled:
            return _never_begun(steps, context)
        if not is_async:
            return blocking.drive(steps, context)
        import asyncio

        from stoker.engine import looping

        return asyncio.run(looping.drive(steps, context))
    except BaseException as error:
        return failed(error, time.time())


def _never_begun(steps: Steps, context: TaskContext) -> Outcome:
    steps.close()
    outcome = failed(RunCancelled("its flow ended before it began"), time.time())
    reports = TaskAttempts(None, cast(Any, None), context).now(outcome.state)
    deliver(context.flow.backend, context.flow.id, *reports)
    return outcome


def pool_of(flow: FlowContext) -> TaskPool:
    """Return the pool that executes a flow's submitted task runs; the first call opens it."""
    pool = flow.pool
    if pool is None:
        runner = flow.task_runner
        if runner is None:
            from stoker.task_runners import ThreadPoolTaskRunner

            runner = ThreadPoolTaskRunner()
        pool = flow.pool = cast(TaskPool, runner.open())
    return pool
