"""The backfiller: makes a backfill's next runs when others of it are over."""

import asyncio
from contextlib import suppress

from stoker.ports.clock import Clock
from stoker.services.dispatcher import Dispatcher
from stoker.services.schedules.backfilling import advance

POLL = 5.0
"""Seconds between two looks: the run that ended may have been another server's."""


class Backfiller:
    """Advances the backfills that have runs to make."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._wake = asyncio.Event()
        self._running: frozenset[str] = frozenset()
        dispatcher.on_occurrence = self._ended
        dispatcher.on_backfills = self._wake.set

    async def run(self) -> None:
        """Advance for ever."""
        while True:
            self._wake.clear()
            await self.once()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL)

    async def once(self) -> None:
        """Make the runs for which there is room."""
        while True:
            found = await self._dispatcher.read(lambda records: records.backfills_running())
            self._running = frozenset(one.id for one in found)
            made = 0
            for one in found:
                made += await self._dispatcher.transact(lambda unit, id=one.id: advance(unit, id))
            if not made:
                return

    def _ended(self, schedule_id: str) -> None:
        if schedule_id in self._running:
            self._wake.set()
