"""Endpoints of schedules and backfills."""

import asyncio
from collections.abc import Sequence

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec.structs import replace

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.domain.deployments import Deployment
from stoker.domain.schedules import DeploymentSchedule, Schedule
from stoker.domain.scheduling.timing import check, occurrences
from stoker.ports.store import Records
from stoker.services.lookup import need_deployment
from stoker.services.schedules import scheduling
from stoker.wire.schedules import SchedulePatch

UPCOMING = 5
"""Next occurrences that are shown of a schedule."""


async def checked(schedules: Sequence[Schedule]) -> None:
    """Refuse what is impossible; in a thread, since the rarest of rules take a second.

    Raises:
        Invalid: Says which field, and what it takes.
    """
    if schedules:
        await asyncio.to_thread(lambda: [check(one) for one in schedules])


def _shown(one: DeploymentSchedule, deployment: Deployment) -> DeploymentSchedule:
    upcoming = list(occurrences(one.schedule, one.cursor, limit=UPCOMING))
    return replace(
        one,
        deployment=deployment.full_name,
        upcoming=upcoming if one.schedule.active else [],
    )


class Schedules(Controller):
    """``/api/deployments/{flow}/{name}/schedules``"""

    path = "/api/deployments/{flow:str}/{name:str}/schedules"
    tags: Sequence[str] | None = ("Schedules",)

    @get("/", opt=scope("deployments:read"), summary="List a deployment's schedules")
    async def list_all(
        self, context: NamedDependency[Context], flow: FromPath[str], name: FromPath[str]
    ) -> list[DeploymentSchedule]:
        """Return them by name, with their next occurrences."""

        def work(records: Records) -> tuple[Deployment, list[DeploymentSchedule]]:
            deployment = need_deployment(records, f"{flow}/{name}")
            return deployment, records.schedules_of(deployment.id)

        deployment, found = await context.dispatcher.read(work)
        return await asyncio.to_thread(lambda: [_shown(one, deployment) for one in found])

    @post("/", opt=scope("deployments:write"), summary="Give a deployment a schedule")
    async def create(
        self,
        context: NamedDependency[Context],
        flow: FromPath[str],
        name: FromPath[str],
        data: JSONBody[Schedule],
    ) -> DeploymentSchedule:
        """Store it beside those that there are; it fires from now on."""
        await checked([data])
        deployment, made = await context.dispatcher.transact(
            lambda unit: (
                found := need_deployment(unit.records, f"{flow}/{name}"),
                scheduling.add(unit, found, data),
            )
        )
        return await asyncio.to_thread(_shown, made, deployment)

    @patch("/{slug:str}", opt=scope("deployments:write"), summary="Pause or resume a schedule")
    async def change(
        self,
        context: NamedDependency[Context],
        flow: FromPath[str],
        name: FromPath[str],
        slug: FromPath[str],
        data: JSONBody[SchedulePatch],
    ) -> DeploymentSchedule:
        """Set whether it fires. What was due while it was paused is not run later."""
        deployment, changed = await context.dispatcher.transact(
            lambda unit: (
                found := need_deployment(unit.records, f"{flow}/{name}"),
                scheduling.set_active(unit, found, slug, active=data.active),
            )
        )
        return await asyncio.to_thread(_shown, changed, deployment)

    @delete("/{slug:str}", opt=scope("deployments:write"), summary="Delete a schedule")
    async def remove(
        self,
        context: NamedDependency[Context],
        flow: FromPath[str],
        name: FromPath[str],
        slug: FromPath[str],
    ) -> None:
        """Forget it; runs that it has started go on."""
        await context.dispatcher.transact(
            lambda unit: scheduling.delete(
                unit, need_deployment(unit.records, f"{flow}/{name}"), slug
            )
        )
