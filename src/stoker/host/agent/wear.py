"""Wear: when a host asks to be replaced, by its runs, its age, its own memory, or an upgrade."""

import asyncio
from collections.abc import Callable, Collection

from stoker.domain.pools import HostTerms
from stoker.host import linux
from stoker.host.agent.installation import Installation, Replaced

PACE = 5.0
"""Seconds between two looks at age and memory, at the most."""
MEGABYTE = 1_000_000


class Wear:
    """See the module. It says once that the host is worn, which goes on as before.

    Args:
        terms: What the host goes by.
        tell: Called with the reason, once.
        warm: The pids of the host's processes that are warm: those whose memory counts.

    Attributes:
        installation: The Stoker that its agent runs.
    """

    def __init__(
        self, terms: HostTerms, tell: Callable[[str], None], warm: Callable[[], Collection[int]]
    ) -> None:
        self.installation = Installation()
        self.reason = ""
        self._terms = terms
        self._tell = tell
        self._warm = warm
        self._runs = 0
        self._since = linux.boot_time()
        self._memory: dict[int, int] = {}
        self._changed = asyncio.Event()

    def go_by(self, terms: HostTerms) -> None:
        """Judge by these terms from now on."""
        self._terms = terms
        self._changed.set()
        self._judge_runs()

    def took_run(self) -> None:
        """A run was given to a child."""
        self._runs += 1
        self._judge_runs()

    def _judge_runs(self) -> None:
        most = self._terms.max_runs
        if most is not None and self._runs >= most:
            self.say(f"it had {self._runs} runs, and max_runs is {most}")

    async def watch(self) -> None:
        """Look at age and memory, for ever."""
        while True:
            self.look()
            self._changed.clear()
            try:
                async with asyncio.timeout(self._pause()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _pause(self) -> float:
        if self._terms.max_age is None:
            return PACE
        left = self._since + self._terms.max_age - linux.boot_time()
        return min(PACE, left) if left > 0 else PACE

    def look(self) -> None:
        """Judge age, memory and installation now."""
        if self.installation.is_replaced():
            self.say(str(Replaced()))
        age, oldest = linux.boot_time() - self._since, self._terms.max_age
        if oldest is not None and age >= oldest:
            self.say(f"it is {age:.0f} s old, and max_age is {oldest:g} s")
        grown, most = self._growth() / MEGABYTE, self._terms.max_memory_growth
        if most is not None and grown >= most:
            self.say(
                f"its own processes have grown by {grown:.1f} MB, and max_memory_growth is {most:g}"
            )

    def _growth(self) -> int:
        """Bytes by which the processes have grown since each of them was seen warm first."""
        now = {pid: size for pid in self._warm() if (size := own_memory(pid)) is not None}
        self._memory = {pid: self._memory.get(pid, size) for pid, size in now.items()}
        return sum(size - self._memory[pid] for pid, size in now.items())

    def say(self, reason: str) -> None:
        """Ask to be replaced, if that was not done before."""
        if not self.reason:
            self.reason = reason
            self._tell(reason)


def own_memory(pid: int) -> int | None:
    """Bytes of a process's own data, resident or swapped; None where it is gone.

    Pages that it shares with its forks count in full: that its children come and go is no growth.
    https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    """
    try:
        with open(f"/proc/{pid}/status") as file:
            lines = [line.split() for line in file if line.startswith(("RssAnon:", "VmSwap:"))]
    except OSError:
        return None
    return sum(int(kilobytes) for _, kilobytes, _ in lines) * 1024
