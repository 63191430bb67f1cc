"""The chaos harness: what must hold does, it sees where it does not, and nothing outlives it.

A session that fails is repeated by ``python -m stoker.testing.chaos`` with the seed that it prints.
"""

import json
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stoker.testing.processes import await_ends, processes_of

FIXED = 20260
HARNESS = [sys.executable, "-m", "stoker.testing.chaos", "--json"]


def chaos(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a session; return its exit code and what it printed."""
    command = [*HARNESS, "--folder", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=115, check=False)
    sys.stderr.write(done.stderr)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("fresh", [False, True], ids=["fixed seed", "fresh seed"])
@pytest.mark.parametrize("database", ["sqlite"])
def test_what_must_hold(tmp_path: Path, database: str, fresh: bool) -> None:
    seed = secrets.randbelow(10**6) if fresh else FIXED
    arguments = ["--db", database, "--faults", "30", "--pace", "0.5", "--seed", str(seed)]
    code, outcome = chaos(tmp_path, *arguments)
    assert outcome["violations"] == [], f"seed {seed}"
    assert code == 0
    assert outcome["faults"] == 30
    assert outcome["seed"] == seed
    ended = {state for states in outcome["states"].values() for state in states}
    assert {"COMPLETED", "FAILED", "CANCELLED"} <= ended, "it had something to do"


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("no-limits", "more executed at a time than a limit allows"),
        ("early-answers", "is gone"),
    ],
)
def test_a_rule_that_is_broken_is_found(tmp_path: Path, rule: str, found: str) -> None:
    arguments = ["--faults", "3", "--pace", "1", "--seed", "1", "--break-rule", rule]
    code, outcome = chaos(tmp_path, *arguments)
    assert code == 1
    assert any(found in violation["rule"] for violation in outcome["violations"])
    assert (tmp_path / "history.json").exists(), "it can be looked into"
    assert list((tmp_path / "kept").rglob("stoker.db")), "the store, too"


def test_nothing_outlives_it(tmp_path: Path) -> None:
    command = [*HARNESS, "--folder", str(tmp_path), "--faults", "100", "--seed", "1"]
    harness = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    home = tmp_path / "disk" / "home"
    try:
        deadline = time.monotonic() + 60
        while not any("stoker.host.zygote" in one.command for one in processes_of(home)):
            assert time.monotonic() < deadline
            assert harness.poll() is None
            time.sleep(0.05)
        known = processes_of(home)
    finally:
        harness.send_signal(signal.SIGKILL)
        harness.wait()
    assert len(known) > 4
    assert await_ends(known, 10) == []
    assert processes_of(home) == []
