"""The WebSocket of hosts."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence

import msgspec
from litestar import websocket
from litestar.di import NamedDependency
from msgspec import Raw

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.api.deployments import put_deployment
from stoker.api.flow_runs import start_run
from stoker.api.pauses import pause_itself
from stoker.api.salvage import RawRequest, salvage
from stoker.api.sockets import Outgoing, Socket, converse
from stoker.domain.deployments import Code
from stoker.domain.errors import Conflict, Invalid, StokerError
from stoker.domain.hosts import Host, HostState, HostZygote
from stoker.domain.ids import new_id
from stoker.domain.jobs import Job
from stoker.domain.pools import HostTerms, WorkPool
from stoker.domain.requests import (
    AcquireSlots,
    Answer,
    AwaitRun,
    HoldRun,
    PauseRun,
    PutDeployment,
    ReadRun,
    Request,
    ResumeRun,
    StartRun,
)
from stoker.domain.runs import FlowRun
from stoker.services.concurrency.limiting import Holder
from stoker.services.fleet import launching, registering
from stoker.services.fleet.registering import NotYet
from stoker.services.fleet.warming import wanted_codes
from stoker.services.lookup import need_run
from stoker.services.runs import pausing
from stoker.services.runs.intake import take_in
from stoker.services.runs.waiting import await_run
from stoker.services.unit import ReadyHost, Unit
from stoker.wire.host import (
    FROM_HOST,
    Assign,
    AssignAck,
    CancelRun,
    Drain,
    ForgetRequest,
    Frames,
    FramesAck,
    FromHost,
    HeartbeatAck,
    Holding,
    HostDraining,
    HostHeartbeat,
    HostHello,
    HostRefused,
    HostRequest,
    HostWelcome,
    HostWorn,
    NewTerms,
    Released,
    Reply,
    StopRun,
    TermsTaken,
    ToHost,
    Warm,
    ZygoteChanged,
    encode,
)
from stoker.wire.versions import WIRE_VERSION, common_version

logger = logging.getLogger("stoker.server")

_decode = msgspec.msgpack.Decoder(FromHost).decode


class SocketHostLink:
    """`HostLink` over a WebSocket."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    def send(self, message: ToHost) -> None:
        """Queue any message."""
        self._outgoing.put(encode(message))

    def assign(self, jobs: Sequence[Job]) -> None:
        """See `HostLink.assign`."""
        self.send(Assign(jobs=list(jobs)))

    def cancel(
        self, run_id: str, attempt: int, *, now: bool, suspend: bool = False, failure: str = ""
    ) -> None:
        """See `HostLink.cancel`."""
        order = CancelRun(run_id=run_id, attempt=attempt, now=now, suspend=suspend, failure=failure)
        self.send(order)

    def stop_run(self, run_id: str, attempt: int, *, stop: bool) -> None:
        """See `HostLink.stop_run`."""
        self.send(StopRun(run_id=run_id, attempt=attempt, stop=stop))

    def warm(self, codes: Sequence[Code]) -> None:
        """See `HostLink.warm`."""
        self.send(Warm(codes=list(codes)))

    def terms(self, terms: HostTerms) -> None:
        """See `HostLink.terms`."""
        self.send(NewTerms(terms=terms))

    def drain(self) -> None:
        """See `HostLink.drain`."""
        self.send(Drain())

    def drop(self) -> None:
        """See `HostLink.drop`."""
        self._outgoing.close()


@websocket("/api/hosts/connect", opt=scope("hosts:connect"))
async def host_socket(socket: Socket, context: NamedDependency[Context]) -> None:
    """One connection of one host, from its hello to its end."""
    await converse(
        socket,
        _decode,
        FROM_HOST,
        lambda outgoing: HostConversation(context, SocketHostLink(outgoing)),
    )


class HostConversation:
    """What one host says on one connection, in order."""

    def __init__(self, context: Context, link: SocketHostLink) -> None:
        self._context = context
        self._dispatcher = context.dispatcher
        self._link = link
        self._host: Host | None = None
        self._connection = new_id(context.clock.now())
        self._terms = WorkPool(id="", name="").terms
        self._tasks: set[asyncio.Task[None]] = set()
        self._forgotten: dict[int, asyncio.Future[None]] = {}

    def end(self) -> None:
        """The connection is gone."""
        if self._host is not None:
            self._dispatcher.hosts.disconnect(self._host.id, self._link)
        for task in self._tasks:
            task.cancel()

    async def take(self, message: FromHost) -> bool:
        """Act on one message; False ends the connection."""
        host = self._host
        if host is None:
            return isinstance(message, HostHello) and await self._hello(message)
        match message:
            case Frames(batch=batch, frames=frames):
                await take_in(self._dispatcher, host.id, frames)
                self._link.send(FramesAck(batch=batch))
            case HostRequest():
                forgotten = asyncio.get_running_loop().create_future()
                self._forgotten[message.id] = forgotten
                self._spawn(self._request(message, forgotten))
            case ForgetRequest(id=number):
                self._forget(number)
            case AssignAck(runs=runs):
                self._dispatcher.hosts.acknowledged(host.id, runs)
            case HostHeartbeat(at=at):
                return await self._heartbeat(host, at)
            case ZygoteChanged():
                await self._zygote(host, message)
            case TermsTaken(fence_after=fence_after):
                await self._dispatcher.transact(
                    lambda unit: registering.terms_taken(unit, host.id, fence_after)
                )
            case HostWorn(reason=reason):
                await self._dispatcher.transact(
                    lambda unit: registering.worn(unit, host.id, reason)
                )
            case Holding(runs=runs):
                await self._holding(host, runs)
            case HostDraining(released=released):
                await self._draining(host, released)
            case Released(runs=runs):
                await self._dispatcher.transact(
                    lambda unit: registering.release(unit, runs, host.id)
                )
            case HostHello():
                return False
        return True

    def salvage(self, data: bytes, error: Exception) -> FromHost | None:
        """Take what can be read of a message that as a whole cannot."""
        host_id = self._host.id if self._host is not None else ""
        logger.error("host %s said what cannot be read: %s", host_id, error)
        match salvage(data, self._context.clock.now()):
            case RawRequest(id=number):
                reason = f"the server cannot read this request: {error}"
                self._link.send(Reply(id=number, error=(Invalid.__name__, reason)))
            case Frames() as frames:
                return frames
            case _:
                pass
        return None

    async def _hello(self, hello: HostHello) -> bool:
        version = common_version(hello.wire_version, hello.wire_oldest)
        if version is None:
            reason = f"it speaks version {hello.wire_version}, the server {WIRE_VERSION}"
            # It may have runs from before an upgrade: they go on to their end.
            drain = await self._dispatcher.transact(
                lambda unit: registering.outdated(unit, hello.host_id, hello.token, reason)
            )
            self._link.send(HostRefused(reason=reason, final=not drain, drain=drain))
            return False
        until = self._context.clock.now() + self._context.lease

        def work(unit: Unit) -> tuple[Host, list[Code], HostTerms]:
            before = unit.records.host(hello.host_id)
            first = before is not None and before.registered is None
            host = registering.register_host(
                unit, hello.host_id, hello.token, hello.process, until, self._connection
            )
            if first:
                launching.registered(unit, host)
            if hello.version and hello.version != self._context.version:
                versions = f"it runs Stoker {hello.version}, the server {self._context.version}"
                registering.worn(unit, host.id, versions)
            codes = wanted_codes(unit.records, host.pool, host.lane)
            return host, codes, _terms(unit, host)

        try:
            host, codes, self._terms = await self._dispatcher.transact(work)
        except Conflict as error:
            final = not isinstance(error, NotYet)
            self._link.send(HostRefused(reason=str(error), final=final))
            return False
        self._host = host
        self._dispatcher.hosts.connect(host.id, self._link, self._connection)
        welcome = HostWelcome(
            heartbeat=self._context.heartbeat, terms=self._terms, warm=codes, wire_version=version
        )
        self._link.send(welcome)
        if host.state is HostState.DRAINING and not host.once:
            self._link.drain()
        return True

    async def _zygote(self, host: Host, changed: ZygoteChanged) -> None:
        if changed.state == "gone":
            self._dispatcher.hosts.zygote_gone(host.id, changed.key)
            await self._dispatcher.transact(
                lambda unit: unit.records.drop_zygotes(host.id, changed.key)
            )
            return
        zygote = HostZygote(
            host_id=host.id,
            key=changed.key,
            ready=changed.state == "ready",
            import_seconds=changed.import_seconds,
            message=changed.message,
            faults=changed.faults,
        )
        forgotten = self._dispatcher.hosts.zygote(zygote)

        def work(unit: Unit) -> None:
            unit.records.put_zygote(zygote)
            for key in forgotten:
                unit.records.drop_zygotes(host.id, key)
            # It may be as warm now as the one that it replaces.
            unit.demand.add(host.pool)

        await self._dispatcher.transact(work)

    async def _holding(self, host: Host, runs: list[tuple[str, int]]) -> None:
        """Compare what both sides hold; then the host may be given runs."""

        def compare(unit: Unit) -> tuple[ReadyHost, HostState, HostTerms, bool] | None:
            # It may have been used up since its hello, by a claim for its last connection.
            stored = registering.compare(unit, host.id, self._connection, runs)
            if stored is None:
                return None
            has_runs = bool(unit.records.leases_of(host.id))
            ready = registering.ready_host(unit, stored)
            ready.connection = self._connection
            return ready, stored.state, _terms(unit, stored), has_runs

        compared = await self._dispatcher.transact(compare)
        if compared is None:
            self._dispatcher.hosts.disconnect(host.id, self._link)
            self._link.drop()
            return
        ready, state, terms, has_runs = compared
        if terms != self._terms:
            # They were changed before the dispatcher knew this connection.
            self._link.terms(terms)
        if state is HostState.DRAINING:
            if host.once and not has_runs:
                # The one run that it was for has ended, or has never reached it.
                self._link.drain()
            return
        self._dispatcher.hosts.add(ready, self._link)
        await self._dispatcher.transact(lambda unit: _note_ready(unit, host.pool), tells=False)

    async def _heartbeat(self, host: Host, at: float) -> bool:
        until = self._context.clock.now() + self._context.lease
        renewed = await self._dispatcher.transact(
            lambda unit: registering.renew(unit, host.id, until)
        )
        if not renewed:
            self._link.send(HostRefused(reason="this host was given up", final=True))
            return False
        self._link.send(HeartbeatAck(at=at))
        return True

    async def _draining(self, host: Host, released: list[tuple[str, int]]) -> None:
        def work(unit: Unit) -> None:
            registering.drain(unit, host.id, "it was asked to stop")
            registering.release(unit, released, host.id)

        await self._dispatcher.transact(work)

    # Requests of runs

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget(self, number: int) -> None:
        forgotten = self._forgotten.get(number)
        if forgotten is not None and not forgotten.done():
            forgotten.set_result(None)

    async def _request(self, request: HostRequest, forgotten: asyncio.Future[None]) -> None:
        try:
            await self._reply(request, forgotten)
        finally:
            del self._forgotten[request.id]

    async def _reply(self, request: HostRequest, forgotten: asyncio.Future[None]) -> None:
        try:
            answer = await self._answer(request, forgotten)
        except StokerError as error:
            reply = Reply(id=request.id, error=(type(error).__name__, str(error)))
        except Exception:
            # A run that asked waits for its answer: it must get one, whatever went wrong.
            logger.exception("a request of flow run %s failed", request.run_id)
            text = "the server could not do this; its log says more"
            reply = Reply(id=request.id, error=(StokerError.__name__, text))
        else:
            reply = Reply(id=request.id, body=Raw(encode(answer)))
        self._link.send(reply)

    async def _answer(self, request: HostRequest, forgotten: asyncio.Future[None]) -> Answer:
        """Answer under the rights of the run that asks: a current attempt, and its own waits."""
        host_id = self._host.id if self._host is not None else ""
        await self._dispatcher.read(
            lambda records: _need_current(need_run(records, request.run_id), request, host_id)
        )
        body: Request = request.body
        match body:
            case StartRun():
                body.parent_run_id = body.parent_run_id or request.run_id
                return await start_run(self._context, body, request.run_id, forgotten)
            case AwaitRun(run_id=run_id, timeout=timeout):
                return await await_run(self._dispatcher, run_id, request.run_id, timeout, forgotten)
            case ReadRun(run_id=run_id):
                return await self._dispatcher.read(lambda records: need_run(records, run_id))
            case PauseRun():
                body.run_id = request.run_id
                return await pause_itself(self._context, body, request.attempt, forgotten)
            case HoldRun():
                return await self._dispatcher.transact(lambda unit: pausing.hold(unit, body))
            case ResumeRun(run_id=run_id):
                return await self._dispatcher.transact(lambda unit: pausing.resume(unit, run_id))
            case PutDeployment(deployment=deployment):
                return await put_deployment(self._context, deployment)
            case AcquireSlots():
                holder = Holder(run_id=request.run_id, attempt=request.attempt)
                return await self._context.granter.acquire(body, holder, forgotten)


def _note_ready(unit: Unit, pool: str) -> None:
    unit.claimable.add(pool)
    # With it others may be replaced.
    unit.demand.add(pool)


def _terms(unit: Unit, host: Host) -> HostTerms:
    pool = unit.records.pool(host.pool)
    return pool.terms if pool is not None else WorkPool(id="", name="").terms


def _need_current(run: FlowRun, request: HostRequest, host_id: str) -> None:
    if run.attempt != request.attempt:
        raise Conflict(f"attempt {request.attempt} of flow run {request.run_id} is over")
    if run.host_id != host_id:
        raise Conflict(f"flow run {request.run_id} is not one of this host")
