"""The agent's end of a child: its socket and what it writes to its standard streams."""

import asyncio
import fcntl
import os
import select
import socket
import sys
import termios
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from stoker.domain.reports import Logged
from stoker.domain.runs import LogLine
from stoker.host.agent.attempt import Attempt
from stoker.host.cutting import LINE_LIMIT
from stoker.wire import pipe as wire

READ_SIZE = 256 * 1024
READS = 4
"""Reads from one socket before the others have their turn."""
INFO, ERROR = 20, 40
STREAMS = (("stdout", INFO), ("stderr", ERROR))


class Listener(Protocol):
    """Who hears what a child says."""

    def on_report(self, child: "ChildLink", body: bytes) -> None:
        """A `ChildReport`."""
        ...

    def on_log(self, child: "ChildLink", body: bytes) -> None:
        """A `ChildReport` of log lines alone."""
        ...

    def on_finished(self, child: "ChildLink", body: bytes) -> None:
        """A `ChildReport` with the end of the run."""
        ...

    def on_request(self, child: "ChildLink", body: bytes) -> None:
        """A `ChildRequest`."""
        ...

    def on_forget(self, child: "ChildLink", id: int) -> None:
        """It does not wait any more for the answer to a `ChildRequest`."""
        ...

    def on_flush(self, child: "ChildLink", id: int) -> None:
        """A request for a reply once everything before is safe."""
        ...

    def on_lines(self, child: "ChildLink", report: Logged) -> None:
        """Captured lines."""
        ...

    def on_silence(self, child: "ChildLink") -> None:
        """The child's end of the socket is closed."""
        ...

    def on_nonsense(self, child: "ChildLink", problem: str) -> None:
        """It said what no child says. Nothing more is read of it."""
        ...

    def may_read(self, resume: Callable[[], None]) -> bool:
        """Whether to read on now; if not, ``resume`` is called when it is time."""
        ...


class ChildLink:
    """A child, from its birth to its end.

    Of one that has ended, ``job_unread`` says that it had not read what it was sent. What a
    ``muted`` one writes to its standard streams is thrown away. One that was ``dismissed`` had no
    run to wait for any more.

    Args:
        pid: Its pid.
        fds: The agent's ends of its socket, standard output and standard error.
        listener: Who hears it.
        on_born: Called once it has imported its code for itself, or with why it could not.
    """

    def __init__(
        self,
        pid: int,
        fds: tuple[int, int, int],
        listener: Listener,
        on_born: Callable[["ChildLink", str], None],
    ) -> None:
        self.pid = pid
        self.attempt: Attempt | None = None
        self.spoke = False
        self.dismissed = False
        self.job_unread = False
        self.muted = False
        self._listener = listener
        self._on_born = on_born
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(fileno=fds[0])
        self._socket.setblocking(False)
        self._streams: list[int | None] = [fds[1], fds[2]]
        self._partial = [b"", b""]
        self._inbox = bytearray()
        self._outgoing = bytearray()
        self._closed = False
        for fd in fds[1:]:
            os.set_blocking(fd, False)
        self._watch()

    def _watch(self) -> None:
        if self._closed:
            return
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket, self._on_readable)
        for index, fd in enumerate(self._streams):
            if fd is not None:
                self._loop.add_reader(fd, self._on_readable, index)

    def _unwatch(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
        for fd in self._streams:
            if fd is not None:
                self._loop.remove_reader(fd)

    def send(self, kind: int, body: bytes) -> None:
        """Write a message, what the socket does not take now a little later."""
        if self._closed:
            return
        data = wire.HEADER.pack(kind, len(body)) + body
        if self._outgoing:
            self._outgoing += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            # It is dead, and its end is about to be heard.
            self.job_unread = True
            return
        if sent < len(data):
            self._outgoing += data[sent:]
            self._loop.add_writer(self._socket, self._on_writable)

    def _on_writable(self) -> None:
        try:
            del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self.job_unread = True
            self._outgoing.clear()
        if not self._outgoing:
            self._loop.remove_writer(self._socket)

    def _on_readable(self, index: int | None = None) -> None:
        """Read in the order of writing.

        The child sends nothing while there is something unread in its streams. So what is in
        them at one moment came before what the socket gets after it has been read, and after all
        that was in the socket at that moment.
        """
        if not self._drain_socket():
            return
        sizes = [unread(fd) for fd in self._streams]
        if any(sizes):
            if not self._drain_socket():
                return
            for stream, size in enumerate(sizes):
                if size:
                    self._read_stream(stream, size)
        elif index is not None and is_over(self._streams[index]):
            self._read_stream(index, READ_SIZE)

    def _drain_socket(self) -> bool:
        """Read all that is there; False where it is too much for now."""
        for _ in range(READS):
            if not self._ready():
                return False
            if not self._read_socket():
                return True
        return False

    def _ready(self) -> bool:
        if self._listener.may_read(self._watch):
            return True
        self._unwatch()
        return False

    def _read_stream(self, index: int, size: int) -> bool:
        fd = self._streams[index]
        if fd is None:
            return False
        try:
            data = os.read(fd, size)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(fd)
            os.close(fd)
            self._streams[index] = None
            self._flush_partial(index)
            return False
        self.spoke = True
        if self.muted:
            return True
        *lines, rest = (self._partial[index] + data).split(b"\n")
        while len(rest) > LINE_LIMIT:
            lines.append(rest[:LINE_LIMIT])
            rest = rest[LINE_LIMIT:]
        self._partial[index] = rest
        self._report_lines(index, lines)
        return True

    def _flush_partial(self, index: int) -> None:
        rest, self._partial[index] = self._partial[index], b""
        if rest:
            self._report_lines(index, [rest])

    def _report_lines(self, index: int, lines: list[bytes]) -> None:
        if not lines or self.attempt is None:
            return
        name, level = STREAMS[index]
        at = time.time()
        records = [
            LogLine(at=at, level=level, logger=name, message=line.decode(errors="replace"))
            for line in lines
        ]
        self._listener.on_lines(self, Logged(records))

    def _read_socket(self) -> bool:
        if self._socket.fileno() < 0:
            return False
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            # So the kernel ends a connection whose other end was closed with data left in it.
            self.job_unread = True
            data = b""
        if not data:
            self._close_socket()
            self._listener.on_silence(self)
            return False
        self.spoke = True
        self._inbox += data
        try:
            self._dispatch()
        except (msgspec.MsgspecError, ValueError) as error:
            self._inbox.clear()
            self._close_socket()
            self._listener.on_nonsense(self, str(error))
            return False
        return True

    def _dispatch(self) -> None:
        size = wire.HEADER.size
        start = 0
        while len(self._inbox) - start >= size:
            kind, length = wire.HEADER.unpack_from(self._inbox, start)
            if length > wire.BODY_LIMIT:
                raise ValueError(f"a message of {length} bytes")
            end = start + size + length
            if len(self._inbox) < end:
                break
            body = bytes(self._inbox[start + size : end])
            start = end
            match kind:
                case wire.KIND_REPORT:
                    self._listener.on_report(self, body)
                case wire.KIND_LOG:
                    self._listener.on_log(self, body)
                case wire.KIND_FINISHED:
                    self._listener.on_finished(self, body)
                case wire.KIND_REQUEST:
                    self._listener.on_request(self, body)
                case wire.KIND_FORGET:
                    self._listener.on_forget(self, msgspec.msgpack.decode(body, type=int))
                case wire.KIND_FLUSH:
                    self._listener.on_flush(self, msgspec.msgpack.decode(body, type=int))
                case wire.KIND_BORN:
                    # Nothing was said about a run: it has none yet.
                    self.spoke = False
                    self._on_born(self, msgspec.msgpack.decode(body, type=str))
                case _:
                    raise ValueError(f"a child does not send messages of kind {kind}")
        del self._inbox[:start]

    def drain(self) -> None:
        """Read what is there now: the child has ended, and will say nothing more."""
        while self._read_socket():
            pass
        for index in (0, 1):
            while self._read_stream(index, READ_SIZE):
                pass
            self._flush_partial(index)

    def _close_socket(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            if self._outgoing:
                self._outgoing.clear()
                self._loop.remove_writer(self._socket)
            self._socket.close()

    def close(self) -> None:
        """Let go of it. A child that waits for its job ends then."""
        if self._closed:
            return
        self._closed = True
        self._close_socket()
        for index, fd in enumerate(self._streams):
            if fd is not None:
                self._loop.remove_reader(fd)
                os.close(fd)
                self._streams[index] = None


def unread(fd: int | None) -> int:
    """How many bytes a pipe holds."""
    if fd is None:
        return 0
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


def is_over(fd: int | None) -> bool:
    """Whether a pipe is empty and nobody can write into it any more."""
    if fd is None:
        return False
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return any(events == select.POLLHUP for _, events in poller.poll(0))
