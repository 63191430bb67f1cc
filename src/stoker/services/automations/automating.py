"""The loop that reads events for the automations, by a cursor in the store."""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from math import inf

from stoker.crash_points import crash_point
from stoker.domain.automation.automations import Automation
from stoker.domain.automation.windows import concerns
from stoker.ports.clock import Clock
from stoker.ports.store import Records
from stoker.services.automations.firing import expire, take_in
from stoker.services.automations.managing import LOCK
from stoker.services.dispatcher import Dispatcher
from stoker.services.unit import Unit

READER = "automations"
"""Name of the cursor."""

PAGE = 500
"""Events, and windows that are over, of one transaction at the most."""

FAR = 20 * PAGE
"""Events of no concern after which the cursor moves all the same."""

SLOW_POLL = 5.0
"""Seconds between two looks at the least: another server's push may have been lost."""

MIN_GAP = 0.02
"""Seconds between two looks: a burst of events is read together."""


class Automator:
    """Reads events, and has the automations see them.

    The cursor moves in the transaction that writes what comes of the events, under a lock: so
    each is seen once, however many servers look, and whenever one is killed.

    Args:
        dispatcher: Runs units of work.
        clock: The time.
        grace: Seconds that the absence of an event may last longer where nobody looked for a
            while: hosts have to report first what happened meanwhile.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock, *, grace: float) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._grace = grace
        self._wake = asyncio.Event()
        self._idle = False
        self._read = 0
        self._last = -inf

    def stirred(self, names: AbstractSet[str]) -> None:
        """See `Follower`."""
        if "automations" in names or ("events" in names and not self._idle):
            self._wake.set()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self._wake.clear()
            leads = self._dispatcher.members.leading("automations")
            due = await self.once() if leads else None
            left = SLOW_POLL if due is None else min(SLOW_POLL, due - self._clock.now())
            if left > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), left)
                if self._wake.is_set():
                    await self._clock.sleep(MIN_GAP)

    async def once(self) -> float | None:
        """Look once; return when the next window is over, seconds since the epoch."""
        boot = self._clock.boot()
        if boot - self._last > SLOW_POLL + self._grace:
            await self._dispatcher.transact(self._be_patient)
        self._last = boot
        horizon = await self._dispatcher.read(lambda records: records.event_horizon())
        wanted, due = await self._dispatcher.read(lambda records: self._look(records, horizon))
        if not wanted and (due is None or due > self._clock.now()):
            return due
        crash_point("firing.before")
        due = await self._dispatcher.transact(self._step)
        crash_point("firing.after")
        return due

    def _be_patient(self, unit: Unit) -> None:
        unit.records.lock(LOCK)
        unit.records.postpone_windows(unit.now + self._grace)

    def _look(self, records: Records, horizon: int) -> tuple[bool, float | None]:
        """Whether an automation is concerned, and when the next window is over."""
        automations = enabled(records)
        self._idle = not automations
        if not automations:
            # What nobody will look at is behind the cursor, too: it may be pruned.
            stored = records.reader_position(READER)
            return stored is not None and horizon - stored > FAR, None
        due = records.next_window_due()
        stored = _position(records, automations)
        position = max(stored, self._read)
        triggers = [one.event_trigger for one in automations]
        while position < horizon:
            page = records.events_after(position, horizon, PAGE)
            for event in page:
                if any(concerns(trigger, event) for trigger in triggers):
                    self._read = event.id - 1
                    return True, due
            position = page[-1].id if page else horizon
        self._read = position
        # Far behind, it would have much to read again after a restart.
        return position - stored > FAR, due

    def _step(self, unit: Unit) -> float | None:
        """See the next events, and then what is over; return when there is more to do."""
        records = unit.records
        records.lock(LOCK)
        automations = enabled(records)
        # Both in one transaction: each statement of it sees what was committed before.
        horizon = records.event_horizon()
        if not automations:
            stored = records.reader_position(READER) or 0
            records.move_reader(READER, max(stored, horizon))
            return None
        position = max(_position(records, automations), self._read)
        events = records.events_after(position, horizon, PAGE)
        take_in(unit, automations, events)
        if len(events) == PAGE:
            records.move_reader(READER, events[-1].id)
            return unit.now
        records.move_reader(READER, max(position, horizon))
        expire(unit, automations, records.due_windows(unit.now, PAGE))
        return records.next_window_due()


def _position(records: Records, automations: Sequence[Automation]) -> int:
    """The event up to which all is seen: by the cursor, or since nobody was there to see it."""
    stored = records.reader_position(READER) or 0
    return max(stored, min((one.since for one in automations), default=0))


def enabled(records: Records) -> list[Automation]:
    """The automations that fire."""
    return [one for one in records.automations() if one.enabled]
