"""The fleet: the hosts that a worker launched or adopted, and those that it has seen die."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable

from msgspec import Struct

from stoker.domain.hosts import ProcessIdentity
from stoker.ports.clock import Clock
from stoker.ports.launcher import HostConfig, Launch, Launcher
from stoker.wire.worker import HostLaunched, HostLost, HostOrder

SHORT_LIFE = 10.0
"""Seconds; a host that dies younger counts as a failed launch."""
FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0
"""Seconds without a launch after a failed one, doubled with each in a row."""


class Ship(Struct, eq=False):
    """A host that lives.

    Attributes:
        process: Which process it is.
        token_hash: Of its join token; empty where another worker launched it.
        since: When it was launched or adopted, in seconds since boot.
    """

    process: ProcessIdentity
    token_hash: str
    since: float


class Fleet:
    """See the module.

    Args:
        launcher: Starts hosts and proves them dead.
        clock: The time.
        tell: Tells the server, if it is there; it is told again when it comes back.
        config: What every host of this worker is told, its id, token and slots left out.
        on_death: Awaited before the server is told of a death, with the host's id.
        changed: Called when a host has ended.
    """

    def __init__(
        self,
        launcher: Launcher,
        clock: Clock,
        tell: Callable[[HostLaunched | HostLost], Awaitable[None]],
        config: HostConfig,
        on_death: Callable[[str], Awaitable[None]],
    ) -> None:
        self._launcher = launcher
        self._clock = clock
        self._tell = tell
        self._config = config
        self._on_death = on_death
        self._failures = 0
        self._not_before = 0.0
        self.alive: dict[str, Ship] = {}
        self.dead: dict[str, str] = {}
        self._condemned: dict[str, str] = {}

    @property
    def launched(self) -> list[str]:
        """Ids of the living hosts that this worker launched itself."""
        return [host_id for host_id, ship in self.alive.items() if ship.token_hash]

    async def follow(self, orders: list[HostOrder]) -> float | None:
        """Do what the server ordered; return the seconds until it can be tried further."""
        await self._part_with({order.host_id for order in orders})
        for order in orders:
            host_id = order.host_id
            ship = self.alive.get(host_id)
            if host_id in self.dead:
                continue
            if ship is not None:
                if order.process is None and ship.token_hash:
                    await self._tell_launched(host_id, ship)
            elif order.process is not None:
                self.alive[host_id] = Ship(order.process, "", self._clock.boot())
                self._launcher.adopt(host_id, order.process)
            elif self._clock.boot() >= self._not_before:
                await self._launch(order)
            else:
                return self._not_before - self._clock.boot()
        return None

    async def _part_with(self, ordered: set[str]) -> None:
        """End hosts that were given up; let go of those that their own worker took back.

        What was launched is in all later orders, as long as it is this worker's.
        """
        for host_id in self.alive.keys() - ordered:
            if self.alive[host_id].token_hash:
                await self._launcher.stop(host_id, now=True)
            else:
                del self.alive[host_id]

    async def _launch(self, order: HostOrder) -> None:
        token = secrets.token_urlsafe(32)
        config = HostConfig(
            host_id=order.host_id,
            token=token,
            api_url=self._config.api_url,
            home=self._config.home,
            slots=order.slots,
            fence_after=self._config.fence_after,
            grace=self._config.grace,
            cancel_grace=self._config.cancel_grace,
            spool_limit=self._config.spool_limit,
            once=order.once,
        )
        try:
            launch = Launch(config=config, infrastructure=order.infrastructure)
            process = await self._launcher.launch(launch)
        except OSError as error:
            self._note_failure()
            await self.lost(order.host_id, f"it could not be launched: {error}")
            return
        token_hash = hashlib.sha256(token.encode()).hexdigest()
        ship = Ship(process, token_hash, self._clock.boot())
        self.alive[order.host_id] = ship
        await self._tell_launched(order.host_id, ship)

    async def _tell_launched(self, host_id: str, ship: Ship) -> None:
        message = HostLaunched(host_id=host_id, process=ship.process, token_hash=ship.token_hash)
        await self._tell(message)

    async def end(self, host_id: str, reason: str) -> None:
        """End a host at once, and tell the server this reason."""
        if host_id in self.alive:
            self._condemned[host_id] = reason
            await self._launcher.stop(host_id, now=True)

    async def lost(self, host_id: str, reason: str) -> None:
        """Note that a host is proved dead, and tell the server."""
        reason = self._condemned.pop(host_id, reason)
        ship = self.alive.pop(host_id, None)
        if ship is not None and ship.token_hash:
            if self._clock.boot() - ship.since < SHORT_LIFE and reason != "it left":
                self._note_failure()
            else:
                self._failures = 0
        self.dead[host_id] = reason
        await self.tell_dead(host_id)

    async def tell_dead(self, host_id: str) -> None:
        """Tell the server of a death, what the host had left on disk before."""
        await self._on_death(host_id)
        await self._tell(HostLost(host_id=host_id, reason=self.dead[host_id]))

    def _note_failure(self) -> None:
        pause = min(LAST_PAUSE, FIRST_PAUSE * 2**self._failures)
        self._failures += 1
        self._not_before = self._clock.boot() + pause

    async def stop(self, *, now: bool) -> None:
        """Ask all hosts to drain, or end them."""
        for host_id in list(self.alive):
            await self._launcher.stop(host_id, now=now)
