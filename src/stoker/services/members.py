"""The servers of a store: each is registered under a lease, and one leads each of the loops."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from math import inf
from typing import Protocol

from stoker.domain.errors import StokerError
from stoker.domain.ids import new_id
from stoker.domain.servers import Server
from stoker.ports.clock import Clock
from stoker.ports.store import Records, Store
from stoker.services.leaps import LEAST, follow
from stoker.services.store_clock import StoreClock

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
    """

    id: str

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

    def __init__(self, server_id: str = "") -> None:
        self.id = server_id

    def leading(self, name: str) -> bool:
        """It leads everything."""
        del name
        return True


class Members:
    """See the module. All is harmless when two lead for a moment: a stopped server that wakes up.

    Args:
        store: The store.
        clock: Its time, which is measured with each beat.
        address: Where this server listens.
        version: Its Stoker's.
        pace: Seconds between two beats at the most.
    """

    def __init__(
        self, store: Store, clock: StoreClock, *, address: str, version: str, pace: float
    ) -> None:
        self.id = new_id(clock.now())
        self.on_lead: Callable[[str], None] = lambda _: None
        self.on_servers: Callable[[], None] = lambda: None
        self.on_leave: Callable[[], None] = lambda: None
        self._store = store
        self._clock = clock
        self._address = address
        self._version = version
        self._pace = min(BEAT, pace)
        self._lease = BEATS * self._pace
        self._until: dict[str, float] = {}
        self._others: frozenset[str] | None = None
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
        won, others = await asyncio.wrap_future(
            self._store.write(lambda records: self._renew(records, led))
        )
        self._until = dict.fromkeys(won, at + self._lease)
        new = sorted(won - led)
        if new:
            logger.info("this server leads: %s", ", ".join(new))
        for name in new:
            self.on_lead(name)
        if others != self._others:
            self._others = others
            self.on_servers()

    def _renew(self, records: Records, led: Collection[str]) -> tuple[set[str], frozenset[str]]:
        now, moved = self._clock.measure(records)
        if abs(moved) >= LEAST and "sweeper" in led:
            follow(records, moved)
        me = Server(
            id=self.id,
            address=self._address,
            version=self._version,
            started=now,
            lease_until=now + self._lease,
        )
        records.put_server(me)
        for server in records.servers():
            if server.lease_until < now - FORGOTTEN:
                records.delete_server(server.id)
        won = {name for name in LOOPS if records.lead(name, self.id, now, self._lease)}
        return won, frozenset(live_servers(records, now) - {self.id})

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
