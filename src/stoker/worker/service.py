"""A worker: follows the orders of the server on one machine."""

import asyncio
import contextlib
import logging
import random
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, field
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from stoker.domain.addresses import Rotation, sockets_of
from stoker.domain.errors import Invalid, StokerError, Unauthorized
from stoker.domain.ids import new_id
from stoker.domain.names import readable_name
from stoker.host.agent.spool import read_lots, spool_path
from stoker.ports.clock import Clock
from stoker.ports.launcher import HostConfig, Launcher, OnExit
from stoker.process_identity import identify
from stoker.wire import worker as wire
from stoker.wire.versions import OLDEST_VERSION, unknown_tag
from stoker.worker.fleet import Fleet
from stoker.worker.old_logs import remove_old_logs

logger = logging.getLogger("stoker.worker")

FIRST_DELAY, LAST_DELAY = 0.1, 5.0
"""Seconds between attempts to connect: the first, and the longest."""
ANSWER_TIME = 10.0
"""Seconds that the server has to answer a hello."""
LEAVE_TIME = 5.0
"""Seconds beyond the grace time that a drained host has to leave, before it is killed."""
LAST_WORDS = 2.0
"""Seconds that the server gets to confirm the last deaths before the worker leaves."""
LOT_SIZE = 1024 * 1024
"""Bytes of frames in one message, about."""

Error = TypeVar("Error", bound=Exception)

Launchers = Mapping[str, Callable[[OnExit], Launcher]]
"""Makes a launcher, by type of work pool."""


class WorkerConfig(Struct, kw_only=True):
    """What a worker is told.

    Attributes:
        api_url: The server, or several, comma separated; see `ServerLink`.
        home: Folder of spools, logs and temporary files.
        pool: The work pool it serves.
        queues: The queues its hosts serve; empty for all.
        limit: Runs at a time on its hosts; None for no limit.
        name: Its name; a readable one by default.
        api_key: For a server that asks for one.
        grace: Seconds that runs get to end when it is stopped.
        cancel_grace: See `HostConfig`.
        spool_limit: See `HostConfig`.
    """

    api_url: str
    home: Path
    pool: str
    queues: list[str] = field(default_factory=list[str])
    limit: int | None = None
    name: str = ""
    api_key: str | None = None
    grace: float = 10.0
    spool_limit: int = 256_000_000
    cancel_grace: float = 3.0


class Worker:
    """See the module.

    Args:
        config: What it was told.
        launchers: Which launcher serves which type of pool.
        clock: The time.
    """

    def __init__(self, config: WorkerConfig, launchers: Launchers, clock: Clock) -> None:
        self.id = new_id(clock.now())
        self.name = config.name or readable_name()
        self._config = config
        self._launchers = launchers
        self._clock = clock
        self._launcher: Launcher | None = None
        self._fleet: Fleet | None = None
        self._connection: ClientConnection | None = None
        self._told: set[str] = set()
        self._orders: list[wire.HostOrder] = []
        self._deaths: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._following = asyncio.Lock()
        self._ordered = asyncio.Event()
        self._refusal: StokerError | None = None
        self._changed = asyncio.Event()
        self._draining = False
        self._drained = asyncio.Event()

    async def run(self) -> None:
        """Serve until stopped; its hosts have ended then.

        Raises:
            Invalid: The server refuses it: no such pool, another version.
            Unauthorized: The server asks for another API key.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                loops = (self._keep_connected(), self._bury(), self._follow(), self._end_drain())
                running = [tasks.create_task(loop) for loop in loops]
                await self._over()
                for task in running:
                    task.cancel()
        except* StokerError as group:
            self._refusal = leaf_of(group, StokerError)
        finally:
            if self._launcher is not None:
                await self._launcher.close()
        if self._refusal is not None:
            raise self._refusal

    async def drain(self) -> None:
        """Launch nothing more, have the hosts end when their runs have, and leave then."""
        self._draining = True
        self._drained.set()
        self._changed.set()
        await self._send(wire.WorkerDraining())
        # A launch that is under way is over then.
        async with self._following:
            if self._fleet is not None:
                await self._fleet.stop(now=False)

    async def stop(self) -> None:
        """End the hosts and their runs at once, and leave."""
        self._draining = True
        self._changed.set()
        if self._fleet is not None:
            await self._fleet.stop(now=True)

    async def _end_drain(self) -> None:
        """Kill the hosts that are still there when a drain's time is over."""
        await self._drained.wait()
        await self._clock.sleep(self._config.grace + LEAVE_TIME)
        if self._fleet is not None:
            await self._fleet.stop(now=True)
        await asyncio.Event().wait()

    async def _over(self) -> None:
        while not (self._draining and not (self._fleet and self._fleet.alive)):
            await self._changed.wait()
            self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                while self._connection is not None and self._fleet and self._fleet.dead:
                    await self._changed.wait()
                    self._changed.clear()

    # The connection.

    async def _keep_connected(self) -> None:
        urls = Rotation(sockets_of(self._config.api_url, "/api/workers/connect"))
        key = self._config.api_key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        delay, complaint = FIRST_DELAY, ""
        while True:
            url = urls.current
            try:
                async with connect(
                    url,
                    additional_headers=headers,
                    compression=None,
                    max_size=None,
                    proxy=None,
                    open_timeout=ANSWER_TIME,
                    close_timeout=1,
                ) as connection:
                    welcome = await self._introduce(connection)
                    delay, complaint = FIRST_DELAY, ""
                    urls.works()
                    await self._converse(connection, welcome)
            except* InvalidStatus as group:
                status = leaf_of(group, InvalidStatus).response.status_code
                if status in {401, 403}:
                    raise Unauthorized(
                        f"the server at {self._config.api_url} asks for another API key; "
                        "set STOKER_API_KEY to the one it was started with"
                    ) from None
                logger.warning("the server at %s answers %s", url, status)
            except* (OSError, TimeoutError, WebSocketException, msgspec.DecodeError) as group:
                text = str(group.exceptions[0])
                if text != complaint:
                    logger.warning("no connection to %s: %s", url, text)
                complaint = text
            finally:
                self._connection = None
                self._changed.set()
            if not urls.leave(url):
                await self._clock.sleep(delay * random.uniform(0.75, 1.25))
                delay = min(LAST_DELAY, delay * 2)

    async def _introduce(self, connection: ClientConnection) -> wire.WorkerWelcome:
        me = identify()
        hello = wire.WorkerHello(
            worker_id=self.id,
            name=self.name,
            pool=self._config.pool,
            queues=self._config.queues,
            limit=self._config.limit,
            machine=me.machine,
            process=me,
            launched=self._fleet.launched if self._fleet is not None else [],
            wire_oldest=OLDEST_VERSION,
        )
        await connection.send(wire.encode(hello))
        async with asyncio.timeout(ANSWER_TIME):
            answer = msgspec.msgpack.decode(await connection.recv(decode=False), type=wire.ToWorker)
        match answer:
            case wire.WorkerWelcome():
                self._make_fleet(answer)
                queues = ", ".join(self._config.queues) or "all"
                logger.info(
                    "worker %s serves work pool %s, queues: %s",
                    self.name,
                    self._config.pool,
                    queues,
                )
                return answer
            case wire.WorkerRefused(reason=reason):
                raise Invalid(reason)
            case _:
                raise ConnectionError("the server answered a hello with something else")

    def _make_fleet(self, welcome: wire.WorkerWelcome) -> None:
        if self._fleet is not None:
            return
        make = self._launchers.get(welcome.pool_type)
        if make is None:
            known = ", ".join(sorted(self._launchers))
            raise Invalid(
                f"this worker cannot serve pool {self._config.pool!r} of type "
                f"{welcome.pool_type!r}; it knows: {known}"
            )
        config = HostConfig(
            host_id="",
            token="",
            api_url=self._config.api_url,
            home=str(self._config.home),
            slots=0,
            fence_after=welcome.fence_after,
            grace=self._config.grace,
            cancel_grace=self._config.cancel_grace,
            spool_limit=self._config.spool_limit,
        )
        self._launcher = make(lambda host, reason: self._deaths.put_nowait((host, reason)))
        self._fleet = Fleet(self._launcher, self._clock, self._send, config, self._send_spool)

    async def _converse(self, connection: ClientConnection, welcome: wire.WorkerWelcome) -> None:
        self._connection = connection
        self._told.clear()
        if self._draining:
            await self._send(wire.WorkerDraining())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(welcome.heartbeat))
            tasks.create_task(self._receive(connection))

    async def _beat(self, period: float) -> None:
        while True:
            await self._send(wire.WorkerHeartbeat())
            await self._clock.sleep(period)

    async def _receive(self, connection: ClientConnection) -> None:
        decode = msgspec.msgpack.Decoder(wire.ToWorker).decode
        async for data in connection:
            try:
                message = decode(data if isinstance(data, bytes) else b"")
            except msgspec.MsgspecError as error:
                tag = unknown_tag(data if isinstance(data, bytes) else b"", wire.TO_WORKER)
                if tag is not None:
                    logger.info("a newer server's message %r is passed over", tag)
                    continue
                logger.error("the server said what cannot be read: %s", error)
                continue
            if isinstance(message, wire.Orders):
                self._orders = message.hosts
                self._ordered.set()
            elif isinstance(message, wire.EndHost) and self._fleet is not None:
                await self._fleet.end(message.host_id, message.reason)
        raise ConnectionError("the server closed the connection")

    async def _follow(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._ordered.wait()
                self._ordered.clear()
                assert self._fleet is not None
                async with self._following:
                    await self._forget_dead()
                    pause = None if self._draining else await self._fleet.follow(self._orders)
                if pause is not None:
                    tasks.create_task(self._look_again(pause))

    async def _look_again(self, pause: float) -> None:
        await self._clock.sleep(pause)
        self._ordered.set()

    async def _send(self, message: wire.FromWorker | wire.OpaqueSpooledFrames) -> None:
        """Send, or not where there is no connection: all is told anew on the next one."""
        if self._connection is not None:
            with contextlib.suppress(WebSocketException):
                await self._connection.send(wire.encode(message))

    # Deaths.

    async def _bury(self) -> None:
        while True:
            host_id, reason = await self._deaths.get()
            logger.info("host %s: %s", host_id, reason)
            assert self._fleet is not None
            async with self._following:
                await self._fleet.lost(host_id, reason)
            # Orders come when they change: those that leave it out may be there already.
            self._ordered.set()
            self._changed.set()

    async def _send_spool(self, host_id: str) -> None:
        self._told.add(host_id)
        lots = read_lots(spool_path(self._config.home, host_id), LOT_SIZE)
        while lot := await asyncio.to_thread(next, lots, None):
            await self._send(wire.OpaqueSpooledFrames(host_id=host_id, frames=lot))

    async def _forget_dead(self) -> None:
        """Tell of the dead that are still in the orders; clear up after those that are not."""
        assert self._fleet is not None
        listed = {order.host_id for order in self._orders}
        for host_id in list(self._fleet.dead):
            if host_id not in self._told:
                await self._fleet.tell_dead(host_id)
                if host_id not in listed:
                    self._ordered.set()
            elif host_id not in listed and self._connection is not None:
                await asyncio.to_thread(clear_up, self._config.home, host_id)
                del self._fleet.dead[host_id]
                self._changed.set()


def leaf_of(group: BaseExceptionGroup[Error], kind: type[Error]) -> Error:
    """Return the first exception of a kind in a group of that kind."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return leaf_of(error, kind)
        if isinstance(error, kind):
            return error
    raise TypeError(f"the group holds no {kind.__name__}")


def clear_up(home: Path, host_id: str) -> None:
    """Remove what a dead host left: its spool, its runs' temporary folders, in time its log."""
    spool_path(home, host_id).unlink(missing_ok=True)
    shutil.rmtree(home / "tmp" / host_id, ignore_errors=True)
    remove_old_logs(home)


async def run_worker(config: WorkerConfig, launchers: Launchers, clock: Clock) -> None:
    """Run a worker in this process until SIGTERM or SIGINT; the second one stops at once.

    Raises:
        Invalid: The server refuses it: no such pool, another version.
        Unauthorized: The server asks for another API key.
    """
    worker = Worker(config, launchers, clock)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    signals = 0

    def on_signal() -> None:
        nonlocal signals
        signals += 1
        task = loop.create_task(worker.drain() if signals == 1 else worker.stop())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await worker.run()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
