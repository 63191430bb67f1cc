"""Pausing, suspending, resuming and retrying runs: endpoints, and the wait of a run that pauses."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.domain.requests import HoldRun, PauseRun
from stoker.domain.runs import FlowRun
from stoker.services.runs import pausing
from stoker.services.runs.rerunning import rerun

HOUR = 3600.0

Seconds = Annotated[float, QueryParameter(ge=0, le=1e9)]
"""Seconds after which a run fails that nobody resumed; 0 for never."""


async def pause_itself(
    context: Context,
    request: PauseRun,
    attempt: int,
    forgotten: asyncio.Future[None],
) -> FlowRun:
    """Pause a run that asks to be, and return it once it may go on.

    Where it has turned to something else before (``forgotten`` is done), its pause is over.

    Raises:
        FlowPauseTimeout: Nobody resumed it in time.
        Conflict: It cannot pause now.
    """
    dispatcher = context.dispatcher
    while True:
        over = dispatcher.watch.pause_of(request.run_id)
        try:
            run = await dispatcher.transact(lambda unit: pausing.pause_itself(unit, request))
            if run is not None:
                return run
            await asyncio.wait([over, forgotten], return_when=asyncio.FIRST_COMPLETED)
            if forgotten.done() and not over.done():
                await dispatcher.transact(
                    lambda unit: pausing.give_up_pause(unit, request.run_id, attempt)
                )
            # Where its attempt is over, nobody waits for an answer.
            await over
        finally:
            over.cancel()


class Pauses(Controller):
    """``/api/flow-runs/{id}/pause`` and the like"""

    path = "/api/flow-runs/{run_id:str}"
    tags: Sequence[str] | None = ("Flow runs",)

    @post("/pause", opt=scope("runs:write"), status_code=200, summary="Pause a run")
    async def pause(
        self,
        context: NamedDependency[Context],
        run_id: FromPath[str],
        timeout: Seconds = HOUR,
    ) -> FlowRun:
        """Let the processes of a running run stand still; it keeps its slot."""
        request = HoldRun(run_id=run_id, timeout=timeout or None)
        return await context.dispatcher.transact(lambda unit: pausing.hold(unit, request))

    @post("/suspend", opt=scope("runs:write"), status_code=200, summary="Suspend a run")
    async def suspend(
        self,
        context: NamedDependency[Context],
        run_id: FromPath[str],
        timeout: Seconds = HOUR,
    ) -> FlowRun:
        """End the process of a run, or take it from its queue; it begins again when resumed."""
        request = HoldRun(run_id=run_id, timeout=timeout or None, suspend=True)
        return await context.dispatcher.transact(lambda unit: pausing.hold(unit, request))

    @post("/resume", opt=scope("runs:write"), status_code=200, summary="Resume a run")
    async def resume(self, context: NamedDependency[Context], run_id: FromPath[str]) -> FlowRun:
        """Let a paused run go on, or queue a suspended one again."""
        return await context.dispatcher.transact(lambda unit: pausing.resume(unit, run_id))

    @post("/retry", opt=scope("runs:write"), status_code=200, summary="Run a finished run again")
    async def retry(
        self,
        context: NamedDependency[Context],
        run_id: FromPath[str],
        force: FromQuery[bool] = False,
    ) -> FlowRun:
        """Queue a run again that is over; with ``force`` also one that completed."""
        return await context.dispatcher.transact(lambda unit: rerun(unit, run_id, force=force))
