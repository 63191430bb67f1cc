"""What the services need of a store: a protocol for each subject, and all of them together."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from stoker.ports.store.automations import AutomationRecords
from stoker.ports.store.catalogue import CatalogueRecords
from stoker.ports.store.census import Census, CensusRecords
from stoker.ports.store.events import EventRecords
from stoker.ports.store.hosts import HostRecords
from stoker.ports.store.leases import LeaseRecords, PoolUsage
from stoker.ports.store.limits import DroppedSlots, LimitRecords
from stoker.ports.store.pauses import PauseRecords
from stoker.ports.store.queues import ClaimGroup, GroupCount, QueuedCount, QueueRecords
from stoker.ports.store.retention import RetentionRecords
from stoker.ports.store.runs import RunFilter, RunRecords
from stoker.ports.store.schedules import ScheduleRecords
from stoker.ports.store.servers import ServerRecords
from stoker.ports.store.traces import TraceRecords

__all__ = [
    "Census",
    "ClaimGroup",
    "DroppedSlots",
    "GroupCount",
    "PoolUsage",
    "QueuedCount",
    "Records",
    "RunFilter",
    "Store",
]

T = TypeVar("T")


class Records(
    RunRecords,
    TraceRecords,
    QueueRecords,
    LeaseRecords,
    LimitRecords,
    CatalogueRecords,
    HostRecords,
    ScheduleRecords,
    EventRecords,
    AutomationRecords,
    ServerRecords,
    RetentionRecords,
    CensusRecords,
    PauseRecords,
    Protocol,
):
    """What can be read and changed within one transaction. All methods block.

    What is written may be noted at first: it is seen by all that is read later, and is in the
    database at the end of the unit of work.
    """

    def flush(self) -> None:
        """Write what is only noted yet.

        Raises:
            Outrun: Somebody else has changed a run since it was read. Any method may raise this;
                the unit of work has to be run again.
        """
        ...


class Store(Protocol):
    """A store of records. Transactions given to it may be committed in groups."""

    @property
    def shared(self) -> bool:
        """Whether several servers may use it at a time."""
        ...

    def write(self, work: Callable[[Records], T]) -> Future[T]:
        """Run ``work`` in a transaction; the future is set once that is safe on disk.

        Where ``work`` raises, nothing of it stays and the future carries the exception.
        """
        ...

    def read(self, work: Callable[[Records], T]) -> Future[T]:
        """Run ``work``, which changes nothing, on a consistent view."""
        ...

    def publish(self, messages: Sequence[bytes]) -> None:
        """Send messages to the other servers of this store, soon, each at most once."""
        ...

    def subscribe(self, take: Callable[[bytes], None]) -> None:
        """Have ``take`` called, in a thread of the store, with each message of another server."""
        ...

    def watch_writes(self, observe: Callable[[int, float], None]) -> None:
        """Have ``observe`` called, in a thread of the store, for each group of transactions.

        With how many there were, and the seconds that they took until they were safe.
        """
        ...

    def close(self) -> None:
        """Finish what was given to it, and close."""
        ...
