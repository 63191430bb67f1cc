"""One unit of work: a transaction, and what has to follow once it is safe."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.concurrency import LimitKind
from stoker.domain.events import Event
from stoker.domain.jobs import Job
from stoker.domain.pools import HostTerms
from stoker.domain.runs import FlowRun
from stoker.ports.store import Records

LimitName = tuple[LimitKind, str]


@dataclass(slots=True)
class ReadyHost:
    """A host whose socket this server holds and that may be given runs.

    Attributes:
        id: The host.
        pool: Its pool.
        lane: Its lane.
        queues: Queues that it serves; empty for all.
        slots: Runs that it takes at a time.
        requested: When it was asked for, seconds since the epoch.
        launched: When its process had been started.
        registered: When it registered.
        once: Whether it takes one run in its life.
        codes: Keys of the zygotes that it holds.
        failed: Keys of the codes that it could not import.
        connection: See `Host.connection`.
    """

    id: str
    pool: str
    lane: str
    queues: Sequence[str]
    slots: int
    requested: float
    launched: float | None
    registered: float
    once: bool = False
    codes: set[str] = field(default_factory=set[str])
    failed: set[str] = field(default_factory=set[str])
    connection: str = ""

    def note_zygote(self, key: str, *, ready: bool) -> None:
        """It has imported a code, or could not."""
        right, wrong = (self.codes, self.failed) if ready else (self.failed, self.codes)
        right.add(key)
        wrong.discard(key)

    def serves(self, queue: str) -> bool:
        """Whether it takes runs of a queue."""
        return not self.queues or queue in self.queues

    def move(self, by: float) -> None:
        """Follow the wall clock, which has leapt by so many seconds."""
        if by:
            self.requested += by
            self.registered += by
            self.launched = None if self.launched is None else self.launched + by


@dataclass(slots=True)
class CancelOrder:
    """An attempt that its host is to end: at once where ``now``; see `HostLink.cancel`."""

    host_id: str
    run_id: str
    attempt: int
    now: bool = False
    suspend: bool = False
    failure: str = ""


@dataclass(slots=True)
class StopOrder:
    """An attempt that its host is to let stand still, or go on."""

    host_id: str
    run_id: str
    attempt: int
    stop: bool


@dataclass(slots=True)
class Unit:
    """A transaction's records and time, and what it caused.

    Attributes:
        records: The transaction.
        now: Its time, seconds since the epoch.
        claimable: Pools in which a queued run may have become claimable.
        demand: Pools whose demand for hosts, or supply of them, may have changed.
        assigned: Jobs by the host that they were claimed for.
        ended: Runs that reached a terminal state.
        resumed: ``(waiter, run waited for)`` of the waits that are over.
        cancels: Attempts to end.
        stops: Attempts to let stand still, or go on.
        unpaused: Runs whose pauses are over.
        abandoned: Runs whose attempt is over, though they are not: nobody waits any more in its
            name.
        draining: Hosts to drain; they are given no run in this transaction either.
        terms: What hosts go by from now on, by host.
        used: Hosts that were given the one run that they take.
        broken: Runs whose attempt may have left something open, not settled yet.
        over: ``(run, its host)`` of the attempts that ended and that are not settled yet.
        logged: Runs with new log lines.
        events: What it tells; `close` writes them.
        depth: How many automations lie behind it.
        outbox: Whether there are new deliveries.
        automations: Whether automations were changed.
        connected: ``(host, connection)`` of hosts that have another socket now.
        left: Pools in which runs wait that hosts of other servers may take.
        signals: Names of what else is to be looked at, by every server; see `Dispatcher.on_signal`.
        scheduled: Whether runs are due later, or pauses end later, that were not known of.
        rescheduled: Whether schedules or backfills were made or changed.
        started: Starts of runs that have reached the user's code.
        freed: Limits in which there may be room now.
        granted: Requests for slots that have theirs now.
        given_up: Requests for slots that are over.
    """

    records: Records
    now: float
    claimable: set[str] = field(default_factory=set[str])
    demand: set[str] = field(default_factory=set[str])
    assigned: dict[str, list[Job]] = field(default_factory=dict[str, list[Job]])
    ended: list[FlowRun] = field(default_factory=list[FlowRun])
    resumed: list[tuple[str, FlowRun]] = field(default_factory=list[tuple[str, FlowRun]])
    cancels: list[CancelOrder] = field(default_factory=list[CancelOrder])
    stops: list[StopOrder] = field(default_factory=list[StopOrder])
    unpaused: list[str] = field(default_factory=list[str])
    abandoned: list[str] = field(default_factory=list[str])
    draining: set[str] = field(default_factory=set[str])
    terms: dict[str, HostTerms] = field(default_factory=dict[str, HostTerms])
    used: set[str] = field(default_factory=set[str])
    broken: list[FlowRun] = field(default_factory=list[FlowRun])
    over: list[tuple[FlowRun, str | None]] = field(default_factory=list[tuple[FlowRun, str | None]])
    logged: set[str] = field(default_factory=set[str])
    events: list[Event] = field(default_factory=list[Event])
    depth: int = 0
    outbox: bool = False
    automations: bool = False

    scheduled: bool = False
    rescheduled: bool = False
    started: list[StartAnatomy] = field(default_factory=list[StartAnatomy])
    freed: set[LimitName] = field(default_factory=set[LimitName])
    granted: list[str] = field(default_factory=list[str])
    given_up: list[str] = field(default_factory=list[str])
    connected: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    left: set[str] = field(default_factory=set[str])
    signals: set[str] = field(default_factory=set[str])

    @property
    def stirs(self) -> set[str]:
        """What followers of events, of automations, of the outbox have to look at."""
        stirred = {"events"} if self.events else set[str]()
        if self.automations:
            stirred.add("automations")
        if self.outbox:
            stirred.add("outbox")
        return stirred

    def close(self) -> None:
        """Write what is written once, at the end of the transaction."""
        if self.events:
            self.records.add_events(self.events)
