"""The sweeper: looks for silent hosts, ended scripts and deaf sockets, at a steady pace."""

from collections.abc import Callable, Collection

from stoker.domain.hosts import Host, ProcessIdentity
from stoker.ports.clock import Clock
from stoker.services.dispatcher import Dispatcher
from stoker.services.sweeping import SweepRules, sweep


class Sweeper:
    """Runs the sweep every ``pace`` seconds."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        clock: Clock,
        *,
        pace: float,
        lease: float,
        launch_timeout: float,
        worker_ids: Callable[[], Collection[str]],
        is_dead: Callable[[ProcessIdentity], bool | None],
        end_host: Callable[[Host], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._pace = pace
        self._lease = lease
        self._launch_timeout = launch_timeout
        self._worker_ids = worker_ids
        self._is_dead = is_dead
        self._end_host = end_host
        self._asked: set[str] = set()
        self._up_since = clock.now()
        self._last = (self._up_since, clock.boot())

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await self.once()
            await self._clock.sleep(self._pace)

    async def once(self) -> None:
        """Sweep once."""
        seen = self._look_at_clock()
        rules = SweepRules(
            up_since=self._up_since,
            lease=self._lease,
            launch_timeout=self._launch_timeout,
            workers=frozenset(self._worker_ids()),
            asked=frozenset(self._asked),
            is_dead=self._is_dead,
        )
        condemned = await self._dispatcher.transact(lambda unit: sweep(unit, rules))
        self._asked = {host.id for host in condemned}
        for host in condemned:
            self._end_host(host)
        self._last = seen
        self._dispatcher.drop_deaf()

    def _look_at_clock(self) -> tuple[float, float]:
        """Begin a new term where nobody may have been able to renew a lease during the last one.

        That is where the server itself stood still, where nothing could be stored since the last
        sweep that was, or where the wall clock was set, by which leases are counted.
        """
        now, boot = self._clock.now(), self._clock.boot()
        by_wall, passed = now - self._last[0], boot - self._last[1]
        if passed > self._pace + self._lease or abs(by_wall - passed) > self._lease:
            self._up_since = now
        return now, boot
