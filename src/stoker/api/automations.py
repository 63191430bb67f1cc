"""Endpoints of automations."""

from collections.abc import Sequence
from typing import Any

from litestar import Controller, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.domain.automation.automations import Automation, shown
from stoker.domain.automation.deliveries import Delivery, shown_delivery
from stoker.domain.errors import NotFound
from stoker.ports.store import Records
from stoker.services.automations import managing as automations
from stoker.services.unit import Unit
from stoker.wire.automations import (
    AutomationDetail,
    AutomationPatch,
    AutomationPut,
    AutomationTest,
)

LAST = 20
"""Deliveries that are shown with an automation."""


def _automation(data: AutomationPut) -> Automation:
    values: dict[str, Any] = {name: getattr(data, name) for name in data.__struct_fields__}
    return Automation(**values)


class Automations(Controller):
    """``/api/automations``"""

    path = "/api/automations"
    tags: Sequence[str] | None = ("Automations",)

    @post("/", opt=scope("automations:write"), summary="Create an automation")
    async def create(
        self, context: NamedDependency[Context], data: JSONBody[AutomationPut]
    ) -> Automation:
        """Store it; it looks at what happens from then on."""

        def work(unit: Unit) -> Automation:
            return automations.create_automation(unit, _automation(data))

        return shown(await context.dispatcher.transact(work))

    @get("/", opt=scope("automations:read"), summary="List automations")
    async def list_all(self, context: NamedDependency[Context]) -> list[Automation]:
        """Return all by name, without their secrets."""
        found = await context.dispatcher.read(lambda records: records.automations())
        return [shown(one) for one in found]

    @get("/{name:str}", opt=scope("automations:read"), summary="Read an automation")
    async def read(
        self, context: NamedDependency[Context], name: FromPath[str]
    ) -> AutomationDetail:
        """Return one and what it did last, without secrets."""

        def work(records: Records) -> AutomationDetail:
            automation = automations.need_automation(records, name)
            return AutomationDetail(
                automation=shown(automation),
                deliveries=[shown_delivery(one) for one in records.deliveries(automation.id, LAST)],
            )

        return await context.dispatcher.read(work)

    @put("/{name:str}", opt=scope("automations:write"), summary="Replace an automation")
    async def replace(
        self,
        context: NamedDependency[Context],
        name: FromPath[str],
        data: JSONBody[AutomationPut],
    ) -> Automation:
        """Put another definition in its place. Secrets are given anew."""

        def work(unit: Unit) -> Automation:
            return automations.replace_automation(unit, name, _automation(data))

        return shown(await context.dispatcher.transact(work))

    @patch("/{name:str}", opt=scope("automations:write"), summary="Pause or resume an automation")
    async def update(
        self,
        context: NamedDependency[Context],
        name: FromPath[str],
        data: JSONBody[AutomationPatch],
    ) -> Automation:
        """Change what the body holds."""
        enabled = data.enabled
        if enabled is UNSET:
            found = await context.dispatcher.read(
                lambda records: automations.need_automation(records, name)
            )
        else:
            found = await context.dispatcher.transact(
                lambda unit: automations.enable(unit, name, enabled)
            )
        return shown(found)

    @delete("/{name:str}", opt=scope("automations:write"), summary="Delete an automation")
    async def remove(self, context: NamedDependency[Context], name: FromPath[str]) -> None:
        """Forget it, and what it had still to do."""
        await context.dispatcher.transact(lambda unit: automations.delete_automation(unit, name))

    @post("/{name:str}/test", opt=scope("automations:write"), summary="Try an automation")
    async def test(
        self,
        context: NamedDependency[Context],
        name: FromPath[str],
        data: JSONBody[AutomationTest],
    ) -> list[Delivery]:
        """Have it do, once, what it does; `read` says what came of it."""

        def work(unit: Unit) -> list[Delivery]:
            event = None
            if data.event is not None:
                found = unit.records.events_after(data.event - 1, data.event, 1)
                if not found:
                    raise NotFound(f"event: there is no event {data.event}")
                event = found[0]
            return automations.try_automation(unit, name, event)

        return [shown_delivery(one) for one in await context.dispatcher.transact(work)]
