"""Conversations over a WebSocket, whose messages are sent in order by a task of their own."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec
from litestar.connection import WebSocket
from litestar.exceptions import WebSocketDisconnect

M_contra = TypeVar("M_contra", contravariant=True)

Socket = WebSocket[Any, Any, Any]


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


class Conversation(Protocol[M_contra]):
    """What the other side says on one connection, in order."""

    async def take(self, message: M_contra) -> bool:
        """Act on one message; False ends the connection."""
        ...

    def end(self) -> None:
        """The connection is gone."""
        ...


async def converse(
    socket: Socket,
    decode: Callable[[bytes], M_contra],
    conversation_of: Callable[[Outgoing], Conversation[M_contra]],
) -> None:
    """Hold a conversation until one side ends it, or the other says what cannot be read."""
    await socket.accept()
    outgoing = Outgoing(socket)
    sending = asyncio.create_task(outgoing.run())
    conversation = conversation_of(outgoing)
    try:
        while await conversation.take(decode(await socket.receive_bytes())):
            pass
        outgoing.close()
        await sending
    except (WebSocketDisconnect, msgspec.MsgspecError):
        pass
    finally:
        conversation.end()
        sending.cancel()
