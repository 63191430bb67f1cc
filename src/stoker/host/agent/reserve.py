"""The reserve: how many children wait in each zygote, by how lately its code was used."""

from collections.abc import Iterable

from stoker.host import linux
from stoker.host.agent.zygote_link import ZygoteLink

LATELY = 600.0
"""Seconds for which a code counts as used after a run of it came."""
UNUSED = 2
"""Children that wait for a code that is only kept warm."""


class Reserve:
    """See the module.

    A child that waits costs some MB, and a host may hold many codes of which few are used.

    Args:
        slots: Runs that the host takes at a time: so many children wait for a code that is used.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots

    def use(self, zygote: ZygoteLink) -> None:
        """A run of its code has come."""
        zygote.used = linux.boot_time()

    def size(self, zygote: ZygoteLink) -> int:
        """How many children should wait for the next runs."""
        return self._slots if zygote.used is not None else min(UNUSED, self._slots)

    def shrink(self, zygotes: Iterable[ZygoteLink]) -> None:
        """Let children go that wait for codes which have not been used for long."""
        oldest = linux.boot_time() - LATELY
        for zygote in zygotes:
            if zygote.used is not None and zygote.used < oldest:
                zygote.used = None
                zygote.dismiss(len(zygote.waiting) - self.size(zygote))
