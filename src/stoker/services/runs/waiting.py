"""Waits for the end of a run: of people and programs, and of runs, which lend meanwhile."""

import asyncio
from math import inf

from stoker.domain.runs import FlowRun
from stoker.services.claims import lending
from stoker.services.dispatcher import Dispatcher
from stoker.services.lookup import need_run
from stoker.services.unit import Unit

SLOW_POLL = 1.0
"""Seconds between two looks at a run that another process may change."""


async def await_run(
    dispatcher: Dispatcher,
    run_id: str,
    waiter: str | None,
    timeout: float | None,
    forgotten: asyncio.Future[None] | None = None,
) -> FlowRun:
    """Return a run once it is over, or as it is when ``timeout`` seconds have passed.

    It is cancelled when the run that waits has ended itdispatcher. Where that run has turned to
    something else before (``forgotten`` is done), the wait ends as if its time had passed.

    Raises:
        NotFound: There is no such run.
    """
    future = dispatcher.watch.end_of(run_id, waiter)
    try:
        if waiter is None:
            return await _await_end(dispatcher, future, run_id, timeout)
        await dispatcher.transact(lambda unit: _begin(unit, waiter, run_id))
        ends = [future] if forgotten is None else [future, forgotten]
        await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not future.done() and dispatcher.watch.waits(run_id, waiter) > 1:
            # Another request of this run still waits for it, and so the run still lends.
            return await dispatcher.read(lambda records: need_run(records, run_id))
        if not future.done():
            await dispatcher.transact(
                lambda unit: lending.end_wait(unit, waiter, need_run(unit.records, run_id))
            )
        return await future
    finally:
        future.cancel()


async def _await_end(
    dispatcher: Dispatcher, future: asyncio.Future[FlowRun], run_id: str, timeout: float | None
) -> FlowRun:
    now = asyncio.get_running_loop().time
    deadline = inf if timeout is None else now() + timeout
    while True:
        run = await dispatcher.read(lambda records: need_run(records, run_id))
        left = deadline - now()
        if run.state.is_terminal or left <= 0 or dispatcher.watch.closed:
            return run
        await asyncio.wait([future], timeout=patience(run, left))
        if future.done() and not future.cancelled():
            return future.result()


def patience(run: FlowRun, left: float) -> float | None:
    """Seconds to wait for word of a run before it is read again; None for any time.

    A script may write its runs into the store by itself: of these no word comes.
    """
    longest = inf if run.deployment_id is not None else SLOW_POLL
    return min(left, longest) if min(left, longest) < inf else None


def _begin(unit: Unit, waiter: str, run_id: str) -> None:
    run = need_run(unit.records, run_id)
    if run.state.is_terminal:
        lending.end_wait(unit, waiter, run)
    else:
        lending.begin_wait(unit, waiter, run)
