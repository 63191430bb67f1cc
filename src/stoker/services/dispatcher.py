"""The dispatcher: units of work on the store, and the pushes that follow each of them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from math import inf
from typing import TypeVar

from stoker.domain.deployments import Code
from stoker.domain.errors import Conflict, Outrun, Unavailable
from stoker.domain.hosts import HostZygote
from stoker.domain.jobs import Job
from stoker.domain.runs import FlowRun
from stoker.ports.clock import Clock
from stoker.ports.links import HostLink
from stoker.ports.store import Records, Store
from stoker.services.claims import lending
from stoker.services.events.followers import Followers
from stoker.services.fleet.registering import release
from stoker.services.lookup import need_run
from stoker.services.replicas.leaps import Leaps, follow
from stoker.services.replicas.members import Alone, Membership
from stoker.services.replicas.peers import News
from stoker.services.settling import finish
from stoker.services.unit import ReadyHost, Unit
from stoker.services.watch import Watch

T = TypeVar("T")

RETRY = 1.0
"""Seconds until a release that the store could not take is tried again."""

SLOW_POLL = 1.0
"""Seconds between two looks at a run that another process may change."""

TRIES = 5
"""How often a unit of work is run where others change what it has read."""

FAILED = 64
"""Codes that a host could not import, which are remembered at the most; the newest ones."""

DUE = "due"
"""The signal that a run was scheduled for later."""

SCHEDULES = "schedules"
"""The signal that schedules or backfills were made or changed."""

Attempt = tuple[str, int]


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
        self.members = members or Alone()
        self.on_demand: Callable[[str], None] = lambda _: None
        self.on_due: Callable[[], None] = lambda: None
        self.on_schedules: Callable[[], None] = lambda: None
        self.on_backfills: Callable[[], None] = lambda: None
        self.on_occurrence: Callable[[str], None] = lambda _: None
        self.observers: list[Callable[[Unit], None]] = []
        self.on_slots: Callable[[Unit], None] = lambda _: None
        self.events = Followers()
        self.on_answers: Callable[[Iterable[str], Iterable[str]], None] = _ignore
        self.tell: Callable[[News], None] = lambda _: None
        self._on_signal: dict[str, Callable[[], None]] = {}
        self._store = store
        self._clock = clock
        self._leaps = Leaps(clock)
        self._ack_timeout = ack_timeout
        self._links: dict[str, HostLink] = {}
        self._connections: dict[str, str] = {}
        self._ready: dict[str, ReadyHost] = {}
        self._zygotes: dict[str, dict[str, HostZygote]] = {}
        self._unacknowledged: dict[str, dict[Attempt, float]] = {}
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
        ready = list(self._ready.values())
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
            raise Unavailable(
                "the server stops, and what became of this is not known; try it again"
            ) from None
        except Exception:
            # Nothing was written, for whatever reason: nothing has moved, either.
            self._leaps.give_back(leap)
            for host in ready:
                host.move(-leap)
            raise
        return result

    def clock_leapt(self, by: float) -> None:
        """The store's clock has leapt, and its records were moved."""
        for host in self._ready.values():
            host.move(by)

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
        if not written.cancelled() and written.exception() is None:
            self._settle(written.result()[1])

    def _settle(self, unit: Unit) -> None:
        for host_id in unit.draining:
            self.drain(host_id)
        for host_id, jobs in unit.assigned.items():
            self._assign(host_id, jobs)
        for host_id in unit.used:
            self._ready.pop(host_id, None)
        for host_id, terms in unit.terms.items():
            link = self._links.get(host_id)
            if link is not None:
                link.terms(terms)
        for order in unit.cancels:
            link = self._links.get(order.host_id)
            if link is not None:
                link.cancel(
                    order.run_id,
                    order.attempt,
                    now=order.now,
                    suspend=order.suspend,
                    failure=order.failure,
                )
        for stop in unit.stops:
            link = self._links.get(stop.host_id)
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
        known = self._links
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
        attempts = [(job.run_id, job.attempt) for job in jobs]
        link = self._links.get(host_id)
        if link is None or host_id not in self._ready:
            # Its socket went away, or is a new one on which it has not said yet what it holds,
            # while the claim was on its way to the disk.
            self._later(self._release(attempts))
            return
        due = self._clock.boot() + self._ack_timeout
        self._unacknowledged.setdefault(host_id, {}).update(dict.fromkeys(attempts, due))
        now = self._clock.now()
        for job in jobs:
            job.assigned = now
        link.assign(jobs)

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

    # What other servers have committed

    @property
    def ready(self) -> Mapping[str, ReadyHost]:
        """The hosts that may be given runs, by id."""
        return self._ready

    @property
    def connected(self) -> list[str]:
        """Ids of the hosts whose sockets this server holds."""
        return list(self._links)

    def link_of(self, host_id: str) -> HostLink | None:
        """A host's socket, if this server holds it."""
        return self._links.get(host_id)

    def displaced(self, host_id: str, connection: str) -> None:
        """A host has another socket than the one that this server holds."""
        link = self._links.get(host_id)
        if link is not None and self._connections.get(host_id) != connection:
            self.disconnect(host_id, link)
            link.drop()

    def drain(self, host_id: str) -> None:
        """Give a host no run any more, and tell it, if this server holds its socket."""
        self._ready.pop(host_id, None)
        link = self._links.get(host_id)
        if link is not None:
            link.drain()

    # Hosts

    def connect(self, host_id: str, link: HostLink, connection: str = "") -> None:
        """A host's socket is open; before `add` it is given nothing."""
        self._links[host_id] = link
        self._connections[host_id] = connection
        self._ready.pop(host_id, None)
        self._zygotes.pop(host_id, None)
        self._unacknowledged.pop(host_id, None)

    def add(self, host: ReadyHost, link: HostLink) -> None:
        """A host may be given runs from now on, if this is still its socket."""
        if self._links.get(host.id) is link:
            self._ready[host.id] = host
            for zygote in self._zygotes.get(host.id, {}).values():
                host.note_zygote(zygote.key, ready=zygote.ready)

    def disconnect(self, host_id: str, link: HostLink) -> None:
        """A host's socket is gone."""
        if self._links.get(host_id) is link:
            del self._links[host_id]
            self._connections.pop(host_id, None)
            self._ready.pop(host_id, None)
            self._zygotes.pop(host_id, None)
            self._unacknowledged.pop(host_id, None)

    def acknowledged(self, host_id: str, attempts: Iterable[Attempt]) -> None:
        """A host has these assignments."""
        waiting = self._unacknowledged.get(host_id, {})
        for attempt in attempts:
            waiting.pop(attempt, None)

    def drop_deaf(self) -> None:
        """Close the sockets of hosts that do not acknowledge: when they are back, both compare."""
        now = self._clock.boot()
        for host_id, waiting in list(self._unacknowledged.items()):
            link = self._links.get(host_id)
            if link is not None and any(due < now for due in waiting.values()):
                self.disconnect(host_id, link)
                link.drop()

    def zygote(self, zygote: HostZygote) -> list[str]:
        """A host holds a zygote now, or could not make it.

        Returns the keys of those that are not to be remembered any more.
        """
        if zygote.host_id not in self._links:
            return []
        host = self._ready.get(zygote.host_id)
        of_host = self._zygotes.setdefault(zygote.host_id, {})
        of_host.pop(zygote.key, None)
        of_host[zygote.key] = zygote
        # No host says of these that they are gone, and each run may have an environment of its own.
        forgotten = [one.key for one in of_host.values() if not one.ready][:-FAILED]
        for key in forgotten:
            del of_host[key]
            if host is not None:
                host.failed.discard(key)
        if host is not None:
            host.note_zygote(zygote.key, ready=zygote.ready)
        return forgotten

    def zygote_gone(self, host_id: str, key: str) -> None:
        """A host does not hold a zygote any more."""
        self._zygotes.get(host_id, {}).pop(key, None)
        host = self._ready.get(host_id)
        if host is not None:
            host.codes.discard(key)
            host.failed.discard(key)

    def warm(self, pool: str, lane: str, codes: list[Code]) -> None:
        """Tell a lane's hosts which zygotes they should hold."""
        for host in self._ready.values():
            if host.pool == pool and host.lane == lane:
                self._links[host.id].warm(codes)

    # Waits

    async def await_run(
        self,
        run_id: str,
        waiter: str | None,
        timeout: float | None,
        forgotten: asyncio.Future[None] | None = None,
    ) -> FlowRun:
        """Return a run once it is over, or as it is when ``timeout`` seconds have passed.

        It is cancelled when the run that waits has ended itself. Where that run has turned to
        something else before (``forgotten`` is done), the wait ends as if its time had passed.

        Raises:
            NotFound: There is no such run.
        """
        future = self.watch.end_of(run_id, waiter)
        try:
            if waiter is None:
                return await self._await_end(future, run_id, timeout)
            await self.transact(lambda unit: _begin(unit, waiter, run_id))
            ends = [future] if forgotten is None else [future, forgotten]
            await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not future.done() and self.watch.waits(run_id, waiter) > 1:
                # Another request of this run still waits for it, and so the run still lends.
                return await self.read(lambda records: need_run(records, run_id))
            if not future.done():
                await self.transact(
                    lambda unit: lending.end_wait(unit, waiter, need_run(unit.records, run_id))
                )
            return await future
        finally:
            future.cancel()

    async def _await_end(
        self, future: asyncio.Future[FlowRun], run_id: str, timeout: float | None
    ) -> FlowRun:
        now = asyncio.get_running_loop().time
        deadline = inf if timeout is None else now() + timeout
        while True:
            run = await self.read(lambda records: need_run(records, run_id))
            left = deadline - now()
            if run.state.is_terminal or left <= 0 or self.watch.closed:
                return run
            await asyncio.wait([future], timeout=patience(run, left))
            if future.done() and not future.cancelled():
                return future.result()


def _signals_of(unit: Unit) -> set[str]:
    signals = set(unit.signals)
    if unit.scheduled:
        signals.add(DUE)
    if unit.rescheduled:
        signals.add(SCHEDULES)
    return signals


def _ignore(granted: Iterable[str], given_up: Iterable[str]) -> None:
    """Nobody waits for slots."""


def patience(run: FlowRun, left: float) -> float | None:
    """Seconds to wait for word of a run before it is read again; None for any time.

    A script may write its runs into the store by itself: of these no word comes.
    """
    longest = inf if run.deployment_id is not None else SLOW_POLL
    return min(left, longest) if min(left, longest) < inf else None


def _begin(unit: Unit, waiter: str, run_id: str) -> None:
    run = need_run(unit.records, run_id)
    if run.state.is_terminal:
        lending.end_wait(unit, waiter, run)
    else:
        lending.begin_wait(unit, waiter, run)
