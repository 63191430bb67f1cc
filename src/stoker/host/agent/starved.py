"""Codes for whose zygote the system has no process, memory or descriptor now: tried again."""

import asyncio
import logging
from collections.abc import Callable

from stoker.host.agent.zygotes import ZygoteKey

logger = logging.getLogger("stoker.host")

PAUSE = 0.2
"""Seconds until another try."""


class Starved:
    """See the module. What is wrong is said once, until it is well again.

    Args:
        retry: Tries again to start the zygote of a code; it adds the code again where it fails.
    """

    def __init__(self, retry: Callable[[ZygoteKey], None]) -> None:
        self._retry = retry
        self._due: set[ZygoteKey] = set()
        self._said: set[ZygoteKey] = set()

    def add(self, key: ZygoteKey, file: str, error: BaseException) -> None:
        """Try again later.

        Args:
            key: The code.
            file: Its file, for people.
            error: What was in the way.
        """
        if key in self._due:
            return
        self._due.add(key)
        if key not in self._said:
            self._said.add(key)
            logger.warning("cannot start a process for %s, trying again: %s", file, error)
        asyncio.get_running_loop().call_later(PAUSE, self._again, key, file)

    def _again(self, key: ZygoteKey, file: str) -> None:
        self._due.discard(key)
        self._retry(key)
        if key not in self._due:
            self._said.discard(key)
            logger.info("the process for %s is started", file)
