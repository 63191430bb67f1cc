"""A disk that can be full at once, and have room again."""

import os
import subprocess
from pathlib import Path

ROOM = 2048
"""MB that it may take of memory, at the most."""


class Disk:
    """A file system of its own, mounted on a folder, which goes with the harness's namespace.

    Args:
        path: The folder, which is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={ROOM}m,mode=755", "disk")

    def fill(self) -> None:
        """Make it as small as what is in it."""
        found = os.statvfs(self.path)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        self._mount("-o", f"remount,size={max(used, found.f_frsize)}")

    def free(self) -> None:
        """Give it room again."""
        self._mount("-o", f"remount,size={ROOM}m")

    def _mount(self, *arguments: str) -> None:
        # Something may be written while it is made small: then it is tried with what is there.
        subprocess.run(["mount", *arguments, str(self.path)], check=False, capture_output=True)
