"""The server's loops: kept running, and ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from stoker.domain.errors import StokerError
from stoker.ports.clock import Clock
from stoker.services.operations.loops import Loops

logger = logging.getLogger("stoker.server")


class Running:
    """The loops that run now."""

    def __init__(self, clock: Clock, loops: Loops) -> None:
        self._clock = clock
        self._loops = loops
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run a loop for ever; one that fails is said, once, and tried again."""
        self._tasks.append(asyncio.create_task(self._keep(name, loop)))

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        said = ""
        while True:
            try:
                await loop()
            except StokerError as error:
                if str(error) != said:
                    logger.error("the %s failed and is tried again: %s", name, error)
                said = str(error)
                self._loops.failed(name, said)
            except Exception as error:
                # A server without one of its loops is worse than one whose loop tries again.
                logger.exception("the %s failed and is tried again", name)
                self._loops.failed(name, f"{type(error).__name__}: {error}")
            await self._clock.sleep(1.0)

    async def end(self) -> None:
        """End all of them.

        Again and again: a unit of work says `Unavailable` where it is cancelled while the server
        stops, and a loop may take that for a store that cannot be used now, and go on.
        """
        left = set(self._tasks)
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=0.2)
        await asyncio.gather(*self._tasks, return_exceptions=True)
