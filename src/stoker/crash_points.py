"""Named points at which a process can be made to die: before and after what must not get lost.

Tests of that arm a point by a file of its name, in the folder that `VARIABLE` named when the
process started. Without the variable a point costs one comparison.
"""

import os
import signal

VARIABLE = "STOKER_CRASH_POINTS"
"""Environment variable with a folder."""

POINTS = (
    "commit.before",
    "commit.after",
    "migration.before",
    "migration.after",
    "spool.before",
    "spool.after",
    "firing.before",
    "firing.after",
    "delivery.before",
    "delivery.after",
)
"""All of them: a commit of the store, of its schema, of a host's spool; firings; deliveries."""

_folder = os.environ.get(VARIABLE)


def crash_point(name: str) -> None:
    """Die here as by ``kill -9``, if the point is armed.

    Args:
        name: One of `POINTS`. Its file holds the number of times that the point is reached until
            somebody dies; it is removed then, so that only one does.

    Example:
        >>> crash_point("commit.before")
    """
    if _folder is not None:
        _reach(_folder, name)


def _reach(folder: str, name: str) -> None:
    path = f"{folder}/{name}"
    try:
        with open(path) as file:
            left = int(file.read())
        if left > 1:
            with open(path, "w") as file:
                file.write(str(left - 1))
            return
        os.unlink(path)
    except (OSError, ValueError):
        # It is not armed, or another process was here first.
        return
    os.kill(os.getpid(), signal.SIGKILL)
