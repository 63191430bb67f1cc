"""Endpoints for scripts that run their flows themselves."""

from litestar import delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.domain.hosts import ProcessIdentity
from stoker.domain.pools import Machine
from stoker.services.runs import scripts
from stoker.services.runs.intake import take_in
from stoker.wire.http import ReportFrames, ScriptHello


@post("/api/scripts", opt=scope("reports:write"), status_code=204, tags=["Scripts"])
async def hello(context: NamedDependency[Context], data: JSONBody[ScriptHello]) -> None:
    """A script will report runs that it executes itself."""
    machine = Machine(data.machine_name, data.boot_id, data.pid_namespace)
    process = ProcessIdentity(data.pid, data.started, machine)
    until = context.clock.now() + context.lease
    await context.dispatcher.transact(
        lambda unit: scripts.register(unit, data.host_id, process, until)
    )


@post(
    "/api/scripts/{host_id:str}/heartbeat",
    opt=scope("reports:write"),
    status_code=204,
    tags=["Scripts"],
)
async def heartbeat(context: NamedDependency[Context], host_id: FromPath[str]) -> None:
    """The script is alive."""
    until = context.clock.now() + context.lease
    await context.dispatcher.transact(lambda unit: scripts.renew(unit, host_id, until))


@delete("/api/scripts/{host_id:str}", opt=scope("reports:write"), tags=["Scripts"])
async def bye(context: NamedDependency[Context], host_id: FromPath[str]) -> None:
    """The script ends; what it had not finished has crashed."""
    await context.dispatcher.transact(lambda unit: scripts.leave(unit, host_id))


@post("/api/reports", opt=scope("reports:write"), status_code=204, tags=["Scripts"])
async def reports(context: NamedDependency[Context], data: JSONBody[ReportFrames]) -> None:
    """Take in what a script's runs report."""
    await take_in(context.dispatcher, None, data.frames)
