"""Errors that say that the system has no more of something now, and may have it again soon."""

import errno
import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""No descriptor for this process or for all, no memory, no process."""
PAUSE = 0.2
"""Seconds until another try."""


def is_shortage(error: BaseException) -> bool:
    """Whether what failed may work a little later.

    Example:
        >>> is_shortage(OSError(errno.EMFILE, "")), is_shortage(OSError(errno.ENOENT, ""))
        (True, False)
    """
    return isinstance(error, OSError) and error.errno in SHORTAGES


def patiently(call: Callable[[], T], what: str) -> T:
    """Return what a call returns, which is tried again, without end, where something is short.

    Args:
        call: Is tried.
        what: What it cannot do then, for people: it is said once, on standard error.
    """
    said = False
    while True:
        try:
            return call()
        except OSError as error:
            if not is_shortage(error):
                raise
            if not said:
                sys.stderr.write(f"stoker: cannot {what}, trying again: {error}\n")
                sys.stderr.flush()
                said = True
        time.sleep(PAUSE)
