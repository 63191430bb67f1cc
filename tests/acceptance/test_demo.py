"""The demo works in a small size, and leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "run.py"

Started = subprocess.Popen[str]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The demo's folder for temporary files; empty afterwards."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def demo(folder: Path) -> Iterator[Started]:
    """The demo, in a small size."""
    with subprocess.Popen(
        [sys.executable, str(DEMO), "--days", "40", "--cold", "2"],
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_demo(demo: Started) -> None:
    out, err = demo.communicate(timeout=100)
    assert demo.returncode == 0, out + err
    lines = [line.split() for line in out.splitlines()]
    starts = {line[0]: line[1:] for line in lines if line and line[0] in {"hot", "cold"}}
    assert starts["hot"][0] == "40"
    assert starts["cold"][0] == "2"
    for figures in starts.values():
        p50, p95, p99 = (float(text.replace(",", "")) for text in figures[1:])
        assert 0 < p50 <= p95 <= p99
    assert ["Seattle", "40"] in [line[:2] for line in lines]
    assert "runs/s" in out
    assert "The result is the same as that of one process" in out
    assert err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_stopped_in_the_middle(demo: Started, number: signal.Signals) -> None:
    assert demo.stdout is not None
    assert "runs at http://" in demo.stdout.readline()
    demo.send_signal(number)
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 130, out + err
    assert "Stopped" in out
    assert err == ""


def test_another_result_is_no_success(folder: Path, tmp_path: Path) -> None:
    """The demo compares: with another formula in one process it fails."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(DEMO.parent)!r})\n"
        "import flows\n"
        "flows.BASE = 70.0\n"
        "sys.argv = ['run.py', '--days', '2', '--cold', '1']\n"
        f"runpy.run_path({str(DEMO)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, str(wrong)],
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "differs" in done.stdout
