"""What a run prints becomes lines of its log, in order with what its loggers write."""

import io
import os
import sys
import threading
import time
from typing import BinaryIO, TextIO, cast

from stoker.domain.reports import Logged
from stoker.domain.runs import LogLine
from stoker.host.child.pipe import PipeBackend
from stoker.host.cutting import LINE_LIMIT, cut_text

INFO, ERROR = 20, 40
LEVELS = {"stdout": INFO, "stderr": ERROR}
"""Logging levels of captured lines, by stream."""


class LineWriter(io.TextIOBase):
    """A text stream whose lines are reported.

    Args:
        backend: Where to.
        run_id: The run that prints.
        name: ``"stdout"`` or ``"stderr"``; the name of the lines' logger.
        fd: Its descriptor: what a process writes that the run forks goes there.
    """

    def __init__(self, backend: PipeBackend, run_id: str, name: str, fd: int) -> None:
        self._backend = backend
        self._run_id = run_id
        self._name = name
        self._fd = fd
        self._partial = ""
        self._lock = threading.RLock()
        self._released = False
        self._binary: BinaryIO | None = None

    encoding = "utf-8"
    errors = "backslashreplace"

    def write(self, text: str, /) -> int:
        """Report the lines that are complete now."""
        if self._released or self._backend.forked:
            self._write_through(text)
            return len(text)
        with self._lock:
            *lines, self._partial = (self._partial + text).split("\n")
            if len(self._partial) > LINE_LIMIT:
                *parts, self._partial = cut_text(self._partial)
                lines += parts
            self._report(lines)
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor that the agent reads."""
        return self._fd

    @property
    def buffer(self) -> BinaryIO:
        """The stream of bytes below, whose lines the agent reports."""
        if self._binary is None:
            self._binary = cast(BinaryIO, os.fdopen(self._fd, "wb", buffering=0, closefd=False))
        return self._binary

    def release(self) -> None:
        """Report the line begun; what is written from now on goes to the descriptor."""
        with self._lock:
            if self._partial:
                self._report([self._partial])
                self._partial = ""
            self._released = True

    def _report(self, lines: list[str]) -> None:
        if lines:
            at, level = time.time(), LEVELS[self._name]
            records = [
                LogLine(at=at, level=level, logger=self._name, message=line) for line in lines
            ]
            self._backend.report(self._run_id, Logged(records))

    def _write_through(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self._fd, data) :]


class Captured:
    """The two streams of a run."""

    def __init__(self, out: LineWriter, err: LineWriter) -> None:
        self._both = (out, err)

    def release(self) -> None:
        """See `LineWriter.release`."""
        for writer in self._both:
            writer.release()


def capture(backend: PipeBackend, run_id: str) -> Captured:
    """Replace ``sys.stdout`` and ``sys.stderr``."""
    out = LineWriter(backend, run_id, "stdout", 1)
    err = LineWriter(backend, run_id, "stderr", 2)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    return Captured(out, err)
