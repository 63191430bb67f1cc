"""The scheduler: makes a run for each occurrence of each schedule, at its instant.

No run is made ahead of its time: so there is none to take back where a schedule is paused, changed
or removed, and what was missed is known by the schedule's cursor alone.
"""

import asyncio
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from stoker.domain.requests import StartRun
from stoker.domain.schedules import DeploymentSchedule
from stoker.domain.scheduling.catching_up import Firing, firing
from stoker.ports.clock import Clock
from stoker.ports.store import Records
from stoker.services.dispatcher import Dispatcher
from stoker.services.runs.submission import Occurrence, submit_occurrences
from stoker.services.unit import Unit

POLL = 5.0
"""Seconds between two looks at the most: the wall clock may have been set, or another server may
have changed a schedule."""

STILL = 3 * POLL
"""Seconds without a look after which nobody is said to have looked: a server that was stopped, a
machine that slept, a store that could not be reached, a wall clock that was set forward."""

BEHIND = 0.5
"""Seconds by which a server that does not lead looks later: it finds nothing, or another's work."""

AGAIN = 0.1
"""Seconds until it is looked again whether another server has run what this one has missed."""

TOGETHER = 100
"""Schedules looked at, and runs of a schedule made, at a time."""

AUTO = "auto-scheduled"
"""Tag of the runs that schedules and backfills make."""


def fire(unit: Unit, what: Firing) -> int:
    """Make the runs of a schedule's occurrences, unless somebody else has been faster.

    Returns how many it made.
    """
    one = what.schedule
    deployment = unit.records.deployment(one.deployment_id)
    # First, so that who comes second waits here, and sees that it is second.
    if not unit.records.put_schedule(replace(one, cursor=what.cursor, next=what.next)):
        return 0
    if deployment is None:
        unit.records.delete_schedule(one.id)
        return 0
    schedule = one.schedule
    request = StartRun(deployment=deployment.id, parameters=schedule.parameters, tags=[AUTO])
    found = [Occurrence(one.id, instant, instant) for instant in what.instants]
    submit_occurrences(unit, [(request, occurrence) for occurrence in found])
    return len(found)


class Scheduler:
    """Fires schedules, whenever one is due."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._wake = asyncio.Event()
        self._up_since = clock.now()
        self._seen = (clock.now(), clock.boot())
        dispatcher.on_schedules = self._wake.set

    async def run(self) -> None:
        """Fire for ever."""
        while True:
            self._wake.clear()
            due = await self.once()
            left = POLL if due is None else min(POLL, due - self._clock.now())
            if not self._dispatcher.members.leading("scheduler"):
                left += BEHIND
            if left > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), left)

    async def once(self) -> float | None:
        """Fire what is due, and return when the next occurrence is."""
        while True:
            now = self._look_at_clock()
            due, later = await self._dispatcher.read(partial(_look, now))
            # Also where much is left to do: what is due until the next look was not missed.
            self._seen = (now, self._clock.boot())
            if not due:
                return later
            # In a thread: what a server missed in a month may be millions of occurrences.
            firings = await asyncio.to_thread(_firings, due, now, self._up_since)
            if not firings:
                return now + AGAIN
            # Each by itself, so that one that fails holds back no other.
            done = await asyncio.gather(
                *(self._fire(what) for what in firings), return_exceptions=True
            )
            failed = [one for one in done if isinstance(one, BaseException)]
            if failed:
                raise failed[0]

    async def _fire(self, what: Firing) -> None:
        await self._dispatcher.transact(lambda unit: fire(unit, what))

    def _look_at_clock(self) -> float:
        now, boot = self._clock.now(), self._clock.boot()
        if now - self._seen[0] > STILL or boot - self._seen[1] > STILL:
            self._up_since = now
        return now


def _look(now: float, records: Records) -> tuple[list[DeploymentSchedule], float | None]:
    return records.schedules_due(now, TOGETHER), records.next_schedule()


def _firings(due: list[DeploymentSchedule], now: float, up_since: float) -> list[Firing]:
    found = [firing(one, now, up_since, TOGETHER) for one in due]
    return [one for one in found if one is not None]
