"""The sweeper: looks for silent hosts, ended scripts, deaf sockets, late runs, at a steady pace."""

from collections.abc import Callable

from stoker.domain.hosts import Host, ProcessIdentity
from stoker.ports.clock import Clock
from stoker.services.dispatcher import Dispatcher
from stoker.services.fleet.launching import connected_workers
from stoker.services.fleet.pulling_back import pull_back
from stoker.services.fleet.sweeping import SweepRules, sweep
from stoker.services.runs.lateness import MOST, mark_late
from stoker.services.unit import Unit

LATE_LOTS = 50
"""Units of work in which one sweep marks runs as late, at the most."""


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
        is_dead: Callable[[ProcessIdentity], bool | None],
        end_host: Callable[[Host], None],
        late_after: float = 15.0,
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._pace = pace
        self._lease = lease
        self._launch_timeout = launch_timeout
        self._is_dead = is_dead
        self._end_host = end_host
        self._late_after = late_after
        self._asked: set[str] = set()
        self._up_since = clock.now()
        self._last = (self._up_since, clock.boot())
        self._led = False
        self._anew = True

    async def run(self) -> None:
        """Sweep for ever, while that is this server's. Each looks after its own sockets."""
        while True:
            leads = self._dispatcher.members.leading("sweeper")
            if leads and not self._led:
                # Whoever did it before may have been gone for a while.
                self._begin_term(self._clock.now())
            self._led = leads
            if leads:
                await self.once()
            self._dispatcher.hosts.drop_deaf()
            await self._clock.sleep(self._pace)

    async def once(self) -> None:
        """Sweep once."""
        seen = self._look_at_clock()

        def work(unit: Unit) -> list[Host]:
            connected = connected_workers(unit.records, unit.now)
            rules = SweepRules(
                up_since=self._up_since,
                lease=self._lease,
                launch_timeout=self._launch_timeout,
                workers=frozenset(worker.id for worker in connected),
                asked=frozenset(self._asked),
                is_dead=self._is_dead,
            )
            if anew:
                pull_back(unit.records, unit.now, self._lease)
            return sweep(unit, rules)

        anew = self._anew
        condemned = await self._dispatcher.transact(work)
        self._anew = False
        self._asked = {host.id for host in condemned}
        for host in condemned:
            self._end_host(host)
        self._last = seen
        await self._mark_late()

    async def _mark_late(self) -> None:
        for _ in range(LATE_LOTS):
            late = await self._dispatcher.transact(lambda unit: mark_late(unit, self._late_after))
            if len(late) < MOST:
                return

    def _look_at_clock(self) -> tuple[float, float]:
        """Begin a new term where nobody may have been able to renew a lease during the last one.

        That is where the server itself stood still, where nothing could be stored since the last
        sweep that was, or where the wall clock was set, by which leases are counted.
        """
        now, boot = self._clock.now(), self._clock.boot()
        by_wall, passed = now - self._last[0], boot - self._last[1]
        if passed > self._pace + self._lease or abs(by_wall - passed) > self._lease:
            self._begin_term(now)
        return now, boot

    def _begin_term(self, now: float) -> None:
        self._up_since = now
        self._anew = True
