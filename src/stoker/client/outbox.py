"""Reports on their way to the server: in order, numbered, encoded once."""

from collections import defaultdict, deque
from itertools import groupby

import msgspec
from msgspec import Struct

from stoker.domain.reports import Finished, Frame, Logged, Report, SubflowCreated
from stoker.domain.runs import LogLine

Call = tuple[str, tuple[Report, ...]]
"""One call of `Backend.report`: the run, and what it reported."""

FRAME_REPORTS = 500
"""Reports in one frame at the most."""

REQUEST_BYTES = 1 << 20
"""Frames are sent together up to this size; one alone may be larger."""

_encode = msgspec.json.Encoder().encode


class Packed(Struct, frozen=True):
    """A frame, ready to go out.

    Attributes:
        run_id: Its run.
        data: The frame as JSON.
        calls: How many calls of `Backend.report` it carries.
        created: Whether it creates its run's record.
    """

    run_id: str
    data: bytes
    calls: int
    created: bool


class Outbox:
    """Frames that the server has not acknowledged yet, oldest first. For one thread.

    Args:
        host_id: Written into the records of the runs, so that the server knows whose they are.
    """

    def __init__(self, host_id: str) -> None:
        self.host_id = host_id
        self.size = 0
        """Bytes kept."""
        self.open_runs: set[str] = set()
        """Runs that have been created and have not finished."""
        self._frames: deque[Packed] = deque()
        self._seqs: defaultdict[str, int] = defaultdict(int)

    def __len__(self) -> int:
        return len(self._frames)

    def pack(self, calls: list[Call]) -> list[str]:
        """Add reports; neighbours of the same run share a frame.

        Returns what is wrong with those that were left out, since JSON cannot hold them.
        """
        problems: list[str] = []
        for run_id, group in groupby(calls, key=lambda call: call[0]):
            reports: list[Report] = []
            count = 0
            for _, more in group:
                reports += more
                count += 1
                if len(reports) >= FRAME_REPORTS:
                    problems += self._add(run_id, reports, count)
                    reports, count = [], 0
            if count:
                problems += self._add(run_id, reports, count)
        return problems

    def head(self) -> list[Packed]:
        """The frames to send next, together."""
        chosen: list[Packed] = []
        size = 0
        for frame in self._frames:
            size += len(frame.data)
            if chosen and size > REQUEST_BYTES:
                break
            chosen.append(frame)
        return chosen

    def done(self, count: int) -> None:
        """Forget the first frames: the server has them, or will never take them."""
        for _ in range(count):
            self.size -= len(self._frames.popleft().data)

    def _add(self, run_id: str, reports: list[Report], calls: int) -> list[str]:
        created = False
        for report in reports:
            if isinstance(report, SubflowCreated):
                report.run.host_id = self.host_id
                self.open_runs.add(run_id)
                created = True
            elif isinstance(report, Finished):
                self.open_runs.discard(run_id)
        seq = self._seqs[run_id] = self._seqs[run_id] + 1
        problems: list[str] = []
        try:
            data = _encode(Frame(run_id, 1, seq, reports))
        except TypeError:
            fit: list[Report] = []
            for report in reports:
                try:
                    _encode(report)
                    fit.append(report)
                except TypeError as error:
                    problems.append(str(error))
            data = _encode(Frame(run_id, 1, seq, fit))
        self._frames.append(Packed(run_id, data, calls, created))
        self.size += len(data)
        return problems


def without_logs(reports: tuple[Report, ...]) -> tuple[tuple[Report, ...], int]:
    """Return the reports that are no log lines, and how many lines were left out."""
    kept = tuple(report for report in reports if not isinstance(report, Logged))
    lines = sum(len(report.lines) for report in reports if isinstance(report, Logged))
    return kept, lines


def note_of_loss(lines: int, at: float) -> Logged:
    """The log line that stands for those that were dropped."""
    text = f"{lines} log lines were dropped here while the server was away"
    return Logged([LogLine(at=at, level=30, logger="stoker", message=text)])
