"""Crash points: who reaches an armed one dies, once, and nobody else does."""

import signal
import subprocess
import sys
from pathlib import Path

REACH = "from stoker import crash_points as c; [c.crash_point('commit.before') for _ in '1234']"


def reach(folder: Path) -> int:
    """Start a program that passes a point four times; return how it ended."""
    environ = {"STOKER_CRASH_POINTS": str(folder)}
    return subprocess.run([sys.executable, "-c", REACH], env=environ, check=False).returncode


def test_a_point_that_is_armed(tmp_path: Path) -> None:
    assert reach(tmp_path) == 0
    (tmp_path / "commit.after").write_text("1")
    assert reach(tmp_path) == 0, "it is another one"
    (tmp_path / "commit.before").write_text("6")
    assert reach(tmp_path) == 0, "its turn has not come"
    assert reach(tmp_path) == -signal.SIGKILL
    assert reach(tmp_path) == 0, "it died once"
