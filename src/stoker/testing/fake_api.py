"""A server for hosts alone: it says what a test tells it to, and keeps what hosts say."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from stoker.domain.deployments import Code
from stoker.domain.pools import HostTerms
from stoker.domain.reports import Finished, Logged, Report
from stoker.wire import host as wire

Found = TypeVar("Found")


def decode(data: bytes | str) -> wire.FromHost:
    """Decode what a host sent."""
    assert isinstance(data, bytes)
    return msgspec.msgpack.decode(data, type=wire.FromHost)


class FakeApi:
    """A WebSocket server that speaks `stoker.wire.host`, for one host at a time.

    Attributes:
        said: Everything that hosts said, in order.
        reports: Run id, attempt and report, in order, doubles dropped.
        times: When each of ``reports`` came, by the loop's clock.
        acknowledge: Whether frames are acknowledged.
        dismiss: Whether hosts that want to leave are told to drain, as a server does.
        answer: Answers requests of runs; gets the request, returns an answer or an error.
        warm: Codes that a host is told to keep.
        refusal: What hosts are told in place of a welcome.
        heartbeat: Seconds between heartbeats.
        fence_after: Seconds; see `HostConfig`.
        limits: The rest of their `HostTerms`.
    """

    def __init__(self) -> None:
        self.said: list[wire.FromHost] = []
        self.reports: list[tuple[str, int, Report]] = []
        self.times: list[float] = []
        self.acknowledge = True
        self.dismiss = True
        self.answer: Callable[[wire.HostRequest], Any] | None = None
        self.warm: list[Code] = []
        self.refusal: wire.HostRefused | None = None
        self.heartbeat = 5.0
        self.fence_after = 600.0
        self.limits: dict[str, Any] = {}
        self.port = 0
        self.connections = 0
        self._seen: set[tuple[str, int, int]] = set()
        self._changed = asyncio.Condition()
        self._connection: ServerConnection | None = None
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Where hosts find it."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen; on the same port as before, where there was one."""
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, compression=None, max_size=None
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        """Close all connections, and listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            hello = decode(await connection.recv())
            assert isinstance(hello, wire.HostHello)
            if self.refusal is not None:
                await self._note(hello)
                await connection.send(wire.encode(self.refusal))
                return
            welcome = wire.HostWelcome(
                heartbeat=self.heartbeat,
                terms=HostTerms(fence_after=self.fence_after, **self.limits),
                warm=self.warm,
            )
            await connection.send(wire.encode(welcome))
            self._connection = connection
            self.connections += 1
            await self._note(hello)
            async for data in connection:
                await self._hear(decode(data))
        except ConnectionClosed:
            pass
        finally:
            if self._connection is connection:
                self._connection = None
                await self._note(None)

    async def _hear(self, message: wire.FromHost) -> None:
        if isinstance(message, wire.Frames):
            for frame in message.frames:
                key = (frame.run_id, frame.attempt, frame.seq)
                if key not in self._seen:
                    self._seen.add(key)
                    now = asyncio.get_running_loop().time()
                    for report in frame.reports:
                        self.reports.append((frame.run_id, frame.attempt, report))
                        self.times.append(now)
            if self.acknowledge:
                await self.say(wire.FramesAck(batch=message.batch))
        elif isinstance(message, wire.HostHeartbeat):
            await self.say(wire.HeartbeatAck(at=message.at))
        elif isinstance(message, wire.HostDraining) and self.dismiss:
            await self.say(wire.Drain())
        elif isinstance(message, wire.HostRequest) and self.answer is not None:
            answer = self.answer(message)
            if isinstance(answer, Exception):
                reply = wire.Reply(id=message.id, error=(type(answer).__name__, str(answer)))
            else:
                reply = wire.Reply(id=message.id, body=msgspec.Raw(wire.encode(answer)))
            await self.say(reply)
        await self._note(message)

    async def _note(self, message: wire.FromHost | None) -> None:
        async with self._changed:
            if message is not None:
                self.said.append(message)
            self._changed.notify_all()

    async def say(self, message: wire.ToHost) -> None:
        """Tell the host something; lost where it is not connected."""
        await self.say_raw(wire.encode(message))

    async def say_raw(self, data: bytes | str) -> None:
        """Send a message that may be none."""
        if self._connection is not None:
            await self._connection.send(data)

    async def cut(self) -> None:
        """Close the connection of the host."""
        if self._connection is not None:
            await self._connection.close()

    async def wait(self, found: Callable[[], Found | None], seconds: float = 20.0) -> Found:
        """Wait until a function returns something true, asked after every message.

        Raises:
            TimeoutError: It did not.
        """
        async with asyncio.timeout(seconds), self._changed:
            while not (value := found()):
                await self._changed.wait()
            return value

    def forget_seen(self) -> None:
        """Take frames that come again for new ones."""
        self._seen.clear()

    async def connected(self) -> None:
        """Wait until a host is connected and has said what it holds."""
        await self.wait(lambda: self._connection is not None and self.of_kind(wire.Holding))

    async def disconnected(self, seconds: float = 20.0) -> None:
        """Wait until no host is connected."""
        await self.wait(lambda: self._connection is None, seconds)

    def of_kind(self, kind: type[Found]) -> list[Found]:
        """Return the messages of a kind, in order."""
        return [message for message in self.said if isinstance(message, kind)]

    def reports_of(self, run_id: str, kind: type[Found]) -> list[Found]:
        """Return a run's reports of a kind, in order."""
        return [
            report for run, _, report in self.reports if run == run_id and isinstance(report, kind)
        ]

    def lines_of(self, run_id: str) -> list[tuple[str, str]]:
        """Return a run's log: loggers and messages."""
        return [
            (line.logger, line.message)
            for logged in self.reports_of(run_id, Logged)
            for line in logged.lines
        ]

    async def finished(self, run_id: str, seconds: float = 20.0) -> Finished:
        """Wait for the end of a run."""
        found = await self.wait(lambda: self.reports_of(run_id, Finished), seconds)
        return found[0]

    async def reported(self, run_id: str, kind: type[Found], seconds: float = 20.0) -> Found:
        """Wait for a run's first report of a kind."""
        return (await self.wait(lambda: self.reports_of(run_id, kind), seconds))[0]
