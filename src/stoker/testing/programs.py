"""Programs that a test starts, and ends by their own pids."""

import signal
import subprocess
import sys
import time
from pathlib import Path

ENDING = 20.0
"""Seconds that a program gets to end by itself after SIGTERM."""

STARTING = 30.0
"""Seconds that a program gets until it says what is waited for."""


class Program:
    """A program that runs until it is stopped, in a session of its own.

    Args:
        arguments: What follows ``python`` on the command line.
        environ: Its environment.
        log: File that gets what it prints.
        cwd: Its working directory.

    Attributes:
        process: The process; see `subprocess.Popen`.
        log: The file.
    """

    def __init__(self, arguments: list[str], environ: dict[str, str], log: Path, cwd: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=cwd,
            )
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

    def await_output(self, text: str, seconds: float = STARTING) -> str:
        """Return what it has printed, once a text is in it.

        Raises:
            AssertionError: It ended before, or so many seconds have passed.
        """
        deadline = time.monotonic() + seconds
        while text not in (output := self.output()):
            running = self.running
            if text in (output := self.output()):
                break
            assert running, f"it ended without {text!r}:\n{output}"
            assert time.monotonic() < deadline, f"no {text!r} in {seconds:g} s:\n{output}"
            time.sleep(0.01)
        return output
