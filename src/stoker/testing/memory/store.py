"""The store in memory: one transaction at a time."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from stoker.domain.errors import Unavailable
from stoker.ports.store import Records
from stoker.testing.memory.automations import Automations
from stoker.testing.memory.catalogue import Catalogue
from stoker.testing.memory.census import CensusTaker
from stoker.testing.memory.events import Events
from stoker.testing.memory.hosts import Hosts
from stoker.testing.memory.leases import Leases
from stoker.testing.memory.limits import Limits
from stoker.testing.memory.pauses import Pauses
from stoker.testing.memory.queues import Queues
from stoker.testing.memory.retention import Retention
from stoker.testing.memory.runs import Runs
from stoker.testing.memory.schedules import Schedules
from stoker.testing.memory.servers import Servers
from stoker.testing.memory.tables import Tables
from stoker.testing.memory.traces import Traces

T = TypeVar("T")


class MemoryRecords(
    Runs,
    Traces,
    Queues,
    Leases,
    Limits,
    Catalogue,
    Hosts,
    Schedules,
    Events,
    Automations,
    Servers,
    Retention,
    CensusTaker,
    Pauses,
):
    """`Records` over tables in memory."""


LOCK = threading.Lock()
"""Held by each transaction: several stores may be over the same tables."""


class MemoryStore:
    """`Store` in memory: what the databases must do, in as few words as it takes.

    Args:
        tables: What another store has left; empty ones by default.

    Example:
        >>> store = MemoryStore()
        >>> store.write(lambda records: records.pools()).result()
        []
        >>> store.close()
    """

    shared = False

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = tables or Tables()
        self._records: Records = MemoryRecords(self.tables)
        self._closed = False
        self._pending: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="stoker-reader")
        self._thread = threading.Thread(target=self._write_all, name="stoker-writer", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[Records], T]) -> Future[T]:
        """See `Store.write`."""
        if self._closed:
            raise Unavailable("the store is closed")
        future: Future[T] = Future()
        self._pending.put(lambda: self._write(work, future))
        return future

    def read(self, work: Callable[[Records], T]) -> Future[T]:
        """See `Store.read`."""
        if self._closed:
            raise Unavailable("the store is closed")
        return self._readers.submit(self._read, work)

    def publish(self, messages: Sequence[bytes]) -> None:
        """Do nothing: there is no other server."""

    def subscribe(self, take: Callable[[bytes], None]) -> None:
        """Do nothing: see `publish`."""

    def watch_writes(self, observe: Callable[[int, float], None]) -> None:
        """Do nothing: it writes to no disk."""

    def close(self) -> None:
        """See `Store.close`."""
        if self._closed:
            return
        self._closed = True
        self._pending.put(None)
        self._thread.join()
        self._readers.shutdown(wait=True)

    def _write_all(self) -> None:
        while (write := self._pending.get()) is not None:
            write()

    def _write(self, work: Callable[[Records], Any], future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        with LOCK:
            saved = self.tables.saved()
            try:
                result = work(self._records)
            except Exception as error:
                # Whatever the work raised belongs to whoever asked for it.
                self.tables.restore(saved)
                future.set_exception(error)
                return
        future.set_result(result)

    def _read(self, work: Callable[[Records], T]) -> T:
        with LOCK:
            saved = self.tables.saved()
            result = work(self._records)
            if saved != self.tables.saved():
                self.tables.restore(saved)
                raise RuntimeError("work that was given to read has written")
            return result
