"""The driver for coroutine functions: does what a machine asks for, on an event loop."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from inspect import isawaitable
from typing import Any, TypeVar

from stoker.engine.blocking import perform, seconds_of
from stoker.engine.context import CURRENT, Context
from stoker.engine.interrupts import RunTimeout
from stoker.engine.pool import waiting_for_slots
from stoker.engine.steps import Call, Flush, Outcome, Resolve, Settle, Sleep, Step, Steps, Take

T = TypeVar("T")


async def drive(steps: Steps, context: Context) -> Outcome:
    """Run a machine to its end, as `stoker.engine.blocking.drive` does."""
    token = CURRENT.set(context)
    try:
        step = steps.send(None)
        while True:
            try:
                answer = await _perform(step, context)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return end.value
    finally:
        CURRENT.reset(token)


async def _perform(step: Step, context: Context) -> Any:
    match step:
        case Call():
            answer = step.function(*step.args, **step.kwargs)
            if not isawaitable(answer):
                return answer
            if step.timeout is None:
                return await answer
            begun = time.monotonic()
            limit = asyncio.timeout(step.timeout)
            try:
                async with limit:
                    value = await answer
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise _overrun(step.what, step.timeout) from error
            if limit.expired() or begun + step.timeout < time.monotonic():
                # It swallowed its end, or kept the event loop from ending it.
                raise _overrun(step.what, step.timeout)
            return value
        case Sleep():
            return await asyncio.sleep(seconds_of(step))
        case Resolve() if not _must_wait(step):
            return perform(step, context)
        case Take():
            return await _take(step, context)
        case Resolve() | Settle() | Flush():
            # These may wait for threads; the event loop must go on meanwhile.
            return await in_thread(lambda: perform(step, context))
        case _:
            return perform(step, context)


async def _take(step: Take, context: Context) -> None:
    try:
        with waiting_for_slots():
            await in_thread(lambda: perform(step, context))
    except BaseException:
        # The thread waits on: it has to know that nobody does.
        step.claim.give_back()
        raise


def _overrun(what: str, seconds: float) -> RunTimeout:
    return RunTimeout.of(what, f"ran longer than {seconds:g} s")


def _must_wait(step: Resolve) -> bool:
    from stoker.futures import pending

    return bool(pending(step.args, step.kwargs, step.wait_for))


async def in_thread(function: Callable[[], T]) -> T:
    """Call a blocking function in a thread of its own, with the caller's context.

    No pool: hundreds of waits for deployed runs must not queue behind each other, and one that
    is given up must not hold up the end of the event loop.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = copy_context()

    def settle(value: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def work() -> None:
        value, error = None, None
        try:
            value = context.run(function)
        except BaseException as problem:
            error = problem
        try:
            loop.call_soon_threadsafe(settle, value, error)
        except RuntimeError:
            return  # The loop is closed: nobody waits any more.

    threading.Thread(target=work, name="stoker-wait", daemon=True).start()
    return await future
