"""Whether the server can do its work now, and if not, why."""

import asyncio
from collections.abc import Callable

from stoker.domain.errors import StokerError
from stoker.ports.clock import Clock
from stoker.services.dispatcher import Dispatcher
from stoker.services.operations.loops import Loops

PATIENCE = 3.0
"""Seconds within which the database has to take a write."""
FRESH = 1.0
"""Seconds for which one write answers all that ask."""


class Readiness:
    """See the module.

    Args:
        dispatcher: Writes.
        clock: The time.
        loops: How the server's loops are.
        name: This server's, among those of its database.
        schema_problem: What is wrong with the database's schema; empty for nothing.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        clock: Clock,
        loops: Loops,
        name: str,
        schema_problem: Callable[[], str] = lambda: "",
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._loops = loops
        self._name = name
        self._schema_problem = schema_problem
        self._probe: asyncio.Task[str] | None = None
        self._probed = -FRESH

    async def problems(self) -> list[str]:
        """Return why the server is not ready, one line for each reason."""
        found = ["the server is stopping"] if self._dispatcher.watch.closed else []
        found += self._loops.problems()
        database = await self._database()
        return [*found, database] if database else found

    async def _database(self) -> str:
        probe = self._probe
        if probe is None or (probe.done() and self._clock.boot() - self._probed >= FRESH):
            # It goes on where it is late: no second one waits behind it.
            probe = self._probe = asyncio.create_task(self._write())
        try:
            return await asyncio.wait_for(asyncio.shield(probe), PATIENCE)
        except TimeoutError:
            return f"the database has taken no write for {PATIENCE:g} s"

    async def _write(self) -> str:
        try:
            await self._dispatcher.transact(lambda unit: unit.records.probe(self._name, unit.now))
            return self._schema_problem()
        except StokerError as error:
            return str(error)
        except Exception as error:
            # Whatever it is, it is an answer to the question.
            return f"the database cannot be written: {error}"
        finally:
            self._probed = self._clock.boot()
