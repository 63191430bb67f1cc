"""Endpoints of work pools and their queues."""

from collections.abc import Sequence
from typing import Any

from litestar import Controller, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Struct, structs

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.domain.errors import Invalid
from stoker.domain.hosts import HostZygote
from stoker.domain.pools import WorkPool, WorkQueue
from stoker.ports.store import Records
from stoker.services import administration
from stoker.services.fleet.launching import connected_workers
from stoker.services.lookup import need_pool
from stoker.wire.http import (
    KnobChanges,
    PoolCreate,
    PoolDetail,
    PoolUpdate,
    QueuePut,
    UnsafeCode,
)


def detail(records: Records, pool: WorkPool, now: float) -> PoolDetail:
    """What a pool is doing: its connected workers, its hosts and their zygotes, its runs."""
    hosts = records.hosts(pool.name)
    held = records.zygotes(pool.name)
    return PoolDetail(
        pool=pool,
        queues=records.queues(pool.name),
        workers=connected_workers(records, now, pool.name),
        hosts=hosts,
        zygotes=held,
        unsafe=unsafe_codes(records, pool, held),
        running=sum(len(records.leases_of(host.id)) for host in hosts),
        queued=sum(count.runs for count in records.queued_counts(pool.name)),
    )


def unsafe_codes(
    records: Records, pool: WorkPool, zygotes: Sequence[HostZygote]
) -> list[UnsafeCode]:
    """The codes of a pool's deployments that its hosts found unsafe to fork."""
    faults = {zygote.key: zygote.faults for zygote in zygotes if zygote.faults}
    found: dict[str, UnsafeCode] = {}
    for deployment in records.deployments(pool.name) if faults else []:
        code = deployment.code
        if code is not None and code.key in faults:
            unsafe = UnsafeCode(deployments=[], file=code.file, faults=faults[code.key])
            found.setdefault(code.key, unsafe).deployments.append(deployment.full_name)
    return list(found.values())


LEAST_FENCE = 3
"""Heartbeats; a shorter ``fence_after`` would end the runs of hosts that are well."""


def _check_fence(context: Context, fence_after: float) -> None:
    """Refuse a time to fence within which a host cannot prove that it lives."""
    least = LEAST_FENCE * context.heartbeat
    if fence_after < least:
        raise Invalid(
            f"fence_after must be {least:g} seconds or more, not {fence_after:g}: a host says "
            f"every {context.heartbeat:g} s that it lives, and one or two of these may be late"
        )


def _given(data: Struct) -> dict[str, Any]:
    return {key: value for key, value in structs.asdict(data).items() if value is not UNSET}


class WorkPools(Controller):
    """``/api/work-pools``"""

    path = "/api/work-pools"
    tags: Sequence[str] | None = ("Work pools",)

    @post("/", opt=scope("pools:write"), summary="Create a work pool")
    async def create(
        self, context: NamedDependency[Context], data: JSONBody[PoolCreate]
    ) -> WorkPool:
        """Store it with its default queue."""
        pool = WorkPool(id="", **structs.asdict(data))
        _check_fence(context, pool.fence_after)
        return await context.dispatcher.transact(
            lambda unit: administration.create_pool(unit, pool)
        )

    @get("/", opt=scope("pools:read"), summary="List work pools")
    async def list_all(self, context: NamedDependency[Context]) -> list[PoolDetail]:
        """Return all, with what they are doing."""
        now = context.clock.now()
        return await context.dispatcher.read(
            lambda records: [detail(records, pool, now) for pool in records.pools()]
        )

    @get("/{name:str}", opt=scope("pools:read"), summary="Read a work pool")
    async def read(self, context: NamedDependency[Context], name: FromPath[str]) -> PoolDetail:
        """Return one, with what it is doing."""
        now = context.clock.now()
        return await context.dispatcher.read(
            lambda records: detail(records, need_pool(records, name), now)
        )

    @patch("/{name:str}", opt=scope("pools:write"), summary="Change a work pool")
    async def update(
        self, context: NamedDependency[Context], name: FromPath[str], data: JSONBody[PoolUpdate]
    ) -> WorkPool:
        """Change what the body holds."""
        changes = _given(data)
        if "fence_after" in changes:
            _check_fence(context, changes["fence_after"])
        if isinstance(data.warm, KnobChanges):
            changes["warm"] = _given(data.warm)
        return await context.dispatcher.transact(
            lambda unit: administration.update_pool(unit, name, changes)
        )

    @delete("/{name:str}", opt=scope("pools:write"), summary="Delete a work pool")
    async def remove(self, context: NamedDependency[Context], name: FromPath[str]) -> None:
        """Forget a pool that has no deployments and no runs."""
        await context.dispatcher.transact(lambda unit: administration.delete_pool(unit, name))

    @put("/{pool:str}/queues/{name:str}", opt=scope("pools:write"), summary="Set a work queue")
    async def put_queue(
        self,
        context: NamedDependency[Context],
        pool: FromPath[str],
        name: FromPath[str],
        data: JSONBody[QueuePut],
    ) -> WorkQueue:
        """Create or replace a queue."""
        queue = WorkQueue(pool=pool, name=name, **structs.asdict(data))
        return await context.dispatcher.transact(lambda unit: administration.put_queue(unit, queue))
