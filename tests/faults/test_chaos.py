"""The chaos harness: what must hold does, it sees where it does not, and nothing outlives it.

A session that fails is repeated by ``python -m stoker.testing.chaos`` with the seed that it prints.
All sessions run at the same time: they wait most of the time.
"""

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stoker.testing.processes import await_ends, processes_of

FIXED = 20260
DATABASES = ["sqlite", "postgres"]
SEEDS = ["fixed seed", "fresh seed"]
pytestmark = pytest.mark.timeout(200)

HARNESS = [sys.executable, "-m", "stoker.testing.chaos", "--json"]
MUST_HOLD = ["--faults", "30", "--pace", "0.3"]
BROKEN = {
    "no-limits": "more executed at a time than a limit allows",
    "early-answers": "an acknowledged submission is gone",
    "lost-resumptions": "an acknowledged resumption is gone",
}
"""Rules that are broken on purpose, and what the checker says then."""

LONGEST = 180.0
"""Seconds that all sessions together get."""


class Session:
    """A session of the harness, which runs from now on."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        folder.mkdir()
        self._errors = (folder / "stderr").open("w+")
        command = [*HARNESS, "--folder", str(folder), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors)

    def outcome(self, deadline: float) -> "Outcome":
        """Wait for its end, and return what came of it."""
        printed, _ = self.process.communicate(timeout=max(0.1, deadline - time.monotonic()))
        self._errors.seek(0)
        said = self._errors.read()
        assert printed, said
        return Outcome(self.process.returncode, json.loads(printed), said, self.folder)

    def end(self) -> None:
        """End it, if it still runs, and all that it has started."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()


class Outcome(NamedTuple):
    """What came of a session."""

    code: int
    printed: dict[str, Any]
    said: str
    folder: Path


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """What came of all sessions."""
    folder = tmp_path_factory.mktemp("chaos")
    orders = {
        f"{database}, {seed}": [
            *("--db", database, *MUST_HOLD, "--seed"),
            str(secrets.randbelow(10**6) if seed == "fresh seed" else FIXED),
        ]
        for database in DATABASES
        for seed in SEEDS
    }
    broken = [word for rule in BROKEN for word in ("--break-rule", rule)]
    orders["broken"] = ["--faults", "3", "--pace", "2", "--seed", "1", *broken]
    deadline = time.monotonic() + LONGEST
    with ExitStack() as stack:
        sessions: dict[str, Session] = {}
        for number, (name, arguments) in enumerate(orders.items()):
            sessions[name] = Session(folder / str(number), *arguments)
            stack.callback(sessions[name].end)
        yield {name: session.outcome(deadline) for name, session in sessions.items()}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("database", DATABASES)
def test_what_must_hold(outcomes: dict[str, Outcome], database: str, seed: str) -> None:
    code, outcome, said, _ = outcomes[f"{database}, {seed}"]
    sys.stderr.write(said)
    assert outcome["violations"] == [], f"seed {outcome['seed']}"
    assert code == 0
    assert outcome["faults"] == 30
    ended = {state for states in outcome["states"].values() for state in states}
    assert {"COMPLETED", "FAILED", "CANCELLED"} <= ended, "it had something to do"


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_that_is_broken_is_found(outcomes: dict[str, Outcome], rule: str) -> None:
    code, outcome, said, folder = outcomes["broken"]
    sys.stderr.write(said)
    assert code == 1
    assert any(BROKEN[rule] in violation["rule"] for violation in outcome["violations"])
    assert (folder / "history.json").exists(), "it can be looked into"
    assert list((folder / "kept").rglob("stoker.db")), "the store, too"


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
