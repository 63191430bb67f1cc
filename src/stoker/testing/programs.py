"""Programs that a test starts, and ends by their own pids."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

ENDING = 20.0
"""Seconds that a program gets to end by itself after SIGTERM."""


class Program:
    """A ``stoker`` command that runs until it is stopped, in a session of its own.

    Args:
        arguments: What follows ``stoker`` on the command line.
        environ: Its environment.
        log: File that gets what it prints.

    Attributes:
        process: The process; see `subprocess.Popen`.
        log: The file.
    """

    def __init__(self, arguments: list[str], environ: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = start(arguments, environ, file)
        self.pid = self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still runs."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it and nothing else, as ``kill -9`` does, and reap it."""
        self.process.kill()
        self.process.wait(ENDING)

    def stop(self, seconds: float = ENDING) -> int:
        """Ask it to end (SIGTERM), wait, and return its exit code.

        Raises:
            TimeoutExpired: It did not end in so many seconds.
        """
        self.process.terminate()
        return self.process.wait(seconds)

    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")


def start(
    arguments: list[str], environ: dict[str, str], output: IO[bytes]
) -> "subprocess.Popen[bytes]":
    """Start a ``stoker`` command."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "stoker", *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=os.fspath(environ["STOKER_HOME"]),
    )
