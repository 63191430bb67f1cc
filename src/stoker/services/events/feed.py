"""The live stream of events: one reader of the store for all who follow on this server."""

import asyncio
from collections import deque
from collections.abc import Set as AbstractSet
from contextlib import suppress

from stoker.domain.errors import Unavailable
from stoker.domain.events import Event
from stoker.ports.clock import Clock
from stoker.services.dispatcher import Dispatcher

KEPT = 2_000
"""Events that are kept for followers who are nearly up to date; others read the store."""

PAGE = 500
"""Events that are read at a time."""

MAX_FOLLOWERS = 200
"""Streams of one server at the most."""

SLOW_POLL = 1.0
"""Seconds between two looks at the least, while anybody follows."""

MIN_GAP = 0.02
"""Seconds between two looks: a burst of events is read together."""


class EventFeed:
    """Hands on events as they come, to any number of followers, in the memory of one page.

    A follower asks for what comes after an event that it knows. One that is slow reads from the
    store, at its own pace: nothing is kept for it, and nothing is left out.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self.closed = False
        self._dispatcher = dispatcher
        self._clock = clock
        self._wake = asyncio.Event()
        self._news: asyncio.Future[None] | None = None
        self._followers = 0
        self._reads = False
        self._tail: deque[Event] = deque(maxlen=KEPT)
        self._from = 0
        self._upto = 0

    def stirred(self, names: AbstractSet[str]) -> None:
        """See `Follower`."""
        if self._followers and "events" in names:
            self._wake.set()

    def close(self) -> None:
        """Send the followers away."""
        self.closed = True
        self._tell()

    async def run(self) -> None:
        """Read for ever what comes, while anybody follows."""
        while True:
            timeout = SLOW_POLL if self._followers else None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout)
            self._wake.clear()
            if self._reads:
                await self._read()
                await self._clock.sleep(MIN_GAP)

    async def now(self) -> int:
        """Return the event after which there is nothing yet, for one who is about to follow.

        Raises:
            Unavailable: Too many follow already.
        """
        self._check_room()
        return await self._horizon()

    def _check_room(self) -> None:
        if self._followers >= MAX_FOLLOWERS:
            raise Unavailable(
                f"{MAX_FOLLOWERS} streams of events are open on this server; close some, or read "
                "GET /api/events"
            )

    async def follow(self) -> int:
        """Begin to follow, and return the event after which there is nothing yet.

        Raises:
            Unavailable: Too many follow already.
        """
        self._check_room()
        self._followers += 1
        try:
            horizon = await self._horizon()
        except BaseException:
            # Who could not begin, or was cancelled meanwhile, follows nothing.
            self.leave()
            raise
        if not self._reads:
            # Nobody has followed for a while: what came meanwhile need not be read.
            self._reads = True
            self._tail.clear()
            self._from = self._upto = horizon
        self._wake.set()
        return horizon

    def leave(self) -> None:
        """Follow no longer."""
        self._followers -= 1
        if not self._followers:
            self._reads = False

    async def oldest(self) -> int | None:
        """The oldest event that is kept."""
        return await self._dispatcher.read(lambda records: records.oldest_event())

    async def after(self, position: int, patience: float) -> list[Event]:
        """Return the next events after one, oldest first; none after ``patience`` seconds."""
        found = await self._next(position)
        if found or self.closed:
            return found
        news = self._news = self._news or asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(news), patience)
        return await self._next(position)

    async def _next(self, position: int) -> list[Event]:
        if position >= self._upto:
            return []
        if position >= self._from:
            return [event for event in self._tail if event.id > position][:PAGE]
        upto = self._upto
        return await self._dispatcher.read(
            lambda records: records.events_after(position, upto, PAGE)
        )

    async def _horizon(self) -> int:
        return await self._dispatcher.read(lambda records: records.event_horizon())

    async def _read(self) -> None:
        horizon = await self._horizon()
        while self._upto < horizon:
            after = self._upto
            page = await self._dispatcher.read(
                lambda records, after=after: records.events_after(after, horizon, PAGE)
            )
            if len(self._tail) + len(page) > KEPT:
                kept = [*self._tail, *page]
                self._from = kept[-KEPT - 1].id
            self._tail.extend(page)
            self._upto = page[-1].id if len(page) == PAGE else horizon
            if page:
                self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
