"""The host's log: what its agent logs, and what its zygotes print while they import.

It is bounded, and in nobody's way: on a full disk lines are dropped. Zygotes write into a pipe that
the agent reads, so that a print at import cannot fail for the log's sake.
"""

import asyncio
import contextlib
import os
import stat

LIMIT = 4 * 1024 * 1024
"""Bytes of a log at the most."""
KEPT = 1024 * 1024
"""Bytes of its newest lines that stay when it has grown beyond that."""
READ_SIZE = 64 * 1024
CUT = b"... earlier lines were removed: a host's log has its limit\n"


class HostLog:
    """A stream for `logging`, and the reader of what zygotes print.

    Args:
        fd: Where it is written. A file that is opened for reading, too, and for appending is
            bounded; of anything else there is no more than what its reader keeps.
    """

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._bounded = stat.S_ISREG(os.fstat(fd).st_mode)
        self._reader = -1
        self.writer = -1

    def write(self, text: str) -> None:
        """Append text."""
        self.append(text.encode(errors="backslashreplace"))

    def flush(self) -> None:
        """Nothing is held back."""

    def append(self, data: bytes) -> None:
        """Append bytes, or drop them where there is no room."""
        with contextlib.suppress(OSError):
            os.write(self._fd, data)
            if self._bounded and os.fstat(self._fd).st_size > LIMIT:
                self._shorten()

    def _shorten(self) -> None:
        size = os.fstat(self._fd).st_size
        try:
            newest = os.pread(self._fd, KEPT, max(0, size - KEPT))
        except OSError:
            # It cannot be read: opened by somebody else.
            self._bounded = False
            return
        _, _, newest = newest.partition(b"\n")
        os.ftruncate(self._fd, 0)
        os.write(self._fd, CUT + newest)

    # What zygotes print.

    def open(self) -> None:
        """Open the pipe whose ``writer`` zygotes get as standard output and error."""
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        asyncio.get_running_loop().add_reader(self._reader, self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self._reader, READ_SIZE)
        except BlockingIOError:
            return False
        self.append(data)
        return bool(data)

    def close(self) -> None:
        """Take down what is still in the pipe, and close it."""
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self.writer)
        for _ in range(16):
            if not self._read():
                break
        os.close(self._reader)
