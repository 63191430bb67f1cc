"""Runs a server and a worker side by side, until a signal."""

import asyncio
from contextlib import suppress
from typing import Protocol

from stoker.client.http import Api
from stoker.domain.errors import StokerError, Unavailable
from stoker.settings import Settings
from stoker.supervision.programs import NotStarted, Program, Say, command, reason
from stoker.supervision.servers import Server
from stoker.supervision.stopping import Stop

LOOK = 0.05
"""Seconds between two looks whether the worker's hosts are ready."""

LAST_WORD = 5.0
"""Seconds that the server has to answer what it is told at the end."""

LEAVE_TIME = 10.0
"""Seconds beyond the grace time that the worker has to end its hosts."""


class Task(Protocol):
    """What a supervisor's worker is for.

    Attributes:
        pool: The work pool that it serves.
    """

    pool: str

    def prepare(self, api: Api) -> None:
        """Make at the server what there has to be before the worker starts.

        Raises:
            StokerError: That is impossible.
        """
        ...

    def is_ready(self, api: Api) -> bool:
        """Whether the user can be told that all is up.

        Raises:
            StokerError: It never will be.
        """
        ...

    def greeting(self, url: str) -> list[str]:
        """What the user is told then."""
        ...

    def leave(self, api: Api) -> None:
        """Tell the server what changes now that there will be no worker; it still runs."""
        ...


class Supervisor:
    """See the module.

    Args:
        settings: Keys and times.
        server: The server.
        task: What the worker is for.
        say: Prints a line.
        worker: The worker's further options.
        env: Further environment of the worker.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        task: Task,
        say: Say,
        *,
        worker: list[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._server = server
        self._task = task
        self._print = say
        arguments = ["worker", "start", "--pool", task.pool, *(worker or [])]
        self._worker = Program("worker", command(*arguments), dict(env or {}))
        self._stop = Stop()
        self._prepared: str | None = None

    async def run(self) -> None:
        """Run until a signal, and end all that was started then.

        Raises:
            StokerError: It cannot be started; says why.
            RuntimeError: This is not the main thread.
        """
        with self._stop.on_signals():
            keepers: list[asyncio.Task[None]] = []
            try:
                url = await self._server.open(self._stop)
                if url is None:
                    return
                keepers += [asyncio.create_task(self._server.keep(self._stop, self._say))]
                await self._start_worker(url)
                keepers += [asyncio.create_task(self._worker.keep(self._say))]
                await self._stop.wanted.wait()
            finally:
                for keeper in keepers:
                    keeper.cancel()
                await asyncio.gather(*keepers, return_exceptions=True)
                await self._shut_down()

    async def _start_worker(self, url: str) -> None:
        with Api(url, self._settings.api_key, self._settings.request_timeout) as api:
            await asyncio.to_thread(self._task.prepare, api)
            self._prepared = url
            self._worker.env |= {"STOKER_API_URL": url}
            self._worker.needs = self._server.program
            await self._worker.start()
            while not await asyncio.to_thread(self._is_ready, api):
                if self._stop.wanted.is_set():
                    return
                if not self._worker.running:
                    code = reason(await self._worker.ended())
                    raise NotStarted(f"the worker ended with {code}")
                await self._stop.sleep(LOOK)
        for line in self._task.greeting(url):
            self._say(line)

    def _is_ready(self, api: Api) -> bool:
        try:
            return self._task.is_ready(api)
        except Unavailable:
            return False  # It has been there, and is about to be there again.

    def _say(self, line: str) -> None:
        # The terminal may be gone.
        with suppress(OSError):
            self._print(line)

    async def _shut_down(self) -> None:
        """Stop the worker, which drains its hosts, and then the server they report to."""
        if self._prepared is not None:
            await asyncio.to_thread(self._leave, self._prepared)
        if self._worker.running:
            grace = self._settings.shutdown_grace
            self._say(
                f"Stopping: running flows get {grace:g} s to end. Ctrl-C again stops at once."
            )
            await self._worker.end(grace + LEAVE_TIME, self._stop, self._say)
        await self._server.close(self._stop, self._say)

    def _leave(self, url: str) -> None:
        try:
            with Api(url, self._settings.api_key, LAST_WORD) as api:
                self._task.leave(api)
        except StokerError as error:
            self._say(f"The server was not told that this ends: {error}")
