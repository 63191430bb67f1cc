"""Promoting: runs that were scheduled for later enter their queues when they are due.

The same loop ends the pauses that nobody ended in time.
"""

import asyncio
from contextlib import suppress

from stoker.ports.clock import Clock
from stoker.services.dispatcher import Dispatcher
from stoker.services.runs.collisions import turn_away
from stoker.services.runs.pausing import expire
from stoker.services.unit import Unit

SLOW_POLL = 5.0
"""Seconds between two looks at the least: another server may have accepted a run."""


def promote(unit: Unit) -> float | None:
    """Put runs into their queues that are due, end overdue pauses; return when the next one is."""
    runs = unit.records.promote(unit.now)
    turn_away(unit, runs)
    pools = {run.pool for run in runs if run.pool is not None}
    unit.claimable.update(pools)
    unit.demand.update(pools)
    times = [at for at in (unit.records.next_due(), expire(unit)) if at is not None]
    return min(times, default=None)


class Promoter:
    """Looks for due runs and overdue pauses whenever there is one."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._wake = asyncio.Event()
        dispatcher.on_due = self._wake.set

    async def run(self) -> None:
        """Promote for ever."""
        while True:
            self._wake.clear()
            due = await self._dispatcher.transact(promote)
            left = SLOW_POLL if due is None else min(SLOW_POLL, due - self._clock.now())
            if left > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), left)
