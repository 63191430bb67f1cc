"""The length of a run's log: counted where it passes, and cut at the limit, with a word on it."""

import msgspec
from msgspec import Raw

from stoker.domain.limits import MEGABYTE
from stoker.domain.reports import Logged, Report
from stoker.domain.runs import LogLine
from stoker.wire.pipe import LINE_COST

WARNING = 30

_decode = msgspec.msgpack.Decoder(list[Report]).decode
_encode = msgspec.msgpack.Encoder().encode


class LogMeter:
    """Counts the log of one attempt, with the logs of the runs in its process.

    Args:
        megabytes: The limit: of the lines' text, and a little for each line.
    """

    def __init__(self, megabytes: float) -> None:
        self._megabytes = megabytes
        self._left = int(megabytes * MEGABYTE)
        self._cut: set[str] = set()

    def is_cut(self, run_id: str) -> bool:
        """Whether nothing more of a run's log is kept."""
        return run_id in self._cut

    def admit(self, run_id: str, reports: Raw, size: int, now: float) -> Raw | None:
        """Return what is kept of reports that hold log lines alone.

        Where the limit is reached that is what fits, and a line that says that it was cut. Only
        these reports are ever read here.

        Args:
            run_id: The run whose lines they are.
            reports: The reports.
            size: Bytes that they count; see `stoker.wire.pipe.log_cost`.
            now: Seconds since the epoch.
        """
        if self._left >= size:
            self._left -= size
            return reports
        if run_id in self._cut:
            return None
        kept = self._beginning(reports)
        self._left = -1
        self._cut.add(run_id)
        text = f"the log is cut here: it has reached the {self._megabytes:g} MB of its max_log"
        mark = LogLine(at=now, level=WARNING, logger="stoker.host", message=text)
        return Raw(_encode([Logged([*kept, mark])]))

    def _beginning(self, reports: Raw) -> list[LogLine]:
        kept: list[LogLine] = []
        if self._left <= 0:
            return kept
        for report in _decode(reports):
            for line in report.lines if isinstance(report, Logged) else ():
                self._left -= len(line.message) + LINE_COST
                if self._left < 0:
                    return kept
                kept.append(line)
        return kept
