"""A WebSocket whose messages are sent in order by a task of its own."""

import asyncio
from collections import deque
from typing import Any

from litestar.connection import WebSocket
from litestar.exceptions import WebSocketDisconnect

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
