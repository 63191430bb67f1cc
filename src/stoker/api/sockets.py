"""Conversations over a WebSocket, whose messages are sent in order by a task of their own."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec
from litestar.connection import WebSocket
from litestar.exceptions import WebSocketDisconnect

from stoker.wire.versions import unknown_tag

logger = logging.getLogger("stoker.server")

M = TypeVar("M")

Socket = WebSocket[Any, Any, Any]

HELLO_TIME = 10.0
"""Seconds that a caller has to say who it is."""
HELLO_LIMIT = 64 * 1024
"""Bytes of that at the most."""
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises; ValueError: text that is no UTF-8."""


class Outgoing:
    """Queues messages for a socket. Sending never blocks who has something to say."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._messages: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, message: bytes) -> None:
        """Queue a message."""
        self._messages.append(message)
        self._wake.set()

    def close(self) -> None:
        """Send what is queued, then close the socket."""
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        """Send until the socket is closed."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._messages:
                    await self._socket.send_bytes(self._messages.popleft())
                if self._closed:
                    await self._socket.close()
                    return
        except (WebSocketDisconnect, RuntimeError):
            # The other side is gone: the reading side of this connection cleans up.
            return


class Conversation(Protocol[M]):
    """What the other side says on one connection, in order."""

    async def take(self, message: M) -> bool:
        """Act on one message; False ends the connection."""
        ...

    def salvage(self, data: bytes, error: Exception) -> M | None:
        """Return what can be read of a message that as a whole cannot; None for nothing."""
        ...

    def end(self) -> None:
        """The connection is gone."""
        ...


async def converse(
    socket: Socket,
    decode: Callable[[bytes], M],
    known: frozenset[str],
    conversation_of: Callable[[Outgoing], Conversation[M]],
) -> None:
    """Hold a conversation until one side ends it.

    Its first message must come soon, be short, and be one that can be read. Of later ones that
    cannot be read, what can is taken, and the others are dropped; those whose tags are not
    ``known`` are a newer peer's, and passed over.
    """
    await socket.accept()
    outgoing = Outgoing(socket)
    sending = asyncio.create_task(outgoing.run())
    conversation = conversation_of(outgoing)
    try:
        going = await _begin(socket, decode, conversation)
        while going:
            data = await socket.receive_bytes()
            try:
                message = decode(data)
            except UNREADABLE as error:
                tag = unknown_tag(data, known)
                if tag is not None:
                    logger.info("a newer peer's message %r is passed over", tag)
                    continue
                message = conversation.salvage(data, error)
            going = message is None or await conversation.take(message)
        outgoing.close()
        await sending
    except WebSocketDisconnect:
        pass
    finally:
        conversation.end()
        sending.cancel()


async def _begin(
    socket: Socket, decode: Callable[[bytes], M], conversation: Conversation[M]
) -> bool:
    try:
        async with asyncio.timeout(HELLO_TIME):
            data = await socket.receive_bytes()
        return len(data) <= HELLO_LIMIT and await conversation.take(decode(data))
    except (TimeoutError, *UNREADABLE):
        return False
