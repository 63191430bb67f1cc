"""Reports and heartbeats of a script: kept, sent in order by a thread, sent again."""

import logging
import os
import threading
import time
import weakref

from stoker.client.http import Api
from stoker.client.outbox import Call, Outbox, note_of_loss, without_logs
from stoker.client.slots import ScriptClaims
from stoker.domain.errors import Invalid, NotFound, StokerError, Unauthorized, Unavailable
from stoker.domain.ids import new_id
from stoker.domain.reports import Report, SubflowCreated
from stoker.domain.requests import AcquireSlots, Slots
from stoker.process_identity import identify
from stoker.wire.http import ScriptHello

LINGER = 0.05
"""Seconds that reports are gathered before they are sent, unless somebody flushes."""

KEPT_CALLS = 100_000
KEPT_BYTES = 64 << 20
"""While the server is away so much is kept. Beyond it log lines are dropped, and counted;
everything else waits for room."""

_log = logging.getLogger("stoker.client")


class Reporter:
    """Sends what a process reports of its runs, and says that it is alive.

    The first report registers the process as the host of its own runs, and fails where there
    is no server. From then on a server that goes away stops nothing: reports are kept and sent
    again until it has them.

    Args:
        api: The server.
        heartbeat: Seconds between two heartbeats while runs are open.
        patience: Seconds for which the server may be away before a flush gives up.
    """

    def __init__(self, api: Api, *, heartbeat: float, patience: float) -> None:
        self._api = api
        self._heartbeat = heartbeat
        self._patience = patience
        self._start_afresh()
        afresh = weakref.WeakMethod(self._start_afresh)

        def forked() -> None:
            method = afresh()
            if method is not None:
                method()

        os.register_at_fork(after_in_child=forked)

    def _start_afresh(self) -> None:
        """Begin with nothing; in a forked child, since the parent sends what it has reported."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._outbox = Outbox(new_id(time.time()))
        self._claims = ScriptClaims(self._api)
        self._pending: list[Call] = []
        self._reported = 0
        self._settled = 0
        self._hurry = False
        self._closing = False
        self._away_since: float | None = None
        self._refusal: StokerError | None = None
        self._unconfirmed: set[str] = set()
        self._lost: dict[str, int] = {}
        self._last_seen = 0.0

    def report(self, run_id: str, *reports: Report) -> None:
        """Record what happened to a flow run. Buffered.

        Raises:
            Unavailable: The first report finds no server.
            Unauthorized: The first report finds that the key is missing or wrong.
        """
        if self._thread is None:
            self.open()
        with self._changed:
            if (
                self._reported - self._settled >= KEPT_CALLS
                or self._outbox.size >= KEPT_BYTES
                or run_id in self._lost
            ):
                reports = self._squeeze(run_id, reports)
            if not reports:
                return
            if type(reports[0]) is SubflowCreated:
                self._unconfirmed.add(run_id)
            self._pending.append((run_id, reports))
            self._reported += 1
            if len(self._pending) == 1:
                self._changed.notify_all()

    def flush(self) -> None:
        """Return when the server has everything reported so far.

        Raises:
            Unavailable: The server has been away too long; what is kept is still sent later.
            StokerError: The server refused a report, with its reason.
        """
        with self._changed:
            target = self._reported
            if self._settled < target:
                self._hurry = True
                self._changed.notify_all()
            while self._settled < target and self._refusal is None:
                left = None
                if self._away_since is not None:
                    left = self._away_since + self._patience - time.monotonic()
                    if left <= 0:
                        raise Unavailable(
                            f"the server at {self._api.url} has been away for "
                            f"{self._patience:g} s; {target - self._settled} reports of this "
                            "process have not reached it"
                        )
                self._changed.wait(left)
            refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal

    def confirm(self, run_id: str) -> None:
        """Return once the server knows of a run."""
        if run_id in self._unconfirmed:
            self.flush()

    def begin_claim(self, request: AcquireSlots) -> None:
        """A request for slots is about to be made: the server hears that this process lives."""
        self.open()
        with self._changed:
            self._claims.begin(request)
            self._changed.notify_all()

    def ask_claim(self, request: AcquireSlots, hold: float) -> Slots:
        """Ask for slots; the server holds the request for ``hold`` seconds at most."""
        return self._claims.ask(self._outbox.host_id, request, hold)

    def settle_claim(self, request: AcquireSlots, slots: Slots | None) -> None:
        """A request for slots is over, with what came of it."""
        with self._changed:
            self._claims.settle(request, slots)

    def give_back(self, request_id: str) -> None:
        """See `Backend.give_back`. It is sent at once, and again until the server has it."""
        with self._changed:
            self._claims.give_back(request_id)
            self._hurry = True
            self._changed.notify_all()

    def close(self) -> None:
        """Flush, and end the thread and the connections. What cannot be sent is said and lost."""
        try:
            self.flush()
        except StokerError as error:
            _log.error("%s", error)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
            try:
                self._api.script_bye(self._outbox.host_id)
            except StokerError as error:
                _log.debug("the server was not told that this process leaves: %s", error)
            self._outbox.host_id = new_id(time.time())

    def open(self) -> None:
        """Register this process with the server and begin to send, if it does not yet."""
        if self._thread is not None:
            return
        with self._changed:
            if self._thread is not None:
                return
            self.hello()
            self._closing = False
            self._thread = threading.Thread(
                target=self._send_all, name="stoker-reports", daemon=True
            )
            self._thread.start()

    def _squeeze(self, run_id: str, reports: tuple[Report, ...]) -> tuple[Report, ...]:
        """Make reports fit into what is kept: log lines are dropped, others wait for room."""

        def has_room() -> bool:
            return self._reported - self._settled < KEPT_CALLS and self._outbox.size < KEPT_BYTES

        if not has_room():
            reports, lines = without_logs(reports)
            if lines:
                self._lost[run_id] = self._lost.get(run_id, 0) + lines
            if reports:
                self._changed.wait_for(has_room)
            return reports
        lost = self._lost.pop(run_id, 0)
        return (note_of_loss(lost, time.time()), *reports) if lost else reports

    # The sending thread.

    def _send_all(self) -> None:
        try:
            while self._send_some():
                pass
        except Exception as error:
            with self._changed:
                self._refuse(StokerError(f"reports cannot be sent any more: {error!r}"))
                self._changed.notify_all()
            raise

    def _send_some(self) -> bool:
        """One round: gather, pack, heartbeat, send. False when it was the last."""
        with self._changed:
            calls = self._gather()
            if not calls and not self._outbox and self._closing:
                return False
        for problem in self._outbox.pack(calls):
            with self._changed:
                self._refuse(Invalid(f"a report cannot be written as JSON: {problem}"))
        try:
            self._claims.send(self._outbox.host_id)
            self._beat()
            while self._outbox:
                self._post()
        except StokerError as error:
            if error.status < 500:
                self._drop_all(error)
                return True
            if self._wait_out(error):
                return False
        return True

    def _gather(self) -> list[Call]:
        """Wait for reports, or until the next heartbeat is due, and take them all."""
        if not self._outbox:
            self._changed.wait_for(
                lambda: self._pending or self._closing or self._claims.returning,
                self._until_beat(),
            )
            if self._pending:
                self._changed.wait_for(lambda: self._hurry or self._closing, LINGER)
        calls, self._pending = self._pending, []
        self._hurry = False
        return calls

    @property
    def _is_open(self) -> bool:
        """Whether the server has to hear that this process is alive."""
        return bool(self._outbox.open_runs or self._claims)

    def _until_beat(self) -> float | None:
        if not self._is_open:
            return None
        return max(0.0, self._last_seen + self._heartbeat - time.monotonic())

    def _post(self) -> None:
        frames = self._outbox.head()
        try:
            self._api.report([frame.data for frame in frames])
            self._answered()
        except (Unauthorized, Unavailable):
            raise
        except StokerError as error:
            if error.status >= 500:
                raise
            if len(frames) == 1:
                self._settle(1, error)
                return
            # One of them is refused: the others shall get through.
            frames = frames[:1]
            try:
                self._api.report([frames[0].data])
            except StokerError as alone:
                if alone.status >= 500:
                    raise
                self._settle(1, alone)
                return
        self._settle(len(frames))

    def _settle(self, count: int, refusal: StokerError | None = None) -> None:
        """The first frames have arrived, or are refused."""
        frames = self._outbox.head()[:count]
        with self._changed:
            self._outbox.done(count)
            self._settled += sum(frame.calls for frame in frames)
            self._unconfirmed.difference_update(frame.run_id for frame in frames if frame.created)
            if refusal is not None:
                self._refuse(refusal)
            self._changed.notify_all()

    def _answered(self) -> None:
        if self._away_since is not None:
            with self._changed:
                self._away_since = None
            _log.warning("the server at %s is back", self._api.url)

    def _refuse(self, error: StokerError) -> None:
        if self._refusal is None:
            self._refusal = error

    def _drop_all(self, error: StokerError) -> None:
        """The server does not take anything of this process."""
        _log.error("the server refuses the reports of this process: %s", error)
        while self._outbox:
            self._settle(len(self._outbox.head()), error)
        self._outbox.open_runs.clear()

    def _wait_out(self, error: StokerError) -> bool:
        """The server is away: wait a little before the next attempt. True to give up."""
        with self._changed:
            first = self._away_since is None
            if self._away_since is None:
                self._away_since = time.monotonic()
            # A flush that waits gives up by the clock that starts here.
            self._changed.notify_all()
            pause = min(2.0, 0.1 + (time.monotonic() - self._away_since) / 4)
        if first:
            _log.warning("%s; reports are kept and sent when it is back", error)
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._hurry, pause)
            self._hurry = False
            return self._closing

    def _beat(self) -> None:
        if not self._is_open:
            return
        if time.monotonic() < self._last_seen + self._heartbeat:
            return
        try:
            self._api.script_heartbeat(self._outbox.host_id)
        except NotFound:
            self.hello()
        self._last_seen = time.monotonic()
        self._answered()

    def hello(self) -> None:
        """Register this process with the server, which may have given it up meanwhile."""
        me = identify()
        self._api.script_hello(
            ScriptHello(
                host_id=self._outbox.host_id,
                pid=me.pid,
                started=me.started,
                machine_name=me.machine.name,
                boot_id=me.machine.boot_id,
                pid_namespace=me.machine.pid_namespace,
            )
        )
        self._last_seen = time.monotonic()
