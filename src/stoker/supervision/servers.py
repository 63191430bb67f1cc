"""The server of a supervisor: its own, one that it shares with others, or one elsewhere."""

import asyncio
import fcntl
import os
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from stoker.client.discovery import ServerFile, live_server, lives, read_server_file
from stoker.client.health import healthy_server
from stoker.domain.errors import Unavailable
from stoker.settings import DEFAULT, Settings, load_with_sources
from stoker.supervision.programs import NotStarted, Program, Say, command
from stoker.supervision.stopping import Stop

START_TIMEOUT = 60.0
"""Seconds that a server may take to answer."""

END_PATIENCE = 10.0
"""Seconds that a server gets to end."""

LOOK = 0.05
"""Seconds between two looks for a server that starts."""

RESTART = 3.0
"""Seconds that those who started a server get to start it again, after it died."""


class Server(Protocol):
    """A server that a worker can talk to.

    Attributes:
        program: What runs it here; None where others do.
    """

    @property
    def program(self) -> Program | None:
        """See the class."""
        ...

    async def open(self, stop: Stop) -> str | None:
        """Return its address once it answers; None where a signal came first.

        Raises:
            Unavailable: There is none, and none could be started.
        """
        ...

    async def keep(self, stop: Stop, say: Say) -> None:
        """See to it that there goes on to be one, for ever."""
        ...

    async def close(self, stop: Stop, say: Say) -> None:
        """End it, if it is this supervisor's own."""
        ...


class RemoteServer:
    """A server that others look after.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.program: Program | None = None

    async def open(self, stop: Stop) -> str | None:
        """See `Server.open`."""
        del stop
        return self._url

    async def keep(self, stop: Stop, say: Say) -> None:
        """See `Server.keep`."""
        del stop, say
        await asyncio.Event().wait()

    async def close(self, stop: Stop, say: Say) -> None:
        """See `Server.close`."""


class OwnServer:
    """A server on the settings' home, started at once.

    Args:
        settings: Home and key.
        program: The server.
    """

    def __init__(self, settings: Settings, program: Program) -> None:
        self._settings = settings
        self.program: Program = program

    async def open(self, stop: Stop) -> str | None:
        """See `Server.open`."""
        await self.program.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not stop.wanted.is_set():
            process = self.program.process
            url = await _healthy(self._settings, process and process.pid)
            if url is not None:
                # A restart must come back where the worker looks for it.
                self.program.command += ["--port", str(urlsplit(url).port)]
                return url
            if not self.program.running:
                raise NotStarted(f"no server could be started on {self._settings.home}")
            if time.monotonic() > deadline:
                raise Unavailable(f"the server does not answer after {START_TIMEOUT:g} s")
            await stop.sleep(LOOK)
        return None

    async def keep(self, stop: Stop, say: Say) -> None:
        """See `Server.keep`."""
        del stop
        await self.program.keep(say)

    async def close(self, stop: Stop, say: Say) -> None:
        """See `Server.close`."""
        await self.program.end(END_PATIENCE, stop, say)


class SharedServer:
    """The server that runs on the settings' home; where none does (any more), one of its own.

    Args:
        settings: Home and key.
        env: Further environment of a server of its own.
    """

    def __init__(self, settings: Settings, env: dict[str, str]) -> None:
        self._settings = settings
        self._env = env
        self._own: OwnServer | None = None
        self._other: ServerFile | None = None
        self._port = _port(settings)

    @property
    def program(self) -> Program | None:
        """See `Server`."""
        return self._own and self._own.program

    async def open(self, stop: Stop) -> str | None:
        """See `Server.open`."""
        # One of those that come at the same time starts a server; the others find it.
        async with _alone(self._settings.home, stop):
            self._own, self._other = None, None
            url = await _healthy(self._settings)
            if url is None and not stop.wanted.is_set():
                url = await self._start(stop)
            if self._own is None:
                self._other = read_server_file(self._settings.home)
        if url is not None:
            self._port = f"--port={urlsplit(url).port}"
        return url

    async def _start(self, stop: Stop) -> str | None:
        arguments = ["server", "start", *([] if self._port is None else [self._port])]
        own = OwnServer(self._settings, Program("server", command(*arguments), self._env))
        self._own = own
        try:
            return await own.open(stop)
        except Unavailable:
            await own.close(stop, lambda _: None)
            self._own = None
            # `stoker up` may have been faster.
            await self._reappears()
            url = await _healthy(self._settings)
            if url is None:
                raise
            return url

    async def keep(self, stop: Stop, say: Say) -> None:
        """See `Server.keep`."""
        while self._own is None:
            await _end_of(self._other)
            if read_server_file(self._settings.home) is not None:
                # It did not leave by itself: who started it may be about to do so again.
                await self._reappears()
            try:
                url = await self.open(stop)
            except Unavailable as error:
                say(f"The server is gone: {error}")
                await asyncio.sleep(RESTART)
                continue
            if self._own is not None:
                say(f"The server was stopped; this script runs it now, at {url}.")
        await self._own.keep(stop, say)

    async def close(self, stop: Stop, say: Say) -> None:
        """See `Server.close`."""
        if self._own is not None:
            await self._own.close(stop, say)

    async def _reappears(self) -> None:
        deadline = time.monotonic() + RESTART
        while time.monotonic() < deadline and live_server(self._settings.home) is None:
            await asyncio.sleep(LOOK)


async def _healthy(settings: Settings, pid: int | None = None) -> str | None:
    return await asyncio.to_thread(healthy_server, settings.home, settings.api_key, pid)


def _port(settings: Settings) -> str | None:
    """The option by which a server takes any free port, where it is free to and has to."""
    if load_with_sources()[1]["server_port"] != DEFAULT:
        return None
    with socket.socket(socket.AF_INET6 if ":" in settings.server_host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.server_host, settings.server_port))
        except OSError:
            return "--port=0"
    return None


@asynccontextmanager
async def _alone(home: Path, stop: Stop) -> AsyncGenerator[None]:
    """Hold the lock of a home's folder, if it can be had before a signal."""
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        # The server says what is wrong with it.
        yield
        return
    try:
        while not stop.wanted.is_set():
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await stop.sleep(LOOK)
            except OSError:
                break
            else:
                break
        yield
    finally:
        os.close(handle)


async def _end_of(server: ServerFile | None) -> None:
    """Wait for the end of a server's process."""
    if server is None:
        return
    loop = asyncio.get_running_loop()
    try:
        pidfd = os.pidfd_open(server.pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    try:
        if lives(server):
            loop.add_reader(pidfd, ended.set)
            await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
