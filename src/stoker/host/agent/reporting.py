"""What is reported of the host's attempts: by their children, and by the agent itself."""

import time
from collections.abc import Callable

import msgspec
from msgspec import Raw

from stoker.domain.reports import Logged, Report
from stoker.host.agent.attempt import Attempt
from stoker.host.agent.child_link import ChildLink
from stoker.host.agent.outbox import Outbox
from stoker.wire import host as wire
from stoker.wire import pipe


class Reporting:
    """Gives each report its number, and keeps the log of a run within its limit.

    Args:
        outbox: Takes the frames.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def emit(self, attempt: Attempt, *reports: Report) -> None:
        """Report of the agent's own."""
        self._put(attempt, attempt.job.run_id, Raw(msgspec.msgpack.encode(reports)))

    def _put(self, attempt: Attempt, run_id: str, reports: Raw) -> None:
        number, seq = attempt.next_frame(run_id)
        self._outbox.put(wire.OpaqueFrame(run_id, number, seq, reports))

    def pass_on(self, attempt: Attempt, body: bytes) -> None:
        """Pass a `ChildReport` on, unread."""
        report = msgspec.msgpack.decode(body, type=pipe.OpaqueReport)
        self._put(attempt, report.run_id, report.reports)

    def pass_log_on(self, attempt: Attempt, body: bytes) -> None:
        """Pass a `ChildReport` of log lines on, unread, as long as the log is not too long."""
        report = msgspec.msgpack.decode(body, type=pipe.OpaqueReport)
        self._log(attempt, report.run_id, report.reports, pipe.log_cost(len(body)))

    def log_lines(self, attempt: Attempt, child: ChildLink, report: Logged) -> None:
        """Pass on what a child has written to its standard streams."""
        size = sum(len(line.message) + pipe.LINE_COST for line in report.lines)
        run_id = attempt.job.run_id
        self._log(attempt, run_id, Raw(msgspec.msgpack.encode([report])), size)
        child.muted = attempt.log.is_cut(run_id)

    def _log(self, attempt: Attempt, run_id: str, reports: Raw, size: int) -> None:
        kept = attempt.log.admit(run_id, reports, size, time.time())
        if kept is not None:
            self._put(attempt, run_id, kept)

    def confirm(self, child: ChildLink, id: int) -> None:
        """Answer a child's request to flush once everything before it is safe."""
        reply = pipe.encode(wire.Reply(id=id))
        self._outbox.when_safe(lambda: child.send(pipe.KIND_REPLY, reply))

    def may_read(self, resume: Callable[[], None]) -> bool:
        """Not while the outbox is full: then children have to wait, and ``resume`` is called."""
        if self._outbox.congested:
            self._outbox.on_relief(resume)
            return False
        return True
