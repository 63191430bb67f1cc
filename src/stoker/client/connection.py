"""HTTP/1.1 over kept connections: one segment per request, one retry of a stale connection."""

import errno
import os
import select
import socket
from collections import deque
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from stoker.domain.errors import Invalid, Unavailable

KEPT = 16
"""Idle connections kept at the most."""

IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
"""Methods that may be repeated whatever happened to the first request (RFC 9110, 9.2.2)."""


class Unreachable(Unavailable):
    """Nothing was sent: there is no connection."""


class Unanswered(Unavailable):
    """A request may have arrived, and was not answered."""


class Transport:
    """Sends requests to one server; may be used from many threads at once.

    Each request has a connection to itself, taken from those left idle, so a thread that
    sends one after the other stays on the same. A forked child starts with none.

    Args:
        url: The server, for example ``"http://127.0.0.1:4200"``.
        key: Sent as bearer token.
        timeout: Seconds to wait for a connection, and for an answer.

    Raises:
        Invalid: The URL is none.
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        try:
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            self._host = ""
        if parts.scheme not in {"http", "https"} or not self._host:
            raise Invalid(f"{url!r} is no server's address; one is http://127.0.0.1:4200")
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._secure = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/")
        self._idle: deque[HTTPConnection] = deque()
        self._pid = os.getpid()
        head = f"Host: {parts.netloc.rpartition('@')[2]}\r\nAccept: application/json\r\n"
        if key:
            head += f"Authorization: Bearer {key}\r\n"
        self._head = head

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        hold: float = 0.0,
        repeatable: bool = False,
    ) -> tuple[int, bytes]:
        """Send a request and return the status and body of its answer.

        Where a kept connection turns out to be stale before anything of an answer came, or
        during the answer to an idempotent request, it is sent once more on a fresh one.

        Args:
            method: HTTP method.
            path: Path and query.
            body: JSON.
            hold: Seconds that the server may hold the request, besides the timeout.
            repeatable: Whether it may be repeated as an idempotent one, whatever its method.

        Raises:
            Unreachable: The server cannot be reached.
            Unanswered: It may have got the request, and has not answered it.
        """
        repeatable = repeatable or method in IDEMPOTENT
        head = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._head}"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        elif method != "GET":
            head += "Content-Length: 0\r\n"
        message = f"{head}\r\n".encode("latin-1") + (body or b"")
        connection = self._take()
        sent = connection is not None
        if connection is not None:
            try:
                return self._exchange(connection, method, message, hold)
            except _Stale as stale:
                if stale.answered and not repeatable:
                    raise Unanswered(f"{self.url} broke off its answer: {stale}") from None
        try:
            connection = self._connect()
        except Unreachable as error:
            if sent:
                # A server that was killed may have done first what it was asked.
                raise Unanswered(str(error)) from None
            raise
        try:
            return self._exchange(connection, method, message, hold)
        except _Stale as stale:
            raise Unanswered(
                f"the server at {self.url} closed the connection before it answered "
                f"({stale}); is it restarting? Try again"
            ) from None

    def close(self) -> None:
        """Close the idle connections. The transport can still be used."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> HTTPConnection | None:
        """An idle connection that the server has not closed meanwhile."""
        if self._pid != os.getpid():
            # These belong to the parent, which talks on them.
            self._pid = os.getpid()
            self.close()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            poll = select.poll()
            poll.register(connection.sock, select.POLLIN)
            if not poll.poll(0):
                return connection
            connection.close()

    def _connect(self) -> HTTPConnection:
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port, timeout=self.timeout)
        try:
            # It sets TCP_NODELAY.
            connection.connect()
        except TimeoutError:
            raise Unreachable(
                f"the server at {self.url} could not be reached within {self.timeout:g} s"
            ) from None
        except OSError as error:
            raise Unreachable(self._refused(error)) from None
        return connection

    def _refused(self, error: OSError) -> str:
        if error.errno == errno.ECONNREFUSED:
            return (
                f"no server at {self.url}; start one with `stoker up`, "
                "or set STOKER_API_URL to the one that runs"
            )
        reason = error.strerror or str(error)
        return f"the server at {self.url} cannot be reached: {reason}; check STOKER_API_URL"

    def _exchange(
        self, connection: HTTPConnection, method: str, message: bytes, hold: float
    ) -> tuple[int, bytes]:
        sock: socket.socket = connection.sock
        response = HTTPResponse(sock, method=method)
        answered = kept = False
        try:
            sock.settimeout(self.timeout + hold)
            sock.sendall(message)
            response.begin()
            answered = True
            content = response.read()
            kept = not response.will_close
        except TimeoutError:
            raise Unanswered(
                f"the server at {self.url} did not answer within {self.timeout + hold:g} s"
            ) from None
        except (OSError, HTTPException) as error:
            raise _Stale(str(error) or type(error).__name__, answered=answered) from None
        finally:
            response.close()
            if kept and len(self._idle) < KEPT:
                self._idle.append(connection)
            else:
                connection.close()
        return response.status, content


class _Stale(Exception):
    """The connection broke before the whole answer was there."""

    def __init__(self, reason: str, *, answered: bool) -> None:
        super().__init__(reason)
        self.answered = answered
