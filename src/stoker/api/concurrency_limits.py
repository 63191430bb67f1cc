"""Endpoints of concurrency limits, and of the slots that scripts take of them."""

from collections.abc import Sequence

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, structs

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.domain.concurrency import Limit, LimitKind
from stoker.domain.requests import Slots
from stoker.ports.store import Records
from stoker.services.concurrency import limiting, limits
from stoker.services.concurrency.limiting import Holder
from stoker.wire.http import LimitCreate, LimitDetail, LimitUpdate, ScriptSlots

HOLD = 60.0
"""Seconds for which a request is held at the most."""


def detail(records: Records, limit: Limit, now: float) -> LimitDetail:
    """Who has slots of a limit, and who waits for them."""
    leases = records.slot_leases(limit.kind, limit.name, now)
    return LimitDetail(
        limit=limit,
        in_use=sum(one.in_use(now) for one in leases),
        holders=[one for one in leases if one.acquired is not None],
        waiting=[one for one in leases if one.acquired is None],
    )


class ConcurrencyLimits(Controller):
    """``/api/concurrency-limits``"""

    path = "/api/concurrency-limits"
    tags: Sequence[str] | None = ("Concurrency limits",)

    @post("/", opt=scope("limits:write"), summary="Create a concurrency limit")
    async def create(self, context: NamedDependency[Context], data: JSONBody[LimitCreate]) -> Limit:
        """Store it; from now on it holds."""
        limit = Limit(**structs.asdict(data))
        return await context.dispatcher.transact(lambda unit: limits.create_limit(unit, limit))

    @get("/{kind:str}", opt=scope("limits:read"), summary="List concurrency limits")
    async def list_all(
        self, context: NamedDependency[Context], kind: FromPath[LimitKind]
    ) -> list[LimitDetail]:
        """Return those on tags (``tag``) or those with names (``name``), by name."""
        now = context.clock.now()
        return await context.dispatcher.read(
            lambda records: [detail(records, limit, now) for limit in records.limits(kind)]
        )

    @get("/{kind:str}/{name:str}", opt=scope("limits:read"), summary="Read a concurrency limit")
    async def read(
        self, context: NamedDependency[Context], kind: FromPath[LimitKind], name: FromPath[str]
    ) -> LimitDetail:
        """Return one, with who has slots of it and who waits."""
        now = context.clock.now()
        return await context.dispatcher.read(
            lambda records: detail(records, limiting.need_limit(records, kind, name), now)
        )

    @patch("/{kind:str}/{name:str}", opt=scope("limits:write"), summary="Change a limit")
    async def update(
        self,
        context: NamedDependency[Context],
        kind: FromPath[LimitKind],
        name: FromPath[str],
        data: JSONBody[LimitUpdate],
    ) -> Limit:
        """Change what the body holds; who fits now goes on."""
        slots = None if data.slots is UNSET else data.slots
        decay = None if data.decay is UNSET else data.decay
        active = None if data.active is UNSET else data.active
        return await context.dispatcher.transact(
            lambda unit: limits.update_limit(
                unit, kind, name, slots=slots, decay=decay, active=active
            )
        )

    @delete("/{kind:str}/{name:str}", opt=scope("limits:write"), summary="Delete a limit")
    async def remove(
        self, context: NamedDependency[Context], kind: FromPath[LimitKind], name: FromPath[str]
    ) -> None:
        """Forget it; who waits for it goes on."""
        await context.dispatcher.transact(lambda unit: limits.delete_limit(unit, kind, name))


class ScriptsSlots(Controller):
    """``/api/slots``"""

    path = "/api/slots"
    tags: Sequence[str] | None = ("Scripts",)

    @post("/", opt=scope("reports:write"), status_code=200, summary="Take slots of limits")
    async def acquire(
        self, context: NamedDependency[Context], data: JSONBody[ScriptSlots]
    ) -> Slots:
        """Answer once they are there, or the time to hold the request is over."""
        hold = min(max(0.0, data.hold), HOLD)
        return await context.granter.acquire(data.request, Holder(host_id=data.host_id), hold=hold)

    @delete("/{request_id:str}", opt=scope("reports:write"), summary="Give slots back")
    async def give_back(
        self, context: NamedDependency[Context], request_id: FromPath[str], host_id: FromQuery[str]
    ) -> None:
        """End a script's request, whether it has its slots or waits for them."""
        await context.dispatcher.transact(
            lambda unit: limiting.give_back(unit, request_id, Holder(host_id=host_id))
        )
