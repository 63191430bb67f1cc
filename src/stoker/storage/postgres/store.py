"""The store of several servers: a writer, readers beside it, and messages to the others."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from stoker.domain.errors import Unavailable
from stoker.ports.store import Records
from stoker.storage.postgres.messages import Messages
from stoker.storage.postgres.patience import Patience
from stoker.storage.postgres.readers import Readers
from stoker.storage.postgres.schema import prepare
from stoker.storage.postgres.writer import Work, Writer

T = TypeVar("T")


class PostgresStore:
    """`Store` on a Postgres database of version 15 or newer.

    Any number of servers may have it open. Transactions are READ COMMITTED: who judges by what
    others may change takes a lock first (`Records.lock`).

    Args:
        url: Its URL, with any option of libpq.
        readers: Connections that read.

    Raises:
        Invalid: The URL cannot be read.
        Unavailable: It cannot be opened.
        Conflict: A newer Stoker wrote it.
    """

    shared = True

    def __init__(self, url: str, *, readers: int = 3) -> None:
        prepare(url).close()
        self._closed = False
        self._closing = threading.Event()
        self._patience = Patience(self._closing)
        self._writer = Writer(url, self._closing, self._patience)
        self._readers = Readers(url, self._closing, self._patience, readers)
        self._messages = Messages(url, self._closing, self._patience)

    def write(self, work: Callable[[Records], T]) -> Future[T]:
        """See `Store.write`."""
        if self._closed:
            raise Unavailable("the store is closed")
        future: Future[T] = Future()
        self._writer.put(Work(work, future))
        return future

    def read(self, work: Callable[[Records], T]) -> Future[T]:
        """See `Store.read`."""
        if self._closed:
            raise Unavailable("the store is closed")
        return self._readers.submit(work)

    def publish(self, messages: Sequence[bytes]) -> None:
        """See `Store.publish`."""
        if not self._closed:
            self._messages.publish(messages)

    def subscribe(self, take: Callable[[bytes], None]) -> None:
        """See `Store.subscribe`."""
        self._messages.subscribe(take)

    def watch_writes(self, observe: Callable[[int, float], None]) -> None:
        """See `Store.watch_writes`."""
        self._writer.observe = observe

    def close(self) -> None:
        """See `Store.close`."""
        if self._closed:
            return
        self._closed = True
        self._closing.set()
        self._writer.close()
        self._readers.close()
        self._messages.close()
        self._patience.close()
