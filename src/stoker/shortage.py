"""Errors that say that the system has no more of something now, and may have it again soon."""

import errno

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""No descriptor for this process or for all, no memory, no process."""


def is_shortage(error: BaseException) -> bool:
    """Whether what failed may work a little later.

    Example:
        >>> is_shortage(OSError(errno.EMFILE, "")), is_shortage(OSError(errno.ENOENT, ""))
        (True, False)
    """
    return isinstance(error, OSError) and error.errno in SHORTAGES
