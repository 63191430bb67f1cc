"""The agent's connection to the server: made again for as long as it is lost."""

import asyncio
import contextlib
import logging
import random
from typing import Protocol

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from stoker.domain.addresses import Rotation, sockets_of
from stoker.host import linux
from stoker.host.agent.outbox import Outbox
from stoker.wire import host as wire
from stoker.wire.versions import unknown_tag

logger = logging.getLogger("stoker.host")

FIRST_DELAY, LAST_DELAY = 0.1, 2.0
"""Seconds between attempts to connect: the first, and the longest."""
ANSWER_TIME = 10.0
"""Seconds that the server has to answer a hello."""
MISSED = 3
"""Heartbeats without an answer after which a connection counts as lost."""


class Refused(Exception):
    """The server does not want this host any more."""


class Owner(Protocol):
    """Whose connection it is."""

    def on_welcome(self, welcome: wire.HostWelcome) -> None:
        """The server knows the host."""
        ...

    def introduction(self) -> list[wire.FromHost | bytes]:
        """What to say first on a new connection, after the frames that waited."""
        ...

    def on_unsuited(self, reason: str) -> None:
        """The server is of another version, and cannot talk to this host."""
        ...

    def on_message(self, message: wire.ToHost) -> None:
        """Anything but what concerns the connection itself."""
        ...

    def on_alive(self, at: float) -> None:
        """A heartbeat that was sent at this boot time has been acknowledged."""
        ...

    def on_lost(self) -> None:
        """The connection is gone."""
        ...


class ServerLink:
    """See the module.

    Args:
        api_url: The server's address, or those of several, comma separated: the next one is tried
            where one does not answer.
        hello: How the host introduces itself.
        outbox: Frames to send.
        owner: Who hears what the server says.
    """

    def __init__(self, api_url: str, hello: wire.HostHello, outbox: Outbox, owner: Owner) -> None:
        self._urls = Rotation(sockets_of(api_url, "/api/hosts/connect"))
        self._hello = hello
        self._outbox = outbox
        self._owner = owner
        self._heartbeat = 5.0
        self._outgoing: list[bytes] = []
        self._wake = asyncio.Event()
        self._connected = False
        self._heard = 0.0
        self._confirming: tuple[float, asyncio.Event] | None = None

    @property
    def connected(self) -> bool:
        """Whether what is sent now is on its way to the server."""
        return self._connected

    def send(self, message: wire.FromHost | bytes) -> None:
        """Send a message soon. Without a connection it is dropped: a new one starts afresh."""
        if self._connected:
            data = message if isinstance(message, bytes) else wire.encode(message)
            self._outgoing.append(data)
            self._wake.set()

    def wake(self) -> None:
        """Look into the outbox."""
        self._wake.set()

    async def confirm(self, seconds: float) -> None:
        """Wait until the server has acted on all messages so far.

        It acts on one after the other, so that the answer to a heartbeat tells.

        Args:
            seconds: How long at the most; without a connection there is nothing to wait for.
        """
        if not self._connected:
            return
        at, confirmed = linux.boot_time(), asyncio.Event()
        self._confirming = at, confirmed
        self.send(wire.HostHeartbeat(at=at))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await confirmed.wait()

    async def run(self) -> None:
        """Stay connected for ever.

        Raises:
            Refused: The server does not want the host any more.
        """
        delay = FIRST_DELAY
        complaint = ""
        while True:
            url = self._urls.current
            try:
                # Through no proxy, and uncompressed: it is a local network, or one's own.
                async with connect(
                    url,
                    additional_headers={"Authorization": f"Host {self._hello.host_id}"},
                    compression=None,
                    max_size=None,
                    ping_interval=None,
                    proxy=None,
                    open_timeout=ANSWER_TIME,
                    close_timeout=1,
                ) as connection:
                    if await self._introduce(connection):
                        delay, complaint = FIRST_DELAY, ""
                        self._urls.works()
                        await self._converse(connection)
            except* (OSError, TimeoutError, WebSocketException, msgspec.DecodeError) as group:
                text = str(group.exceptions[0])
                if text != complaint:
                    logger.warning("no connection to %s: %s", url, text)
                complaint = text
            finally:
                self._connected = False
                self._outgoing.clear()
                self._outbox.disconnected()
                if self._confirming is not None:
                    self._confirming[1].set()
                self._owner.on_lost()
            if not self._urls.leave(url):
                # None of them answers.
                await asyncio.sleep(delay * random.uniform(0.75, 1.25))
                delay = min(LAST_DELAY, delay * 2)

    async def _introduce(self, connection: ClientConnection) -> bool:
        await connection.send(wire.encode(self._hello))
        async with asyncio.timeout(ANSWER_TIME):
            answer = msgspec.msgpack.decode(await connection.recv(decode=False), type=wire.ToHost)
        match answer:
            case wire.HostWelcome():
                self._heartbeat = answer.heartbeat
                self._owner.on_welcome(answer)
                return True
            case wire.HostRefused(reason=reason, final=final, drain=drain):
                if final:
                    raise Refused(reason)
                if drain:
                    self._owner.on_unsuited(reason)
                logger.info("not yet: %s", reason)
                return False
            case _:
                raise ConnectionError("the server answered a hello with something else")

    async def _converse(self, connection: ClientConnection) -> None:
        self._heard = linux.boot_time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive(connection))
            tasks.create_task(self._beat(connection))
            tasks.create_task(self._speak(connection))

    async def _receive(self, connection: ClientConnection) -> None:
        decode = msgspec.msgpack.Decoder(wire.ToHost).decode
        async for data in connection:
            try:
                message = decode(data if isinstance(data, bytes) else b"")
            except msgspec.MsgspecError as error:
                tag = unknown_tag(data if isinstance(data, bytes) else b"", wire.TO_HOST)
                if tag is not None:
                    logger.info("a newer server's message %r is passed over", tag)
                    continue
                # A connection that is made again would bring it again.
                logger.error("the server said what cannot be read: %s", error)
                continue
            # Whatever it says, it is there. Behind a long spool it is late with heartbeats.
            self._heard = linux.boot_time()
            match message:
                case wire.FramesAck(batch=batch):
                    self._outbox.acknowledged(batch)
                case wire.HeartbeatAck(at=at):
                    self._owner.on_alive(at)
                    if self._confirming is not None and self._confirming[0] == at:
                        self._confirming[1].set()
                case _:
                    self._owner.on_message(message)
        raise ConnectionError("the server closed the connection")

    async def _beat(self, connection: ClientConnection) -> None:
        while True:
            await connection.send(wire.encode(wire.HostHeartbeat(at=linux.boot_time())))
            await asyncio.sleep(self._heartbeat)
            if linux.boot_time() - self._heard > MISSED * self._heartbeat:
                raise ConnectionError("the server does not answer")

    async def _speak(self, connection: ClientConnection) -> None:
        async for batch in self._outbox.backlog():
            await self._send_frames(connection, *batch)
        # From here on nothing is awaited before what the host holds is known to be sent first.
        self._connected = True
        self._outgoing = [
            message if isinstance(message, bytes) else wire.encode(message)
            for message in self._owner.introduction()
        ]
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            messages, self._outgoing = self._outgoing, []
            for message in messages:
                await connection.send(message)
            while batch := self._outbox.next_batch():
                await self._send_frames(connection, *batch)

    async def _send_frames(
        self, connection: ClientConnection, number: int, frames: list[wire.OpaqueFrame]
    ) -> None:
        await connection.send(wire.encode(wire.OpaqueFrames(batch=number, frames=frames)))
