"""Messages between the servers of a database: LISTEN and NOTIFY, on connections of their own.

Each is delivered at most once: what is sent while a connection is lost is lost. When it is back, an
empty message says so; and whoever relies on messages looks by himself from time to time.
"""

import base64
import queue
import secrets
import threading
from collections.abc import Callable, Sequence

import msgspec
import psycopg

from stoker.domain.errors import StokerError
from stoker.storage.postgres.connecting import Connection, connect
from stoker.storage.postgres.patience import Patience

CHANNEL = "stoker"

PIECE = 7_900
"""Characters of a notification at the most; Postgres takes less than 8,000 bytes."""

PAUSE = 0.5
"""Seconds until a lost connection is tried again."""

LOOK = 0.5
"""Seconds between two looks whether the store is being closed."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode


class Messages:
    """A thread that sends and one that listens, each started at its first use."""

    def __init__(self, url: str, closing: threading.Event, patience: Patience) -> None:
        self._url = url
        self._closing = closing
        self._patience = patience
        self._me = secrets.token_hex(4)
        self._outgoing: queue.SimpleQueue[Sequence[bytes]] = queue.SimpleQueue()
        self._takers: list[Callable[[bytes], None]] = []
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._listening = threading.Event()

    def publish(self, messages: Sequence[bytes]) -> None:
        """See `Store.publish`."""
        if messages:
            self._outgoing.put(messages)
            self._start("stoker-notify", self._send_all)

    def subscribe(self, take: Callable[[bytes], None]) -> None:
        """See `Store.subscribe`. Returns once messages come, or the database cannot be reached."""
        self._takers.append(take)
        self._start("stoker-listen", self._listen)
        self._listening.wait(10.0)

    def close(self) -> None:
        """End; the store's closing event is set."""
        self._outgoing.put(())
        for thread in self._threads.values():
            thread.join()

    def _start(self, name: str, run: Callable[[], None]) -> None:
        with self._lock:
            if name not in self._threads:
                self._threads[name] = threading.Thread(target=run, name=name, daemon=True)
                self._threads[name].start()

    def _send_all(self) -> None:
        connection: Connection | None = None
        while True:
            messages = list(self._outgoing.get())
            while not self._outgoing.empty():
                messages += self._outgoing.get()
            if messages:
                connection = self._send(connection, pieces(self._me, messages))
            if self._closing.is_set():
                break
        if connection is not None:
            connection.close()

    def _send(self, connection: Connection | None, payloads: list[str]) -> Connection | None:
        for _ in range(2):
            try:
                if connection is None or connection.closed:
                    self._patience.check()
                    connection = connect(self._url, self._patience.limit)
                    with self._patience.limit(connection):
                        # There is nothing in it that a crash could lose.
                        connection.execute("SET synchronous_commit = off")
                with self._patience.limit(connection), connection.transaction():
                    for payload in payloads:
                        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
                return connection
            except (psycopg.Error, StokerError):
                # Once more on a new connection; then the receivers have to look by themselves.
                if connection is not None:
                    connection.close()
        return None

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                with connect(self._url, self._patience.limit) as connection:
                    with self._patience.limit(connection):
                        connection.execute("LISTEN stoker")
                    if self._listening.is_set():
                        self._tell(b"")
                    self._listening.set()
                    self._take_all(connection)
            except (psycopg.Error, StokerError):
                self._listening.set()
                self._closing.wait(PAUSE)

    def _take_all(self, connection: Connection) -> None:
        begun: dict[str, str] = {}
        while not self._closing.is_set():
            for notice in connection.notifies(timeout=LOOK, stop_after=1):
                sender, _, rest = notice.payload.partition(":")
                head, _, text = rest.partition(":")
                whole = begun.pop(sender, "") + text
                if head.startswith("+"):
                    begun[sender] = whole
                elif sender != self._me:
                    self._deliver(whole)

    def _deliver(self, text: str) -> None:
        try:
            messages = _decode(base64.b85decode(text))
        except (ValueError, msgspec.DecodeError):
            # Its beginning was sent before this server listened, or it is none of Stoker's.
            return
        for message in messages:
            self._tell(message)

    def _tell(self, message: bytes) -> None:
        for take in self._takers:
            take(message)


def pieces(sender: str, messages: Sequence[bytes]) -> list[str]:
    """Return the payloads of notifications that carry messages, each short enough.

    A payload is the sender, a mark (``+``: more follows), a number that makes it differ from the
    others of its transaction (Postgres would send equal ones once), and text.
    """
    text = base64.b85encode(_encode(list(messages))).decode()
    parts = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    last = len(parts) - 1
    return [f"{sender}:{'.' if at == last else '+'}{at}:{part}" for at, part in enumerate(parts)]
