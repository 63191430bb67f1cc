"""What a store in memory holds: tables whose records are never changed in place."""

import copy
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from stoker.domain.automation.automations import Automation
from stoker.domain.automation.deliveries import Delivery
from stoker.domain.automation.windows import Window
from stoker.domain.concurrency import Limit, LimitKind, SlotLease
from stoker.domain.deployments import Deployment
from stoker.domain.events import Event
from stoker.domain.hosts import Host, HostZygote
from stoker.domain.leases import Lease
from stoker.domain.pauses import Pause
from stoker.domain.pools import Worker, WorkPool, WorkQueue
from stoker.domain.rollups import Rollup, RollupKey
from stoker.domain.runs import FlowRun, StoredLogLine, TaskRun
from stoker.domain.schedules import Backfill, DeploymentSchedule
from stoker.domain.servers import Launches, Server
from stoker.domain.states import StateRecord

K = TypeVar("K")
V = TypeVar("V")


class Table(dict[K, V], Generic[K, V]):
    """Records by key. What goes in and comes out are copies, as with a database."""

    def put(self, key: K, record: V) -> None:
        """Store a copy of a record."""
        self[key] = copy.deepcopy(record)

    def find(self, key: K) -> V | None:
        """Return a copy of a record."""
        return copy.deepcopy(self.get(key))

    def change(self, key: K, **fields: Any) -> None:
        """Replace fields of a record, if it is there."""
        found: Any = self.get(key)
        if found is not None:
            self[key] = replace(found, **copy.deepcopy(fields))


def copies(records: Iterable[V]) -> list[V]:
    """Return copies of records."""
    return [copy.deepcopy(record) for record in records]


GroupKey = tuple[str, str, str, str]
"""A claim group: its pool, lane, queue and deployment."""


class Group(Struct, frozen=True):
    """A claim group's row."""

    due: float
    head: str
    blocked: bool = False
    inserts: int = 0


class Wait(Struct, frozen=True):
    """A wait's row."""

    held: bool = False
    kind: str = ""


class Tables(Struct, kw_only=True):
    """All tables. A transaction that fails is undone by the copy from before it."""

    runs: Table[str, FlowRun] = field(default_factory=Table[str, FlowRun])
    keys: Table[tuple[str, str], str] = field(default_factory=Table[tuple[str, str], str])
    pauses: Table[tuple[str, str], Pause] = field(default_factory=Table[tuple[str, str], Pause])
    seqs: Table[str, int] = field(default_factory=Table[str, int])
    states: Table[tuple[str, int], StateRecord] = field(
        default_factory=Table[tuple[str, int], StateRecord]
    )
    task_runs: Table[str, TaskRun] = field(default_factory=Table[str, TaskRun])
    logs: Table[int, tuple[str, StoredLogLine]] = field(
        default_factory=Table[int, tuple[str, StoredLogLine]]
    )
    leases: Table[str, Lease] = field(default_factory=Table[str, Lease])
    waits: Table[tuple[str, str], Wait] = field(default_factory=Table[tuple[str, str], Wait])
    groups: Table[GroupKey, Group] = field(default_factory=Table[GroupKey, Group])
    deployments: Table[str, Deployment] = field(default_factory=Table[str, Deployment])
    pools: Table[str, WorkPool] = field(default_factory=Table[str, WorkPool])
    queues: Table[tuple[str, str], WorkQueue] = field(
        default_factory=Table[tuple[str, str], WorkQueue]
    )
    hosts: Table[str, Host] = field(default_factory=Table[str, Host])
    workers: Table[str, Worker] = field(default_factory=Table[str, Worker])
    zygotes: Table[tuple[str, str], HostZygote] = field(
        default_factory=Table[tuple[str, str], HostZygote]
    )
    launches: Table[tuple[str, str], Launches] = field(
        default_factory=Table[tuple[str, str], Launches]
    )
    clock: Table[str, float] = field(default_factory=Table[str, float])
    servers: Table[str, Server] = field(default_factory=Table[str, Server])
    leaders: Table[str, tuple[str, float]] = field(default_factory=Table[str, tuple[str, float]])
    schedules: Table[str, DeploymentSchedule] = field(
        default_factory=Table[str, DeploymentSchedule]
    )
    backfills: Table[str, Backfill] = field(default_factory=Table[str, Backfill])
    limits: Table[tuple[LimitKind, str], Limit] = field(
        default_factory=Table[tuple[LimitKind, str], Limit]
    )
    slots: Table[tuple[str, str], SlotLease] = field(
        default_factory=Table[tuple[str, str], SlotLease]
    )
    events: Table[int, Event] = field(default_factory=Table[int, Event])
    automations: Table[str, Automation] = field(default_factory=Table[str, Automation])
    windows: Table[tuple[str, str], Window] = field(default_factory=Table[tuple[str, str], Window])
    readers: Table[str, int] = field(default_factory=Table[str, int])
    outbox: Table[str, Delivery] = field(default_factory=Table[str, Delivery])
    rollups: Table[RollupKey, Rollup] = field(default_factory=Table[RollupKey, Rollup])
    rolled: Table[tuple[str, int], bool] = field(default_factory=Table[tuple[str, int], bool])

    def saved(self) -> dict[str, Any]:
        """What `restore` takes: the tables as they are now."""
        return {name: Table(getattr(self, name)) for name in self.__struct_fields__}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go back to what was saved."""
        for name, table in saved.items():
            setattr(self, name, table)


class Room:
    """Base of the records of each subject."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def flush(self) -> None:
        """See `Records.flush`: nothing is only noted here."""
