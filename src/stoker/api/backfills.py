"""Endpoints of backfills."""

import asyncio
from collections.abc import Sequence

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec.structs import replace

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.api.schedules import checked
from stoker.domain.errors import Invalid
from stoker.domain.schedules import Backfill, Schedule
from stoker.domain.scheduling.wall_time import instant_of
from stoker.ports.store import Records
from stoker.services.lookup import need_deployment
from stoker.services.schedules import backfilling, scheduling
from stoker.services.unit import Unit
from stoker.wire.schedules import BackfillAnswer, BackfillStart

SAMPLE = 1000
"""First instants of a backfill that are shown."""


class Backfills(Controller):
    """``/api/backfills``, and ``…/backfills`` of a deployment."""

    path = "/"
    tags: Sequence[str] | None = ("Backfills",)

    @post(
        "/api/deployments/{flow:str}/{name:str}/backfills",
        opt=scope("runs:write"),
        summary="Make runs for a period",
    )
    async def backfill(
        self,
        context: NamedDependency[Context],
        flow: FromPath[str],
        name: FromPath[str],
        data: JSONBody[BackfillStart],
    ) -> BackfillAnswer:
        """Start a backfill, or go on with the one that was asked for in the same words before."""
        schedule = await _schedule_of(context, f"{flow}/{name}", data)
        # First: an interval counts from there, and would blame its anchor.
        start = instant_of(data.start, schedule.timezone, "from")
        stop = instant_of(data.stop, schedule.timezone, "to")
        await checked([schedule])
        plan = await asyncio.to_thread(
            backfilling.planned, schedule, start, stop, data.limit, data.param_instant
        )
        made = None
        if data.dry_run:
            await context.dispatcher.read(
                lambda records: backfilling.check_parameters(
                    need_deployment(records, f"{flow}/{name}"), plan
                )
            )
        else:
            made = await context.dispatcher.transact(
                lambda unit: backfilling.begin(
                    unit, need_deployment(unit.records, f"{flow}/{name}"), plan
                )
            )
            made = replace(made, deployment=f"{flow}/{name}")
        return BackfillAnswer(
            backfill=made,
            total=len(plan.instants),
            instants=plan.instants[:SAMPLE],
            timezone=schedule.timezone or "UTC",
        )

    @get("/api/backfills", opt=scope("runs:read"), summary="List backfills")
    async def list_all(
        self, context: NamedDependency[Context], deployment: FromQuery[str | None] = None
    ) -> list[Backfill]:
        """Return the newest ones, of all deployments or of ``flow/name``."""

        def work(records: Records) -> list[Backfill]:
            only = None if deployment is None else need_deployment(records, deployment).id
            return [_with_counts(records, one) for one in records.backfills(only)]

        return await context.dispatcher.read(work)

    @get("/api/backfills/{backfill_id:str}", opt=scope("runs:read"), summary="Read a backfill")
    async def read(self, context: NamedDependency[Context], backfill_id: FromPath[str]) -> Backfill:
        """Return one, with the number of its runs that are not over."""
        return await context.dispatcher.read(
            lambda records: _with_counts(records, backfilling.need_backfill(records, backfill_id))
        )

    @post(
        "/api/backfills/{backfill_id:str}/cancel",
        opt=scope("runs:write"),
        status_code=200,
        summary="Cancel a backfill",
    )
    async def cancel(
        self, context: NamedDependency[Context], backfill_id: FromPath[str]
    ) -> Backfill:
        """Make no more runs, and cancel those that wait; those that run go on."""

        def work(unit: Unit) -> Backfill:
            done = backfilling.cancel_backfill(unit, backfill_id)
            return _with_counts(unit.records, done)

        return await context.dispatcher.transact(work)


def _with_counts(records: Records, one: Backfill) -> Backfill:
    deployment = records.deployment(one.deployment_id)
    return replace(
        one,
        deployment=deployment.full_name if deployment else "",
        open=records.open_occurrences(one.id),
    )


async def _schedule_of(context: Context, name: str, data: BackfillStart) -> Schedule:
    if (data.schedule is None) == (data.slug is None):
        raise Invalid("schedule, slug: give one of them")
    if data.schedule is not None:
        there = data.schedule
    else:
        slug = data.slug or ""
        stored = await context.dispatcher.read(
            lambda records: scheduling.need_schedule(records, need_deployment(records, name), slug)
        )
        there = stored.schedule
    # Only what says which runs there are: a pause of the schedule makes no other backfill.
    return Schedule(
        cron=there.cron,
        interval=there.interval,
        rrule=there.rrule,
        timezone=there.timezone,
        anchor_date=there.anchor_date,
        day_or=there.day_or,
        parameters={**there.parameters, **data.parameters},
    )
