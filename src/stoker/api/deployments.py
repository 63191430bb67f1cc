"""Endpoints of deployments."""

from collections.abc import Sequence

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.api.schedules import checked
from stoker.domain.deployments import Code, Deployment
from stoker.services import administration
from stoker.services.fleet.warming import wanted_codes
from stoker.services.replicas.peers import News
from stoker.services.unit import Unit


async def put_deployment(context: Context, deployment: Deployment) -> Deployment:
    """Store a deployment, and have its pool's hosts import its code."""

    def work(unit: Unit) -> tuple[Deployment, list[Code]]:
        stored = administration.put_deployment(unit, deployment)
        return stored, wanted_codes(unit.records, stored.pool, stored.lane)

    await checked(deployment.schedules or [])
    stored, codes = await context.dispatcher.transact(work)
    context.dispatcher.hosts.warm(stored.pool, stored.lane, codes)
    context.dispatcher.tell(News(warm={(stored.pool, stored.lane)}))
    return stored


class Deployments(Controller):
    """``/api/deployments``"""

    path = "/api/deployments"
    tags: Sequence[str] | None = ("Deployments",)

    @put("/", opt=scope("deployments:write"), summary="Create or replace a deployment")
    async def put(
        self, context: NamedDependency[Context], data: JSONBody[Deployment]
    ) -> Deployment:
        """Store it by flow and name; its id and lane are the server's."""
        return await put_deployment(context, data)

    @get("/", opt=scope("deployments:read"), summary="List deployments")
    async def list_all(self, context: NamedDependency[Context]) -> list[Deployment]:
        """Return all; those that ran last first."""
        return await context.dispatcher.read(lambda records: records.deployments())

    @get("/{flow:str}/{name:str}", opt=scope("deployments:read"), summary="Read a deployment")
    async def read(
        self, context: NamedDependency[Context], flow: FromPath[str], name: FromPath[str]
    ) -> Deployment:
        """Return one by its flow and name."""
        full_name = f"{flow}/{name}"
        return await context.dispatcher.read(
            lambda records: administration.need_deployment(records, full_name)
        )

    @delete("/{flow:str}/{name:str}", opt=scope("deployments:write"), summary="Delete a deployment")
    async def remove(
        self, context: NamedDependency[Context], flow: FromPath[str], name: FromPath[str]
    ) -> None:
        """Forget it and cancel its queued runs; running ones go on."""
        full_name = f"{flow}/{name}"
        await context.dispatcher.transact(
            lambda unit: administration.delete_deployment(unit, full_name)
        )
