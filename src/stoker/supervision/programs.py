"""Programs that are kept running, and stopped in order."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from stoker.domain.errors import Unavailable
from stoker.process_identity import own_environment
from stoker.supervision.stopping import Stop

FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0
"""Seconds before a program that ended is started again, doubled with each in a row."""

LONG_LIFE = 60.0
"""Seconds after which a program counts as healthy: its next end is the first again."""

AT_ONCE = 5.0
"""Seconds that a program gets when it shall stop at once."""


HELD = "STOKER_HELD"
"""Variable that names the descriptors which a program holds for nothing but their end."""


class NotStarted(Unavailable):
    """A program ended before it was of any use; it has said why itself."""


Say = Callable[[str], None]
"""Prints a line."""


def command(*arguments: str) -> list[str]:
    """Return the command line of a ``stoker`` command that ends with its parent."""
    return [sys.executable, "-P", "-m", "stoker", *arguments, "--with-parent"]


class Program(Struct):
    """A program to keep running.

    Attributes:
        name: What it is, for people.
        command: Its command line.
        env: Its environment besides this process's.
        needs: The one that must not end before it.
        process: Its process.
    """

    name: str
    command: list[str]
    env: dict[str, str] = {}
    needs: "Program | None" = None
    process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether its process exists."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start it in a session of its own: the terminal's Ctrl-C is for the supervisor.

        Its standard input ends when the supervisor does, however that comes about; that of the
        program that it needs when it has, too.
        """
        held = [] if self.needs is None else self.needs.lifeline()
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            env=own_environment() | self.env | {HELD: ",".join(map(str, held))},
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=held,
        )

    def lifeline(self) -> list[int]:
        """The descriptor whose end tells it to end, where it runs."""
        stdin = self.process and self.process.stdin
        pipe = stdin and stdin.transport.get_extra_info("pipe")
        return [] if pipe is None or pipe.closed else [pipe.fileno()]

    async def ended(self) -> int:
        """Wait for its end and return its exit code, minus the number of a signal."""
        assert self.process is not None
        return await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None and self.running:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def keep(self, say: Say) -> None:
        """Start it again whenever it ends, for ever."""
        pause = FIRST_PAUSE
        while True:
            since = time.monotonic()
            code = await self.ended()
            if time.monotonic() - since > LONG_LIFE:
                pause = FIRST_PAUSE
            say(f"The {self.name} ended ({reason(code)}) and is started again in {pause:g} s.")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)
            try:
                await self.start()
            except OSError as error:
                # The system may have no process or descriptor to give at the moment.
                say(f"The {self.name} cannot be started: {error}")

    async def end(self, patience: float, stop: Stop, say: Say) -> None:
        """Ask it to end; insist after so many seconds, or once it shall stop at once."""
        if not self.running:
            return
        self.signal(signal.SIGTERM)
        ended = asyncio.create_task(self.ended())
        hurried = asyncio.create_task(stop.at_once.wait())
        try:
            await asyncio.wait(
                {ended, hurried}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            deadline = time.monotonic() + AT_ONCE
            while not ended.done() and time.monotonic() < deadline:
                # A second SIGTERM means "at once". One that comes before the first was looked
                # at is lost in it, so it is said until it is heard.
                self.signal(signal.SIGTERM)
                await asyncio.wait({ended}, timeout=0.2)
            if not ended.done():
                say(f"The {self.name} does not end and is killed.")
                self.signal(signal.SIGKILL)
            await ended
        finally:
            hurried.cancel()


def reason(code: int) -> str:
    """Say how a program ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
