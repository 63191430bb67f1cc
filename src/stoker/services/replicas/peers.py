"""What follows a commit on the other servers of a store: told after it, by ids alone.

Who hears it reads the store, and acts as if the commit had been its own. A message may get lost,
with the connection that it came by: so each server also looks at everything now and then.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec
from msgspec import Struct, field

from stoker.ports.clock import Clock
from stoker.ports.store import Store
from stoker.services.replicas.members import Membership

logger = logging.getLogger("stoker.server")

MOST = 6000
"""Bytes of ids in one message, about: a notification of Postgres has 8,000."""

LATER = 0.05
"""Seconds that what nobody waits for is gathered, to be told together."""

SLOW_POLL = 5.0
"""Seconds between two looks at everything."""


class News(Struct, kw_only=True, omit_defaults=True):
    """What servers tell each other; of a newer one's news the rest is heard.

    Attributes:
        claimable: Pools in which runs wait that another server's hosts may take.
        demand: Pools to plan.
        orders: Pools whose workers have other orders.
        ended: Runs that are over.
        resumed: ``(waiter, run waited for)`` of waits that are over.
        cancels: ``(host, run, attempt, at once)``.
        ends: ``(host, run, attempt, at once, why it failed)`` of attempts to end otherwise than by
            cancelling; suspended where there is no reason.
        stops: ``(host, run, attempt, stop)`` of attempts to let stand still, or go on.
        unpaused: Runs whose pauses are over.
        abandoned: Runs in whose name nobody waits any more; see `Unit.abandoned`.
        draining: Hosts to drain.
        terms: Hosts whose pool has other terms.
        warm: ``(pool, lane)`` whose hosts should hold other codes.
        logged: Runs with new log lines.
        connected: ``(host, connection)`` of hosts that have another socket now.
        granted: Requests for slots that have theirs now.
        given_up: Requests for slots that are over.
        condemned: Hosts that their workers are to end.
        signals: What else there is to look at; see `Unit.signals`.
        stirred: What has changed for followers of events; see `Unit.stirs`.
        servers: Whether a server has come or gone.
    """

    claimable: set[str] = field(default_factory=set[str])
    demand: set[str] = field(default_factory=set[str])
    orders: set[str] = field(default_factory=set[str])
    ended: set[str] = field(default_factory=set[str])
    resumed: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    cancels: set[tuple[str, str, int, bool]] = field(
        default_factory=set[tuple[str, str, int, bool]]
    )
    ends: set[tuple[str, str, int, bool, str]] = field(
        default_factory=set[tuple[str, str, int, bool, str]]
    )
    stops: set[tuple[str, str, int, bool]] = field(default_factory=set[tuple[str, str, int, bool]])
    unpaused: set[str] = field(default_factory=set[str])
    abandoned: set[str] = field(default_factory=set[str])
    draining: set[str] = field(default_factory=set[str])
    terms: set[str] = field(default_factory=set[str])
    warm: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    logged: set[str] = field(default_factory=set[str])
    connected: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    granted: set[str] = field(default_factory=set[str])
    given_up: set[str] = field(default_factory=set[str])
    condemned: set[str] = field(default_factory=set[str])
    signals: set[str] = field(default_factory=set[str])
    stirred: set[str] = field(default_factory=set[str])
    servers: bool = False

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for it."""
        return bool(
            self.claimable
            or self.ended
            or self.resumed
            or self.cancels
            or self.ends
            or self.stops
            or self.unpaused
            or self.connected
            or self.granted
            or self.given_up
            or self.signals
            or self.servers
        )

    def add(self, other: "News") -> None:
        """Take in what else there is."""
        for name in _SETS:
            mine: set[object] = getattr(self, name)
            mine |= getattr(other, name)
        self.servers = self.servers or other.servers

    def parts(self) -> Iterator["News"]:
        """Yield it in messages that are short enough."""
        part, size = News(servers=self.servers), 0
        for name in _SETS:
            for item in getattr(self, name):
                length = len(_encode(item))
                if size + length > MOST:
                    yield part
                    part, size = News(), 0
                getattr(part, name).add(item)
                size += length
        if size or part.servers:
            yield part


_SETS = tuple(name for name in News.__struct_fields__ if name != "servers")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(News).decode


class Peers:
    """Tells the other servers, and hears them.

    Args:
        store: Passes the messages on.
        members: Knows whether there is anybody to tell.
        clock: The time.
    """

    def __init__(self, store: Store, members: Membership, clock: Clock) -> None:
        self.hearers: list[Callable[[News], None]] = []
        self.pollers: list[Callable[[], None]] = []
        self._store = store
        self._members = members
        self._clock = clock
        self._pending = News()
        self._timer: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def tell(self, news: News, *, at_once: bool = False) -> None:
        """Tell the others soon; sooner what somebody waits for."""
        if not self._members.others:
            return
        loop = asyncio.get_running_loop()
        self._pending.add(news)
        if at_once:
            self._send()
            return
        if news.urgent:
            if self._timer is not None:
                self._timer.cancel()
            # What else this turn of the loop has to tell goes with it.
            self._timer = loop.call_soon(self._send)
        elif self._timer is None:
            self._timer = loop.call_later(LATER, self._send)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        news, self._pending = self._pending, News()
        self._store.publish([_encode(part) for part in news.parts()])

    async def run(self) -> None:
        """Hear the others, and look at everything now and then, for ever."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            # It waits for the database, while which this server has other things to do.
            await asyncio.to_thread(self._store.subscribe, self._arrived)
            if self._members.others:
                # What they told meanwhile nobody has heard.
                self.look()
        while True:
            await self._clock.sleep(SLOW_POLL)
            if self._members.others:
                self.look()

    def look(self) -> None:
        """Look at everything: news may have been lost."""
        for poll in self.pollers:
            poll()

    def _arrived(self, message: bytes) -> None:
        """Called by the store, in a thread of its own."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):
                # The loop may have ended by now, and the server with it.
                loop.call_soon_threadsafe(self._hear, message)

    def _hear(self, message: bytes) -> None:
        if not message:
            self.look()
            return
        try:
            news = _decode(message)
        except msgspec.MsgspecError as error:
            logger.warning("another server said what cannot be read: %s", error)
            return
        for hear in self.hearers:
            hear(news)
