"""Endpoints of flow runs."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.domain.errors import Invalid, Unavailable
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun, StoredLogLine, TaskRun
from stoker.domain.states import StateRecord, StateType
from stoker.ports.store import Records, RunFilter
from stoker.services.claims import lending
from stoker.services.fleet.launching import outlook_of
from stoker.services.lookup import need_run
from stoker.services.operations.forgetting import forget
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.explaining import Outlook, explain
from stoker.services.runs.submission import submit
from stoker.services.runs.waiting import await_run, patience
from stoker.services.unit import Unit
from stoker.wire.http import RunIds, RunPage, StartRuns

MAX_WAIT = 300.0
"""Seconds for which a request is held at the most; a longer wait asks again."""

Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
ALIASES = {"wanted": "state", "data": "body"}
"""Parameters of handlers that callers know by another name: Litestar keeps these to itself."""

Cursor = Annotated[
    str | None,
    QueryParameter(
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", description="A run's id"
    ),
]
LogCursor = Annotated[int, QueryParameter(ge=0, le=2**63 - 1)]

States = Annotated[list[StateType] | None, QueryParameter(name="state")]
Wait = Annotated[float, QueryParameter(ge=0)]


async def start_run(
    context: Context,
    request: StartRun,
    waiter: str | None,
    forgotten: asyncio.Future[None] | None = None,
) -> FlowRun:
    """Start a run, and wait for its end as the request says; ``waiter`` lends to it meanwhile."""
    waits = request.timeout != 0

    def work(unit: Unit) -> FlowRun:
        (run,) = submit(unit, [request])
        if waits and waiter is not None and not run.state.is_terminal:
            lending.begin_wait(unit, waiter, run)
        return run

    run = await context.dispatcher.transact(work)
    if not waits or (run.state.is_terminal and waiter is None):
        return run
    try:
        return await await_run(context.dispatcher, run.id, waiter, request.timeout, forgotten)
    except Unavailable:
        if waiter is not None:
            raise
        # It is accepted: that nobody can wait for it here any more is no reason to send it again.
        return run


class FlowRuns(Controller):
    """``/api/flow-runs``"""

    path = "/api/flow-runs"
    tags: Sequence[str] | None = ("Flow runs",)

    @post("/", opt=scope("runs:write"), summary="Start a run of a deployment")
    async def start(self, context: NamedDependency[Context], data: JSONBody[StartRun]) -> FlowRun:
        """Store the run and give it a slot if one is free; wait for its end where asked to."""
        if data.timeout is not None and data.timeout < 0:
            raise Invalid(f"timeout: 0 or more seconds, or null for ever; not {data.timeout:g}")
        if data.timeout is None or data.timeout > MAX_WAIT:
            data.timeout = MAX_WAIT
        return await start_run(context, data, None)

    @post("/batch", opt=scope("runs:write"), summary="Start many runs, all or none")
    async def start_many(
        self, context: NamedDependency[Context], data: JSONBody[StartRuns]
    ) -> RunIds:
        """Store the runs in one transaction."""
        runs = await context.dispatcher.transact(lambda unit: submit(unit, data.runs))
        return RunIds(ids=[run.id for run in runs])

    @get("/", opt=scope("runs:read"), summary="List runs, newest first")
    async def list_runs(
        self,
        context: NamedDependency[Context],
        wanted: States = None,
        deployment: FromQuery[str | None] = None,
        flow: FromQuery[str | None] = None,
        pool: FromQuery[str | None] = None,
        parent: FromQuery[str | None] = None,
        before: Cursor = None,
        limit: Limit = 50,
    ) -> RunPage:
        """Return one page; ``next`` is the ``before`` of the one that follows."""
        which = RunFilter(
            states=wanted or (),
            deployment=deployment,
            flow=flow,
            pool=pool,
            parent=parent,
            before=before,
            limit=limit,
        )
        runs = await context.dispatcher.read(lambda records: records.flow_runs(which))
        return RunPage(runs=runs, next=runs[-1].id if len(runs) == limit else None)

    @get("/{run_id:str}", opt=scope("runs:read"), summary="Read a run")
    async def read(self, context: NamedDependency[Context], run_id: FromPath[str]) -> FlowRun:
        """Return the run, with why it waits where it does."""
        now = context.clock.now()

        def work(records: Records) -> FlowRun:
            run = need_run(records, run_id)
            if run.state.type is StateType.SCHEDULED and run.pool is not None:
                outlook = outlook_of(records, run.pool, now)
                run.waiting_for = explain(records, run, outlook, now)
            else:
                run.waiting_for = explain(records, run, Outlook(), now)
            return run

        return await context.dispatcher.read(work)

    @get("/{run_id:str}/wait", opt=scope("runs:read"), summary="Wait for a run's end")
    async def wait(
        self, context: NamedDependency[Context], run_id: FromPath[str], timeout: Wait = 60.0
    ) -> FlowRun:
        """Answer once the run is over, or with the run as it is after ``timeout`` seconds."""
        return await await_run(context.dispatcher, run_id, None, min(timeout, MAX_WAIT))

    @get("/{run_id:str}/states", opt=scope("runs:read"), summary="Read a run's history")
    async def states(
        self, context: NamedDependency[Context], run_id: FromPath[str]
    ) -> list[StateRecord]:
        """Return the states that the run has been in, oldest first."""

        def work(records: Records) -> list[StateRecord]:
            run = need_run(records, run_id)
            states = records.states(run_id)
            if run.deployment_id is not None:
                states.insert(0, StateRecord(StateType.SCHEDULED, "Scheduled", run.created))
            return states

        return await context.dispatcher.read(work)

    @get("/{run_id:str}/task-runs", opt=scope("runs:read"), summary="Read a run's task runs")
    async def task_runs(
        self, context: NamedDependency[Context], run_id: FromPath[str]
    ) -> list[TaskRun]:
        """Return the task runs, oldest first."""

        def work(records: Records) -> list[TaskRun]:
            need_run(records, run_id)
            return records.task_runs(run_id)

        return await context.dispatcher.read(work)

    @get("/{run_id:str}/logs", opt=scope("runs:read"), summary="Read a run's log")
    async def logs(
        self,
        context: NamedDependency[Context],
        run_id: FromPath[str],
        after: LogCursor = 0,
        limit: Limit = 1000,
        wait: Wait = 0.0,
    ) -> list[StoredLogLine]:
        """Return the lines after a known one.

        With ``wait``, the answer is held until there are lines, the run is over, or that many
        seconds have passed.
        """

        def work(records: Records) -> tuple[list[StoredLogLine], FlowRun]:
            run = need_run(records, run_id)
            return records.logs(run_id, after, limit), run

        deadline = context.clock.boot() + min(wait, MAX_WAIT)
        while True:
            news = context.dispatcher.watch.lines_of(run_id)
            try:
                lines, run = await context.dispatcher.read(work)
                left = deadline - context.clock.boot()
                over = run.state.is_terminal or context.dispatcher.watch.closed
                if lines or over or left <= 0:
                    return lines
                await asyncio.wait([news], timeout=patience(run, left))
            finally:
                news.cancel()

    @post("/{run_id:str}/cancel", opt=scope("runs:write"), status_code=200, summary="Cancel a run")
    async def cancel(self, context: NamedDependency[Context], run_id: FromPath[str]) -> FlowRun:
        """Cancel the run, and the runs that it waits for."""
        return await context.dispatcher.transact(lambda unit: cancel(unit, run_id))

    @delete(
        "/{run_id:str}",
        opt=scope("runs:write"),
        status_code=204,
        summary="Delete a run that is over",
    )
    async def delete(self, context: NamedDependency[Context], run_id: FromPath[str]) -> None:
        """Delete the run, the runs in its process, and all that they have left behind."""
        await context.dispatcher.transact(lambda unit: forget(unit, run_id))
