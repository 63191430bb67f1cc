"""A TCP proxy that cuts, stalls and half-closes connections."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

CHUNK = 65536


class Proxy:
    """Passes connections on to a port of this machine, in a thread of its own.

    Args:
        target: The port.

    Attributes:
        port: The proxy's own port.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = True
        self._flowing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Reset all connections; new ones are taken."""
        self._do(self._reset)

    def refuse(self) -> None:
        """Reset all connections, and each that is made from now on."""
        self._do(lambda: setattr(self, "_open", False))
        self._do(self._reset)

    def stall(self) -> None:
        """Pass nothing on any more, and say nothing of it."""
        self._do(self._flowing.clear)

    def half_close(self) -> None:
        """Close one direction of each connection."""
        self._do(self._half_close)

    def heal(self) -> None:
        """Work as it should."""
        self._do(lambda: setattr(self, "_open", True))
        self._do(self._flowing.set)

    def _do(self, what: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(what)

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _half_close(self) -> None:
        for writer in list(self._writers)[::2]:
            with suppress(OSError, RuntimeError):
                writer.write_eof()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._flowing.set()
        self._loop.run_until_complete(asyncio.start_server(self._take, sock=self._listener))
        self._loop.run_forever()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        for one in (writer, onward[1]):
            self._writers.add(one)
        try:
            await asyncio.gather(self._pass(reader, onward[1]), self._pass(onward[0], writer))
        finally:
            for one in (writer, onward[1]):
                self._writers.discard(one)
                one.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
            await self._flowing.wait()
            sink.write_eof()
        except (OSError, RuntimeError):
            # A reset is passed on, too: the other side would wait for ever.
            sink.transport.abort()
