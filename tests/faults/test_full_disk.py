"""A full disk: what cannot be stored is refused or kept, and all goes on once there is room."""

import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.errors import Unavailable
from stoker.domain.pools import WarmKnobs
from stoker.testing import Arrival, Gate, Harness, harness, result_of
from stoker.testing.processes import Process, await_ends

PROJECT = Path(__file__).parent / "project"
WARM = WarmKnobs(min=1, max=1, slots_per_host=4)
QUICK = {"heartbeat": 0.2, "lease": 3.0, "sweep": 0.2}
"""Settings by which a host that cannot renew its lease would be silent soon."""
LAPSE = 4.0
"""Seconds in which it lapses."""
FULL = "cannot be written: its disk is full; free some space there, and it goes on by itself"

MakeDisk = Callable[[Path, int], Any]

SCRIPT = """
from stoker import flow

@flow
def hello() -> int:
    return 1

hello()
"""


def elsewhere(home: Path, *names: str) -> None:
    """Put folders of a home on the disk that is beside it."""
    home.mkdir(exist_ok=True)
    for name in names:
        target = home.parent / f"{home.name}-{name}"
        target.mkdir()
        (home / name).symlink_to(target)


def begin(stoker: Harness, gate: Gate, ledger: Path, count: int) -> dict[str, Arrival]:
    """Start runs, and return them by id when they all stand at the gate."""
    parameters = {"gate": gate.path, "ledger": str(ledger)}
    for _ in range(count):
        stoker.start("work/test", parameters)
    return {arrival.note["run"]: arrival for arrival in gate.wait_for(count)}


def child(stoker: Harness, arrival: Arrival) -> Process:
    """The process of a run."""
    (found,) = [one for one in stoker.processes() if one.pid == arrival.pid]
    return found


def complete(stoker: Harness, run_id: str) -> None:
    """Check that a run completed once, in its first attempt, with its result and all its log."""
    run = stoker.wait(run_id)
    ends = [state.name for state in stoker.api.run_states(run_id) if state.is_terminal]
    assert ends == ["Completed"], run.state
    assert (result_of(run), run.attempt) == (run_id, 1)
    expected = ["before the gate", *(f"line {number}" for number in range(100))]
    assert [line.message for line in stoker.logs(run)] == expected


def until(reached: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Look until something is so; return what it is."""
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


class Submitter:
    """Submits runs all the time, and notes which were accepted and why others were not."""

    def __init__(self, stoker: Harness) -> None:
        self.accepted: list[str] = []
        self.refusals: list[str] = []
        self._stoker = stoker
        self.stop = threading.Event()

    def submit(self) -> None:
        """Go on until stopped."""
        while not self.stop.wait(0.01):
            try:
                run = self._stoker.start("quick/test", {"n": len(self.accepted)})
                self.accepted.append(run.id)
            except Unavailable as error:
                self.refusals.append(str(error))


@contextmanager
def submitting(stoker: Harness) -> Generator[Submitter]:
    """Submit runs meanwhile."""
    submitter = Submitter(stoker)
    thread = threading.Thread(target=submitter.submit)
    thread.start()
    try:
        yield submitter
    finally:
        submitter.stop.set()
        thread.join()


def integrity(home: Path) -> str:
    """What SQLite finds of a home's database."""
    with closing(sqlite3.connect(home / "stoker.db")) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with all else of the home"])
def test_of_the_database(tmp_path: Path, gate: Gate, disk: MakeDisk, alone: bool) -> None:
    home = tmp_path / "home"
    full = disk(home, 12)
    if alone:
        elsewhere(home, "spool", "logs", "tmp", "results")
    with harness(home, warm=WARM, settings=QUICK) as stoker:
        stoker.deploy(PROJECT / "flows.py")
        runs = begin(stoker, gate, tmp_path / "ledger", 2)
        children = [child(stoker, arrival) for arrival in runs.values()]
        hosts = stoker.api.pool("default").hosts
        with submitting(stoker) as submitter:
            until(lambda: len(submitter.accepted) > 20, "runs are accepted")
            full.fill()
            until(lambda: len(submitter.refusals) > 20, "runs are refused")
            # What ends now cannot be stored. It is kept where it is.
            for arrival in runs.values():
                arrival.release()
            if alone:
                assert await_ends(children, 10) == []
                time.sleep(LAPSE)  # No wait for a state: leases shall lapse meanwhile.
            assert set(submitter.refusals) == {f"the database {home}/stoker.db {FULL}"}
            # What is stored can be read.
            for run_id in runs:
                assert stoker.api.run(run_id).state.name == "Running"
                assert stoker.logs(run_id)[0].message == "before the gate"
            assert stoker.api.runs().runs
            assert [one.id for one in stoker.api.pool("default").hosts] == [hosts[0].id]
            before = len(submitter.accepted)
            full.free()
            until(lambda: len(submitter.accepted) > before + 20, "runs are accepted again")
        for run_id in runs:
            complete(stoker, run_id)
        for n, run_id in enumerate(submitter.accepted):
            ended = stoker.wait(run_id)
            assert (ended.state.name, ended.attempt, result_of(ended)) == ("Completed", 1, n)
        assert [one.id for one in stoker.api.pool("default").hosts] == [hosts[0].id]
        assert stoker.server is not None
        assert stoker.server.output().count("\n") < 20, "it is said once, not all the time"
    assert integrity(home) == "ok"


def test_a_command_says_so_in_one_line(tmp_path: Path, disk: MakeDisk) -> None:
    home = tmp_path / "home"
    full = disk(home, 4)
    elsewhere(home, "logs", "spool")
    with harness(home, pool=None) as stoker:
        stoker.create_pool("p")
        full.fill()
        said = f"the database {home}/stoker.db {FULL}"
        for arguments in (
            ["work-pool", "create", "q", "--type", "process"],
            ["work-pool", "pause", "p"],
        ):
            done = stoker.cli(*arguments, check=False)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == f"Error: {said}\n"
        assert "p" in stoker.cli("work-pool", "ls").stdout
        assert stoker.server is not None
        assert stoker.server.stop() == 0
        # Its last commit went from the log into the database, and the log away.
        full.fill()
        done = stoker.cli("server", "start", "--port", "0", check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"Error: STOKER_HOME {home} cannot be written: No space")
        done = stoker.python("-c", SCRIPT, check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].endswith(said)
        full.free()
        stoker.start_server()
        assert [one.pool.name for one in stoker.api.pools()] == ["p"]
        stoker.python("-c", SCRIPT)
    assert integrity(home) == "ok"
