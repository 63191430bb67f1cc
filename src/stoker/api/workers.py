"""The WebSocket of workers."""

import logging
from collections.abc import Sequence

import msgspec
from litestar import websocket
from litestar.di import NamedDependency

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.api.salvage import salvage
from stoker.api.sockets import Outgoing, Socket, converse
from stoker.domain.errors import NotFound
from stoker.domain.hosts import HostOrder
from stoker.domain.ids import new_id
from stoker.domain.pools import Worker, WorkPool
from stoker.services.fleet import launching, registering
from stoker.services.lookup import need_pool
from stoker.services.runs.intake import take_in
from stoker.services.unit import Unit
from stoker.wire.versions import WIRE_VERSION, common_version
from stoker.wire.worker import (
    FROM_WORKER,
    EndHost,
    FromWorker,
    HostLaunched,
    HostLost,
    Orders,
    SpooledFrames,
    ToWorker,
    WorkerDraining,
    WorkerHeartbeat,
    WorkerHello,
    WorkerRefused,
    WorkerWelcome,
    encode,
)

logger = logging.getLogger("stoker.server")

_decode = msgspec.msgpack.Decoder(FromWorker).decode


class SocketWorkerLink:
    """`WorkerLink` over a WebSocket."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    def send(self, message: ToWorker) -> None:
        """Queue any message."""
        self._outgoing.put(encode(message))

    def orders(self, hosts: Sequence[HostOrder]) -> None:
        """See `WorkerLink.orders`."""
        self.send(Orders(hosts=list(hosts)))

    def end(self, host_id: str, reason: str) -> None:
        """See `WorkerLink.end`."""
        self.send(EndHost(host_id=host_id, reason=reason))


@websocket("/api/workers/connect", opt=scope("workers:connect"))
async def worker_socket(socket: Socket, context: NamedDependency[Context]) -> None:
    """One connection of one worker, from its hello to its end."""
    await converse(
        socket,
        _decode,
        FROM_WORKER,
        lambda outgoing: _Conversation(context, SocketWorkerLink(outgoing)),
    )


class _Conversation:
    """What one worker says on one connection, in order."""

    def __init__(self, context: Context, link: SocketWorkerLink) -> None:
        self._context = context
        self._dispatcher = context.dispatcher
        self._provisioner = context.provisioner
        self._link = link
        self._worker: Worker | None = None

    def end(self) -> None:
        """The connection is gone."""
        if self._worker is not None:
            self._provisioner.remove_worker(self._worker.id, self._link)

    async def take(self, message: FromWorker) -> bool:
        """Act on one message; False ends the connection."""
        worker = self._worker
        if worker is None:
            return isinstance(message, WorkerHello) and await self._hello(message)
        match message:
            case WorkerHeartbeat():
                return await self._heartbeat(worker)
            case HostLaunched(host_id=host_id, process=process, token_hash=token_hash):
                await self._dispatcher.transact(
                    lambda unit: registering.launched(unit, host_id, process, token_hash)
                )
            case HostLost(host_id=host_id, reason=reason):
                await self._lost(host_id, reason)
            case SpooledFrames(host_id=host_id, frames=frames):
                await take_in(self._dispatcher, host_id, frames)
            case WorkerDraining():
                await self._dispatcher.transact(lambda unit: registering.drain_worker(unit, worker))
            case WorkerHello():
                return False
        return True

    def salvage(self, data: bytes, error: Exception) -> FromWorker | None:
        """Take what can be read of a message that as a whole cannot."""
        name = self._worker.name if self._worker is not None else ""
        logger.error("worker %s said what cannot be read: %s", name, error)
        found = salvage(data, self._context.clock.now())
        return found if isinstance(found, SpooledFrames) else None

    async def _hello(self, hello: WorkerHello) -> bool:
        version = common_version(hello.wire_version, hello.wire_oldest)
        if version is None:
            reason = (
                f"it speaks version {hello.wire_version}, the server {WIRE_VERSION}; where Stoker "
                "was upgraded, start it again"
            )
            self._link.send(WorkerRefused(reason=reason))
            return False
        now = self._context.clock.now()
        worker = Worker(
            id=hello.worker_id,
            name=hello.name,
            pool=hello.pool,
            machine=hello.machine,
            process=hello.process,
            queues=hello.queues,
            limit=hello.limit,
            started=now,
            last_seen=now,
            server_id=self._dispatcher.members.id,
            connection=new_id(now),
        )

        def work(unit: Unit) -> WorkPool:
            registering.register_worker(unit, worker, hello.launched)
            return need_pool(unit.records, worker.pool)

        try:
            pool = await self._dispatcher.transact(work)
        except NotFound as error:
            self._link.send(WorkerRefused(reason=str(error)))
            return False
        self._worker = worker
        welcome = WorkerWelcome(
            heartbeat=self._context.heartbeat,
            fence_after=pool.fence_after,
            pool_type=pool.type,
            wire_version=version,
        )
        self._link.send(welcome)
        self._provisioner.add_worker(worker, self._link)
        # It may be the one that the hosts of a dead worker wait for.
        await self._context.sweeper.once()
        return True

    async def _heartbeat(self, worker: Worker) -> bool:
        return await self._dispatcher.transact(lambda unit: registering.worker_seen(unit, worker))

    async def _lost(self, host_id: str, reason: str) -> None:
        def work(unit: Unit) -> None:
            host = registering.lost(unit, host_id, reason)
            if host is not None and host.registered is None:
                launching.failed(unit, host, reason)

        await self._dispatcher.transact(work)
