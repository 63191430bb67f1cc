"""Strays: what turns up under the agent when a zygote has died. No run owns it any more."""

import asyncio
import os
import signal
from collections.abc import Callable, Collection

from stoker.host import linux

PAUSE = 0.02
"""Seconds between two looks: what was killed needs a moment to be gone."""
QUIET = 15
"""Looks in a row that find nothing, after which all is well."""


class Sweeper:
    """Ends strays.

    Args:
        own: The pids of the agent's children that are none.
    """

    def __init__(self, own: Callable[[], Collection[int]]) -> None:
        self._own = own
        self._quiet = QUIET
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look now, and again until nothing turns up any more."""
        self._quiet = 0
        if self._timer is None:
            self._look()

    def _look(self) -> None:
        self._timer = None
        self._quiet = 0 if self.sweep() else self._quiet + 1
        if self._quiet < QUIET:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._look)

    def sweep(self) -> int:
        """Kill and reap what is there; return how many."""
        own = self._own()
        strays = [pid for pid in linux.children() if pid not in own]
        for pid in strays:
            linux.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
        return len(strays)
