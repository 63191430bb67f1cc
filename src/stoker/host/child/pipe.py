"""The backend of a deployed run: over the pipe to its host's agent."""

import contextlib
import fcntl
import math
import os
import signal
import socket
import termios
import threading
import time
from collections.abc import Callable
from typing import NoReturn, cast, overload

import msgspec

from stoker.domain import errors
from stoker.domain.deployments import Deployment
from stoker.domain.errors import Invalid, StokerError, Unavailable
from stoker.domain.reports import Finished, Logged, Report, SlotsGivenBack
from stoker.domain.requests import (
    AcquireSlots,
    Answer,
    PutDeployment,
    Request,
    RunRequest,
    Slots,
    StartRun,
)
from stoker.domain.runs import FlowRun
from stoker.host import cutting
from stoker.suspend_signal import SUSPEND_SIGNAL
from stoker.wire import pipe as wire
from stoker.wire.host import Reply

INTERRUPTING = {signal.SIGTERM, signal.SIGINT, signal.SIGALRM, SUSPEND_SIGNAL}
"""Signals whose handlers may raise in the middle of the user's code."""

STREAMS = (1, 2)
NO_BYTES = bytes(4)
"""A C ``int`` of 0."""
PATIENCE = 0.2
"""Seconds that the agent gets to read the streams, before the order counts for nothing."""
LATE = 1.0
"""Seconds that an answer may be late which the server gives at a certain time."""
FIRST_PAUSE, LAST_PAUSE = 50e-6, 2e-3
"""Seconds between two looks whether it has, doubled with each."""


def streams_hold_something() -> bool:
    """Whether the standard streams hold what the agent has not read: a helper process wrote it."""
    for fd in STREAMS:
        try:
            if fcntl.ioctl(fd, termios.FIONREAD, NO_BYTES) != NO_BYTES:
                return True
        except OSError:
            continue  # The user's code has put something else there.
    return False


def receive_frame(link: socket.socket) -> tuple[int, bytes] | None:
    """Block for one message: its kind and body. None at the end of the connection."""
    header = _receive(link, wire.HEADER.size)
    if header is None:
        return None
    kind, length = wire.HEADER.unpack(header)
    body = _receive(link, length)
    return None if body is None else (kind, body)


def _receive(link: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            return None
        data += part
    return bytes(data)


class PipeBackend:
    """The `Backend` of a run in its own child.

    Every report is written at once, so that what was reported before a crash is kept. A
    process that the run forks has no part in the connection: reports from there are dropped.

    Args:
        link: The connection to the agent.
        run_id: The job's run.
        max_log: Bytes of log lines that the agent takes.
    """

    def __init__(self, link: socket.socket, run_id: str, max_log: float = math.inf) -> None:
        self._link = link
        self._run_id = run_id
        self._writing = threading.Lock()
        self._answered = threading.Condition()
        self._replies: dict[int, Reply] = {}
        self._last_id = 0
        self._reader: threading.Thread | None = None
        self._gone = False
        self._in_order = True
        self._log_left = max_log
        self._silent: set[str] = set()
        self.forked = False
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self.forked = True
        # Another thread may have held it at the fork; there is none here to release it.
        self._writing = threading.Lock()
        self._link.close()

    def report(self, run_id: str, *reports: Report) -> None:
        """Write reports; see `Backend.report`. What is too large is cut, or replaced by a note."""
        for lot in cutting.lots(reports):
            if all(isinstance(report, Logged) for report in lot):
                self._log(run_id, lot)
            else:
                self._write(wire.KIND_REPORT, encoded(run_id, lot))

    def _log(self, run_id: str, lot: list[Report]) -> None:
        """Write log lines; not those of which the agent would keep nothing.

        It counts the same and what helper processes write, so it has cut the log by then. The
        first lines of another run are written still: it marks the cut in each run's log.
        """
        if self._log_left < 0:
            if run_id in self._silent:
                return
            self._silent.add(run_id)
        body = encoded(run_id, lot)
        self._log_left -= wire.log_cost(len(body))
        self._write(wire.KIND_LOG, body)

    def finish(self, finished: Finished) -> None:
        """Write the end of the job's own run: nothing is written after it."""
        self._write(wire.KIND_FINISHED, encoded(self._run_id, [finished]))

    def flush(self) -> None:
        """Return once the agent has everything on disk or at the server."""
        self._call(wire.KIND_FLUSH, msgspec.msgpack.encode)

    @overload
    def ask(self, request: RunRequest) -> FlowRun: ...
    @overload
    def ask(self, request: PutDeployment) -> Deployment: ...
    @overload
    def ask(self, request: AcquireSlots) -> Slots: ...
    def ask(self, request: Request) -> Answer:
        """Ask the server through the agent; see `Backend.ask`."""
        if isinstance(request, StartRun) and request.idempotency_key is None:
            # The agent sends a request again after a lost connection: it must not start twice.
            request = msgspec.structs.replace(request, idempotency_key=os.urandom(16).hex())
        size = len(wire.encode(request))
        if size > cutting.REPORT_LIMIT:
            limit = cutting.REPORT_LIMIT / 1e6
            raise Invalid(f"the request takes {size / 1e6:.0f} MB; {limit:.0f} MB are the limit")
        body = request
        # The server ends a wait for slots in time; where it is away the child does so itself.
        patience = request.timeout if isinstance(request, AcquireSlots) else None
        reply = self._call(
            wire.KIND_REQUEST, lambda id: wire.encode(wire.ChildRequest(id, body)), patience
        )
        if reply is None:
            self.give_back(cast(AcquireSlots, request).id)
            return Slots(granted=False)
        if reply.error is not None:
            raise_named(*reply.error)
        kinds: dict[type, type[Answer]] = {PutDeployment: Deployment, AcquireSlots: Slots}
        return msgspec.msgpack.decode(reply.body, type=kinds.get(type(request), FlowRun))

    def give_back(self, request_id: str) -> None:
        """Report it, as all that must not get lost; see `Backend.give_back`."""
        self.report(self._run_id, SlotsGivenBack(request_id))

    def close(self) -> None:
        """Flush. The connection ends with the process."""
        self.flush()

    def _write(self, kind: int, body: bytes) -> None:
        # A handler that raises (a cancel, a timeout) must not leave half a message behind. Blocked
        # here, a signal cannot interrupt the system call; its handler runs when that is done.
        self._let_streams_pass()
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTING)
            with self._writing:
                if not self.forked:
                    self._link.sendall(wire.HEADER.pack(kind, len(body)) + body)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTING)

    def _let_streams_pass(self) -> None:
        """Let the agent read first what helper processes have written, which came before.

        Where one writes without end there is no order to keep.
        """
        pause, waited = FIRST_PAUSE, 0.0
        while self._in_order and not self.forked and streams_hold_something():
            time.sleep(pause)
            waited += pause
            pause = min(LAST_PAUSE, 2 * pause)
            self._in_order = waited < PATIENCE

    def _call(
        self, kind: int, body: Callable[[int], bytes], patience: float | None = None
    ) -> Reply | None:
        """Ask, and return the answer; None where there is none ``patience`` seconds later."""
        if self.forked:
            raise Unavailable(
                "a process that a flow run forks cannot ask the server; ask in the run itself"
            )
        with self._answered:
            self._last_id += 1
            id = self._last_id
            if self._reader is None:
                # A thread of its own: no signal handler interrupts it half-way through a message.
                self._reader = threading.Thread(target=self._read, name="stoker", daemon=True)
                self._reader.start()
        try:
            self._write(kind, body(id))
            deadline = math.inf if patience is None else time.monotonic() + patience + LATE
            with self._answered:
                while id not in self._replies and not self._gone:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        break
                    self._answered.wait(None if left == math.inf else left)
        except BaseException:
            # A timeout or a cancel: the server must not take the run for one that waits.
            if kind == wire.KIND_REQUEST:
                self._take_back(id)
            raise
        with self._answered:
            if id in self._replies:
                return self._replies.pop(id)
            if self._gone:
                raise Unavailable("the host's agent is gone")
        self._take_back(id)
        return None

    def _take_back(self, id: int) -> None:
        with contextlib.suppress(OSError):
            self._write(wire.KIND_FORGET, msgspec.msgpack.encode(id))
        with self._answered:
            self._replies.pop(id, None)

    def _read(self) -> None:
        decode = msgspec.msgpack.Decoder(Reply).decode
        try:
            while frame := receive_frame(self._link):
                reply = decode(frame[1])
                with self._answered:
                    self._replies[reply.id] = reply
                    self._answered.notify_all()
        except OSError:
            pass  # The connection was lost: the same as its end.
        with self._answered:
            self._gone = True
            self._answered.notify_all()


def encoded(run_id: str, reports: list[Report]) -> bytes:
    """Encode reports so that they can travel: none too large, no half of a character in a text."""
    try:
        body = wire.encode(wire.ChildReport(run_id, reports))
        if len(body) <= cutting.REPORT_LIMIT:
            return body
        return wire.encode(wire.ChildReport(run_id, reduced(reports)))
    except UnicodeEncodeError:
        return msgspec.msgpack.encode(cutting.readable([run_id, reports]))


def reduced(reports: list[Report]) -> list[Report]:
    """Return reports in place of those that are too large together; small ones stay."""
    small: list[Report] = []
    for report in reports:
        size = len(wire.encode(report))
        if size > cutting.REPORT_LIMIT // len(reports):
            small += cutting.substitute(report, size, time.time())
        else:
            small.append(report)
    return small


def raise_named(name: str, detail: str) -> NoReturn:
    """Raise the `StokerError` of a name.

    Example:
        >>> raise_named("NotFound", "no deployment is called 'a/b'")
        Traceback (most recent call last):
        stoker.domain.errors.NotFound: no deployment is called 'a/b'
    """
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, StokerError):
        raise kind(detail)
    raise StokerError(f"{name}: {detail}")
