"""The servers of a store: each is registered under a lease, and one leads each of the loops."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import NamedTuple, Protocol

from stoker.domain.errors import StokerError
from stoker.domain.ids import new_id
from stoker.domain.servers import Server
from stoker.ports.clock import Clock
from stoker.ports.store import Records, Store
from stoker.services.replicas.leaps import LEAST, follow
from stoker.services.replicas.store_clock import Measured, StoreClock

logger = logging.getLogger("stoker.server")

LOOPS = ("automations", "planner", "pruner", "scheduler", "sweeper")
"""What one server runs at a time."""

BEAT = 2.0
"""Seconds between two renewals of a server's lease, at the most."""

BEATS = 3
"""Renewals within a lease: two may fail before another server takes over."""

FORGOTTEN = 3600.0
"""Seconds after its lease when a server that ended without a word is forgotten."""


class Membership(Protocol):
    """What a server knows of itself among the servers of its store.

    Attributes:
        id: This server.
        measures: Whether it measures the store's clock, and sees to it that leaps are followed.
    """

    id: str
    measures: bool

    def leading(self, name: str) -> bool:
        """Whether this server runs a loop now; see `LOOPS`."""
        ...

    @property
    def others(self) -> bool:
        """Whether there may be other servers."""
        ...


class Alone:
    """The one server of a store that has no others."""

    others = False
    measures = False

    def __init__(self, server_id: str = "") -> None:
        self.id = server_id

    def leading(self, name: str) -> bool:
        """It leads everything."""
        del name
        return True


class _Beat(NamedTuple):
    """What a renewal has found; it counts once it is committed."""

    won: set[str]
    others: frozenset[str]
    measured: Measured
    leap: float
    followed: float
    unfollowed: float


class Members:
    """See the module. All is harmless when two lead for a moment: a stopped server that wakes up.

    Args:
        store: The store.
        clock: Its time, which is measured with each beat.
        address: Where this server listens.
        version: Its Stoker's.
        pace: Seconds between two beats at the most.
    """

    measures = True

    def __init__(
        self, store: Store, clock: StoreClock, *, address: str, version: str, pace: float
    ) -> None:
        self.id = new_id(clock.now())
        self.on_lead: Callable[[str], None] = lambda _: None
        self.on_servers: Callable[[], None] = lambda: None
        self.on_leave: Callable[[], None] = lambda: None
        self.on_leap: Callable[[float], None] = lambda _: None
        self._store = store
        self._clock = clock
        self._address = address
        self._version = version
        self._pace = min(BEAT, pace)
        self._lease = BEATS * self._pace
        self._until: dict[str, float] = {}
        self._others: frozenset[str] | None = None
        self._followed: float | None = None
        self._unfollowed = 0.0
        self._wake = asyncio.Event()

    @property
    def others(self) -> bool:
        """Whether there may be other servers."""
        return self._others is None or bool(self._others)

    def leading(self, name: str) -> bool:
        """Whether this server holds the lease of a loop, by its own count of the time."""
        return self._until.get(name, 0.0) > self._clock.boot()

    def look(self) -> None:
        """Another server has come or gone."""
        self._wake.set()

    async def run(self) -> None:
        """Renew for ever."""
        while True:
            self._wake.clear()
            await self.beat()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace):
                    await self._wake.wait()

    async def beat(self) -> None:
        """Renew the lease, keep or take the lead, and see who else there is."""
        at = self._clock.boot()
        led = {name for name in LOOPS if self.leading(name)}
        found = await asyncio.wrap_future(self._store.write(self._renew))
        self._clock.accept(found.measured)
        self._until = dict.fromkeys(found.won, at + self._lease)
        self._followed, self._unfollowed = found.followed, found.unfollowed
        if found.leap:
            logger.warning("the database's clock has leapt by %.1f s", found.leap)
            self.on_leap(found.leap)
        new = sorted(found.won - led)
        if new:
            logger.info("this server leads: %s", ", ".join(new))
        for name in new:
            self.on_lead(name)
        if found.others != self._others:
            self._others = found.others
            self.on_servers()

    def _renew(self, records: Records) -> _Beat:
        """Renew. It may be run more than once, and not be committed: it keeps nothing."""
        # In this order: of what others have followed, the leap itself shows in the measurement.
        followed = records.leapt()
        measured = self._clock.measure(records)
        now = measured.time
        me = Server(
            id=self.id,
            address=self._address,
            version=self._version,
            started=now,
            lease_until=now + self._lease,
        )
        records.put_server(me)
        won = {name for name in LOOPS if records.lead(name, self.id, now, self._lease)}
        leap = measured.moved if abs(measured.moved) >= LEAST else 0.0
        unfollowed = self._not_followed(leap, followed)
        if "sweeper" in won:
            followed = records.leapt()
            unfollowed = self._not_followed(leap, followed)
            if abs(unfollowed) >= LEAST:
                self._follow(records, unfollowed, now)
                followed, unfollowed = followed + unfollowed, 0.0
                records.put_leapt(followed)
        for server in records.servers():
            if server.lease_until < now - FORGOTTEN:
                records.delete_server(server.id)
        others = frozenset(live_servers(records, now) - {self.id})
        return _Beat(won, others, measured, leap, followed, unfollowed)

    def _not_followed(self, leap: float, followed: float) -> float:
        """Seconds of the leaps that this server has noticed, without what was followed since.

        Each server notices each leap, by its own machine's time since boot. Who leads follows, and
        notes how far: whoever leads next follows what is missing, and nothing twice.
        """
        if self._followed is None:
            return 0.0
        noticed = self._unfollowed + leap
        rest = noticed - (followed - self._followed)
        # A leap from before it came is followed by others, and noticed by them alone.
        return rest if rest * noticed > 0 else 0.0

    def _follow(self, records: Records, by: float, now: float) -> None:
        follow(records, by)
        for server in records.servers():
            # One that has measured since is not to live for longer than its lease.
            server.lease_until = min(server.lease_until + by, now + self._lease)
            records.put_server(server)

    async def leave(self) -> None:
        """Give back what this server leads, as it ends."""
        self._until = {}
        with suppress(StokerError):
            await asyncio.wrap_future(
                self._store.write(lambda records: records.delete_server(self.id))
            )
            self.on_leave()


def live_servers(records: Records, now: float) -> set[str]:
    """Ids of the servers whose lease holds."""
    return {server.id for server in records.servers() if server.lease_until >= now}


def register_alone(records: Records, server: Server) -> None:
    """Register the one server of a store: all others that were there have ended."""
    for other in records.servers():
        records.delete_server(other.id)
    records.put_server(server)


async def join(
    store: Store, clock: Clock, *, address: str, version: str, pace: float
) -> tuple[Membership, Clock]:
    """Enter a store as one of its servers; return what it is there, and the store's clock.

    Args:
        store: The store.
        clock: This machine's.
        address: Where this server listens.
        version: Its Stoker's.
        pace: See `Members`.
    """
    if store.shared:
        time = StoreClock(clock)
        members = Members(store, time, address=address, version=version, pace=pace)
        await members.beat()
        return members, time
    now = clock.now()
    me = Server(id=new_id(now), address=address, version=version, started=now, lease_until=inf)
    await asyncio.wrap_future(store.write(lambda records: register_alone(records, me)))
    return Alone(me.id), clock
