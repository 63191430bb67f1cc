"""The zygotes of a host: one for each code, the least recently wanted out first."""

import logging
from collections import OrderedDict
from collections.abc import Callable

from stoker.domain.deployments import Code
from stoker.host.agent.child_link import Listener
from stoker.host.agent.zygote_link import Keeper, Nest, ZygoteLink, ZygoteState

logger = logging.getLogger("stoker.host")

ZygoteKey = tuple[str, str]
"""The code's key, and the runner's name."""


class Zygotes:
    """See the module.

    Args:
        nest: What they have in common.
        bound: How many there may be, those left out of account that are retired.
        keeper: Who hears of their lives.
        listener: Who hears their children.
        is_wanted: Whether runs wait for a zygote.
    """

    def __init__(
        self,
        nest: Nest,
        bound: int,
        keeper: Keeper,
        listener: Listener,
        is_wanted: Callable[[ZygoteKey], bool],
    ) -> None:
        self._nest = nest
        self._bound = bound
        self._keeper = keeper
        self._listener = listener
        self._is_wanted = is_wanted
        self._current: OrderedDict[ZygoteKey, ZygoteLink] = OrderedDict()
        self._leaving: set[ZygoteLink] = set()

    def wanted(self, code: Code, runner: str) -> ZygoteLink:
        """Return the zygote of a code, started now if need be.

        Raises:
            OSError, ValueError: It cannot be started; see `ZygoteLink`.
        """
        key = (code.key, runner)
        zygote = self._current.get(key)
        if zygote is None:
            zygote = ZygoteLink(code, runner, self._nest, self._keeper, self._listener)
            self._current[key] = zygote
            self._make_room()
        self._current.move_to_end(key)
        return zygote

    def has(self, code: Code, runner: str) -> bool:
        """Whether there is one of a code that takes runs, or will."""
        return (code.key, runner) in self._current

    def _make_room(self) -> None:
        excess = len(self._current) - self._bound
        for key, zygote in list(self._current.items())[:-1]:
            if excess <= 0:
                return
            if not zygote.running and not self._is_wanted(key):
                self.retire(zygote)
                excess -= 1

    def retire(self, zygote: ZygoteLink) -> None:
        """Give a zygote no more runs."""
        self._drop(zygote)
        if zygote.state is not ZygoteState.GONE:
            self._leaving.add(zygote)
            zygote.retire()

    def gone(self, zygote: ZygoteLink) -> None:
        """Forget one that has ended."""
        self._drop(zygote)
        self._leaving.discard(zygote)

    def _drop(self, zygote: ZygoteLink) -> None:
        key = key_of(zygote)
        if self._current.get(key) is zygote:
            del self._current[key]

    def current(self) -> list[ZygoteLink]:
        """Those that take runs."""
        return list(self._current.values())

    def all(self) -> list[ZygoteLink]:
        """Those that take runs, and those that leave."""
        return [*self._current.values(), *self._leaving]


def key_of(zygote: ZygoteLink) -> ZygoteKey:
    """Return a zygote's key."""
    return zygote.code.key, zygote.runner
