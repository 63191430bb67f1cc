"""A wall clock for the processes under test, which can be set."""

import os
from pathlib import Path

SHIFTED = '''
"""Python imports this at its start: `time.time` is off by as many seconds as a file says."""
import time

def _shifted(real, unit):
    def now():
        try:
            with open({file!r}) as file:
                return real() + int(file.read()) * unit
        except (OSError, ValueError):
            return real()
    return now

time.time = _shifted(time.time, 1)
time.time_ns = _shifted(time.time_ns, 10**9)
'''


class WallClock:
    """The wall clock of the processes that are started with its environment.

    Args:
        folder: A folder for it, which is made.

    Attributes:
        environ: What shows it to a process.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "shift"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SHIFTED.format(file=str(self._file)))
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environ = {"PYTHONPATH": os.pathsep.join(paths)}

    def set(self, seconds: int) -> None:
        """Set it by so many seconds against the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)
