"""How long a database may keep a thread waiting: a connection that says nothing more is cut.

Keepalives find out about a machine or network that is gone. They do not where something in between
(a pooler, a balancer) answers for a Postgres that does not, or where Postgres itself stands still.
"""

import os
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from stoker.domain.errors import Unavailable
from stoker.storage.postgres.connecting import Connection

LONGEST = 30.0
"""Seconds that a transaction may take. Those of Stoker take milliseconds."""

LAST = 5.0
"""Seconds that all of them get together, once the store is being closed."""

LOOK = 0.5
"""Seconds between two looks."""


class Patience:
    """Cuts connections of a store that are used for too long at a time.

    Args:
        closing: Set when the store is being closed.
    """

    def __init__(self, closing: threading.Event) -> None:
        self._closing = closing
        # In looks, so that a server that was stopped has time left when it goes on.
        self._longest = round(LONGEST / LOOK)
        self._last = round(LAST / LOOK)
        self._look = 0
        self._end: int | None = None
        self._lock = threading.Lock()
        self._used: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="stoker-patience", daemon=True)
        self._thread.start()

    @contextmanager
    def limit(self, connection: Connection) -> Generator[None]:
        """Cut ``connection`` where what is done with it here takes too long.

        Whoever waits for it then meets a lost connection.

        Raises:
            OperationalError: It is closed.
        """
        # A number of its own: libpq closes its own when it likes, and another's may be the same.
        number = os.dup(connection.fileno())
        with self._lock:
            self._used[number] = self._look + self._longest
        try:
            yield
        finally:
            with self._lock:
                del self._used[number]
                os.close(number)

    def check(self) -> None:
        """Raise `Unavailable` where the time of a store that is being closed is up."""
        if self._end is not None and self._look > self._end:
            raise Unavailable("the store is being closed, and its database does not answer")

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._ended.wait(LOOK):
            self._look += 1
            if self._end is None and self._closing.is_set():
                self._end = self._look + self._last
            with self._lock:
                for number, until in self._used.items():
                    if self._look > (until if self._end is None else min(until, self._end)):
                        _cut(number)


def _cut(number: int) -> None:
    """End a connection for whoever holds it."""
    with socket.socket(fileno=os.dup(number)) as wire, suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
