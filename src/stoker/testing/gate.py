"""A gate: where a test waits for flows, and flows wait for a test, without a sleep."""

import json
import os
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msgspec import Struct


class Arrival(Struct, eq=False):
    """A process that stands at a gate.

    Attributes:
        pid: Its process id.
        note: What it said; any JSON value.
    """

    pid: int
    note: Any
    connection: socket.socket

    def release(self, answer: Any = None) -> None:
        """Let it pass; `stoker.testing.arrive` returns the answer there."""
        # It may be dead.
        with suppress(OSError):
            self.connection.sendall(json.dumps(answer).encode() + b"\n")
        self.connection.close()


class Gate:
    """A gate at a path of its own, to be given to flows as a parameter.

    Example:
        >>> import threading
        >>> with Gate() as gate:
        ...     thread = threading.Thread(target=arrive, args=(gate.path, "here"))
        ...     thread.start()
        ...     arrival = gate.wait()
        ...     arrival.release()
        ...     thread.join()
        >>> arrival.note
        'here'
    """

    def __init__(self) -> None:
        # Socket paths have 107 characters at the most: pytest's folders are too long.
        self._folder = tempfile.TemporaryDirectory(prefix="gate-")
        self.path = str(Path(self._folder.name) / "gate")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1024)
        self.waiting: list[Arrival] = []

    def wait(self, seconds: float = 30.0) -> Arrival:
        """Return the next process that arrives.

        Raises:
            TimeoutError: None did in so many seconds.
        """
        self._listener.settimeout(seconds)
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            raise TimeoutError(f"nobody arrived at the gate in {seconds:g} s") from None
        connection.settimeout(seconds)
        with connection.makefile("rb") as file:
            pid, note = json.loads(file.readline())
        arrival = Arrival(pid, note, connection)
        self.waiting.append(arrival)
        return arrival

    def wait_for(self, count: int, seconds: float = 30.0) -> list[Arrival]:
        """Return the next so many processes, once they all have arrived.

        Raises:
            TimeoutError: They did not in so many seconds.
        """
        deadline = time.monotonic() + seconds
        return [self.wait(max(0.01, deadline - time.monotonic())) for _ in range(count)]

    def open(self) -> None:
        """Let all pass, those that come later too."""
        self.close()

    def close(self) -> None:
        """Let all pass and take the gate away."""
        for arrival in self.waiting:
            arrival.release()
        self.waiting.clear()
        self._listener.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def arrive(gate: str, note: Any = None) -> Any:
    """Wait at a gate, in a flow, until the test lets it pass; return the test's answer.

    Args:
        gate: The gate's path.
        note: What the test is told; any JSON value.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(gate)
        except (FileNotFoundError, ConnectionRefusedError):
            return None  # The gate is open.
        connection.sendall(json.dumps([os.getpid(), note]).encode() + b"\n")
        with connection.makefile("rb") as file:
            return json.loads(file.readline() or b"null")
