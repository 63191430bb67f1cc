"""Whether the Stoker on disk is still the one that this process has loaded.

A zygote is a new interpreter: after an upgrade it would load another Stoker than its agent has, and
the two would not understand each other.
"""

import os
import sys
from pathlib import Path

import stoker


class Replaced(Exception):
    """The Stoker on disk is another one now."""

    def __init__(self) -> None:
        super().__init__("Stoker was upgraded, or its Python was")


class Installation:
    """The files of Stoker and of the interpreter, as they were when this was made.

    Args:
        package: Folder of the package; this one's by default.
    """

    def __init__(self, package: Path | None = None) -> None:
        folder = package or Path(stoker.__file__).parent
        self._files = [sys.executable, *map(str, sorted(folder.rglob("*.py")))]
        self._state = self._look()

    def is_replaced(self) -> bool:
        """Whether one of them is another now, or gone."""
        return self._look() != self._state

    def _look(self) -> int:
        return hash(tuple(map(_stamp, self._files)))


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
