"""What ``stoker up`` does: keeps a server and a worker running, and stops them in order."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from msgspec import Struct

from stoker.client.health import healthy_server
from stoker.client.http import Api
from stoker.domain.errors import Conflict, Unavailable
from stoker.domain.pools import WarmKnobs
from stoker.settings import Settings
from stoker.wire.http import PoolCreate

START_TIMEOUT = 60.0
"""Seconds that the server may take to answer."""

FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0
"""Seconds before a program that ended is started again, doubled with each in a row."""

LONG_LIFE = 60.0
"""Seconds after which a program counts as healthy: its next end is the first again."""

AT_ONCE = 5.0
"""Seconds that a program gets when it shall stop at once."""


class Program(Struct):
    """A program to keep running."""

    name: str
    command: list[str]
    env: dict[str, str] = {}
    process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether its process exists."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start it in a session of its own: the terminal's Ctrl-C is for the supervisor.

        Its standard input ends when the supervisor does, however that comes about.
        """
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            env=os.environ | self.env,
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def ended(self) -> int:
        """Wait for its end and return its exit code, minus the number of a signal."""
        assert self.process is not None
        return await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None and self.running:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """See the module.

    Args:
        settings: Home and grace time.
        pool: The work pool to make and serve.
        server: Command of the server.
        worker: Command of the worker.
        say: Prints a line.
    """

    def __init__(
        self,
        settings: Settings,
        pool: str,
        server: Program,
        worker: Program,
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._server = server
        self._worker = worker
        self._say = say
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> int:
        """Run until a signal; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        # Under nohup the end of the terminal is to be ignored.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._on_signal)
        keepers: list[asyncio.Task[None]] = []
        try:
            await self._server.start()
            url = await self._until_healthy()
            if url is None:
                # It has said why, or a signal came first.
                return 0 if self._stop.is_set() else 1
            # A restart must come back where the worker looks for it.
            self._server.command += ["--port", str(urlsplit(url).port)]
            await asyncio.to_thread(self._make_pool, url)
            self._worker.env = {"STOKER_API_URL": url}
            await self._worker.start()
            self._greet(url)
            keepers = [asyncio.create_task(self._keep(p)) for p in (self._server, self._worker)]
            await self._stop.wait()
            return 0
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._shut_down()

    def _on_signal(self) -> None:
        (self._at_once if self._stop.is_set() else self._stop).set()

    async def _until_healthy(self) -> str | None:
        """The server's URL once it answers; None where it ended or a signal came first."""
        deadline = time.monotonic() + START_TIMEOUT
        while self._server.running and not self._stop.is_set():
            url = await asyncio.to_thread(
                healthy_server, self._settings.home, self._settings.api_key
            )
            if url is not None:
                return url
            if time.monotonic() > deadline:
                raise Unavailable(f"the server does not answer after {START_TIMEOUT:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.05)
        return None

    def _make_pool(self, url: str) -> None:
        # More hosts on one machine would only import the same code again.
        warm = WarmKnobs(min=1, max=1, slots_per_host=max(8, 2 * (os.cpu_count() or 1)))
        pool = PoolCreate(name=self._pool, warm=warm)
        with (
            Api(url, self._settings.api_key, self._settings.request_timeout) as api,
            suppress(Conflict),  # It is there from an earlier time.
        ):
            api.create_pool(pool)

    def _greet(self, url: str) -> None:
        pool = self._pool
        for line in (
            "",
            "Stoker is up.",
            f"  server     {url}",
            f"  work pool  {pool} (process)",
            f"  home       {self._settings.home}",
            "",
            "In another terminal, deploy a flow and run it:",
            f"  stoker deploy flows.py:hello -n first -p {pool}",
            "  stoker deployment run hello/first --watch",
            f"Look around: stoker work-pool inspect {pool}, stoker flow-run ls",
            "Stop with Ctrl-C.",
            "",
        ):
            self._say(line)

    async def _keep(self, program: Program) -> None:
        pause = FIRST_PAUSE
        while True:
            since = time.monotonic()
            code = await program.ended()
            if time.monotonic() - since > LONG_LIFE:
                pause = FIRST_PAUSE
            self._say(
                f"The {program.name} ended ({_reason(code)}) and is started again in {pause:g} s."
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)
            await program.start()

    async def _shut_down(self) -> None:
        """Stop the worker, which drains its hosts, and then the server they report to."""
        if self._worker.running:
            grace = self._settings.shutdown_grace
            self._say(
                f"Stopping: running flows get {grace:g} s to end. Ctrl-C again stops at once."
            )
            await self._end(self._worker, grace + 10)
        await self._end(self._server, 10.0)

    async def _end(self, program: Program, patience: float) -> None:
        if not program.running:
            return
        program.signal(signal.SIGTERM)
        ended = asyncio.create_task(program.ended())
        hurried = asyncio.create_task(self._at_once.wait())
        try:
            await asyncio.wait(
                {ended, hurried}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            deadline = time.monotonic() + AT_ONCE
            while not ended.done() and time.monotonic() < deadline:
                # A second SIGTERM means "at once". One that comes before the first was looked
                # at is lost in it, so it is said until it is heard.
                program.signal(signal.SIGTERM)
                await asyncio.wait({ended}, timeout=0.2)
            if not ended.done():
                self._say(f"The {program.name} does not end and is killed.")
                program.signal(signal.SIGKILL)
            await ended
        finally:
            hurried.cancel()


def _reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
