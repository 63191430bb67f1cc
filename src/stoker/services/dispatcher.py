"""The dispatcher: units of work on the store, and the pushes that follow each of them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import TypeVar

from stoker.domain.errors import Conflict, OutcomeUnknown, Outrun, Unavailable
from stoker.domain.jobs import Job
from stoker.ports.clock import Clock
from stoker.ports.store import Records, Store
from stoker.services.events.followers import Followers
from stoker.services.fleet.connections import Attempt, Connections
from stoker.services.fleet.registering import release
from stoker.services.replicas.leaps import Leaps, follow
from stoker.services.replicas.members import Alone, Membership
from stoker.services.replicas.peers import News
from stoker.services.settling import finish
from stoker.services.unit import Unit
from stoker.services.watch import Watch

T = TypeVar("T")

RETRY = 1.0
"""Seconds until a release that the store could not take is tried again."""

TRIES = 5
"""How often a unit of work is run where others change what it has read."""

DUE = "due"
"""The signal that a run was scheduled for later."""

SCHEDULES = "schedules"
"""The signal that schedules or backfills were made or changed."""


class Dispatcher:
    """Runs units of work and pushes what they cause: assignments, cancellations, answers.

    Storing a run and claiming it are one transaction, and the push follows right after its
    commit. It claims only for hosts whose sockets this server holds.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        ack_timeout: float,
        members: Membership | None = None,
    ) -> None:
        self.watch = Watch()
        self.hosts = Connections(clock, ack_timeout)
        self.members = members or Alone()
        self.on_demand: Callable[[str], None] = lambda _: None
        self.on_due: Callable[[], None] = lambda: None
        self.on_schedules: Callable[[], None] = lambda: None
        self.on_backfills: Callable[[], None] = lambda: None
        self.on_occurrence: Callable[[str], None] = lambda _: None
        self.observers: list[Callable[[Unit], None]] = []
        self.on_slots: Callable[[Unit], None] = lambda _: None
        self.on_unknown: Callable[[], None] = lambda: None
        self.events = Followers()
        self.on_answers: Callable[[Iterable[str], Iterable[str]], None] = _ignore
        self.tell: Callable[[News], None] = lambda _: None
        self._on_signal: dict[str, Callable[[], None]] = {}
        self._store = store
        self._clock = clock
        self._leaps = Leaps(clock)
        self._background: set[asyncio.Task[None]] = set()

    async def transact(self, work: Callable[[Unit], T], *, tells: bool = True) -> T:
        """Run ``work`` in a transaction, claim what it made claimable, and push what follows.

        Where others were faster in changing what it has read, it is run again.

        Args:
            work: What to do. It may be run more than once.
            tells: Whether other servers are told what became claimable; they have told
                this one where not.
        """
        for _ in range(TRIES - 1):
            try:
                return await self._transact(work, tells=tells)
            except Outrun:
                continue
        try:
            return await self._transact(work, tells=tells)
        except Outrun as error:
            raise Conflict(str(error)) from None

    async def _transact(self, work: Callable[[Unit], T], *, tells: bool) -> T:
        ready = list(self.hosts.ready.values())
        # Where the members measure the store's clock, one of them follows it.
        leap = 0.0 if self.members.measures else self._leaps.take()
        for host in ready:
            host.move(leap)
        now = self._clock.now()

        def unit_of_work(records: Records) -> tuple[T, Unit]:
            if leap:
                follow(records, leap)
            unit = Unit(records, now)
            result = work(unit)
            finish(unit, ready)
            unit.close()
            if tells and self.members.others:
                unit.left = {pool for pool in unit.claimable if records.any_queued(pool)}
            return result, unit

        written = asyncio.wrap_future(self._store.write(unit_of_work))
        # What is committed is pushed, even where who asked for it has gone away meanwhile.
        written.add_done_callback(self._settle_written)
        try:
            result, _ = await asyncio.shield(written)
        except asyncio.CancelledError:
            if not self.watch.closed:
                raise
            # It would be answered as a fault of the server's.
            raise OutcomeUnknown(
                "the server stops, and what became of this is not known; look before you try it "
                "again"
            ) from None
        except OutcomeUnknown:
            raise
        except Exception:
            # Nothing was written, for whatever reason: nothing has moved, either.
            self._leaps.give_back(leap)
            for host in ready:
                host.move(-leap)
            raise
        return result

    async def read(self, work: Callable[[Records], T]) -> T:
        """Run ``work`` on a consistent view of the store."""
        try:
            return await asyncio.wrap_future(self._store.read(work))
        except asyncio.CancelledError:
            if not self.watch.closed:
                raise
            # As in `_transact`.
            raise Unavailable("the server stops; try it again") from None

    def _settle_written(self, written: asyncio.Future[tuple[T, Unit]]) -> None:
        if written.cancelled():
            return
        error = written.exception()
        if error is None:
            self._settle(written.result()[1])
        elif isinstance(error, OutcomeUnknown):
            self._compare_all()

    def _compare_all(self) -> None:
        """What was committed is not known, and so was not pushed: have all looked at anew."""
        self.hosts.drop_all()
        self.on_unknown()

    def _settle(self, unit: Unit) -> None:
        for host_id in unit.draining:
            self.hosts.drain(host_id)
        for host_id, jobs in unit.assigned.items():
            self._assign(host_id, jobs)
        for host_id in unit.used:
            self.hosts.use_up(host_id)
        for host_id, terms in unit.terms.items():
            link = self.hosts.link_of(host_id)
            if link is not None:
                link.terms(terms)
        for order in unit.cancels:
            link = self.hosts.link_of(order.host_id)
            if link is not None:
                link.cancel(
                    order.run_id,
                    order.attempt,
                    now=order.now,
                    suspend=order.suspend,
                    failure=order.failure,
                )
        for stop in unit.stops:
            link = self.hosts.link_of(stop.host_id)
            if link is not None:
                link.stop_run(stop.run_id, stop.attempt, stop=stop.stop)
        for run_id in unit.abandoned:
            self.watch.abandoned(run_id)
        for run_id in unit.unpaused:
            self.watch.unpaused(run_id)
        for run in unit.ended:
            self.watch.ended(run)
            if run.schedule_id is not None:
                self.on_occurrence(run.schedule_id)
        for waiter, run in unit.resumed:
            self.watch.resumed(waiter, run)
        for run_id in unit.logged:
            self.watch.logged(run_id)
        self.events.stir(unit.stirs)
        for pool in unit.demand:
            self.on_demand(pool)
        if unit.scheduled:
            self.on_due()
        if unit.rescheduled:
            self._look_at_schedules()
        for observe in self.observers:
            observe(unit)
        if unit.freed or unit.granted or unit.given_up:
            self.on_slots(unit)
        for name in unit.signals:
            self.signal(name)
        if self.members.others:
            self.tell(self._news_of(unit))

    def _news_of(self, unit: Unit) -> News:
        """What other servers have to do about a commit of this one."""
        known = self.hosts.connected
        return News(
            claimable=unit.left,
            demand=set() if self.members.leading("planner") else set(unit.demand),
            ended={run.id for run in unit.ended},
            resumed={(waiter, run.id) for waiter, run in unit.resumed},
            cancels={
                (one.host_id, one.run_id, one.attempt, one.now)
                for one in unit.cancels
                if one.host_id not in known and not (one.suspend or one.failure)
            },
            ends={
                (one.host_id, one.run_id, one.attempt, one.now, one.failure)
                for one in unit.cancels
                if one.host_id not in known and (one.suspend or one.failure)
            },
            stops={
                (one.host_id, one.run_id, one.attempt, one.stop)
                for one in unit.stops
                if one.host_id not in known
            },
            unpaused=set(unit.unpaused),
            abandoned=set(unit.abandoned),
            draining={host_id for host_id in unit.draining if host_id not in known},
            terms={host_id for host_id in unit.terms if host_id not in known},
            logged=set(unit.logged),
            connected=set(unit.connected),
            granted=set(unit.granted),
            given_up=set(unit.given_up),
            signals=_signals_of(unit),
            stirred=unit.stirs,
        )

    def _look_at_schedules(self) -> None:
        self.on_schedules()
        self.on_backfills()

    def on_signal(self, name: str, react: Callable[[], None]) -> None:
        """Have ``react`` called after commits, on any server, whose unit has this signal."""
        self._on_signal[name] = react

    def signal(self, name: str) -> None:
        """Something that a service of this server looks at has changed."""
        known = {DUE: self.on_due, SCHEDULES: self._look_at_schedules}
        react = known.get(name) or self._on_signal.get(name)
        if react is not None:
            react()

    def _assign(self, host_id: str, jobs: list[Job]) -> None:
        if not self.hosts.assign(host_id, jobs):
            # Its socket went away, or is a new one on which it has not said yet what it holds,
            # while the claim was on its way to the disk.
            self._later(self._release([(job.run_id, job.attempt) for job in jobs]))

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _release(self, attempts: list[Attempt]) -> None:
        while True:
            try:
                await self.transact(lambda unit: release(unit, attempts))
                return
            except Unavailable:
                # Until it is written the runs stay where nobody has them.
                await self._clock.sleep(RETRY)


def _signals_of(unit: Unit) -> set[str]:
    signals = set(unit.signals)
    if unit.scheduled:
        signals.add(DUE)
    if unit.rescheduled:
        signals.add(SCHEDULES)
    return signals


def _ignore(granted: Iterable[str], given_up: Iterable[str]) -> None:
    """Nobody waits for slots."""
