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
from stoker.domain.reports import Finished
from stoker.testing import Arrival, Gate, Harness, harness, result_of
from stoker.testing.processes import Process, await_ends
from stoker.testing.spools import read_frames

PROJECT = Path(__file__).parent / "project"
WARM = WarmKnobs(min=1, max=1, slots_per_host=4)
FULL = "cannot be written: its disk is full; free some space there, and it goes on by itself"

MakeDisk = Callable[..., Any]

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
    with harness(home, warm=WARM) as stoker:
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


def spooled_ends(home: Path) -> set[str]:
    """The runs whose end a host of a home has on disk."""
    return {
        frame.run_id
        for spool in (home / "spool").iterdir()
        for frame in read_frames(spool)
        if isinstance(frame.reports[-1], Finished)
    }


def test_of_the_spool(tmp_path: Path, gate: Gate, disk: MakeDisk) -> None:
    home = tmp_path / "home"
    full = disk(home / "spool", 1)
    with harness(home, warm=WARM) as stoker:
        stoker.deploy(PROJECT / "flows.py")
        runs = begin(stoker, gate, tmp_path / "ledger", 4)
        first, second, third, fourth = runs
        children = {run_id: child(stoker, arrival) for run_id, arrival in runs.items()}
        assert stoker.server is not None

        def end(*run_ids: str) -> None:
            for run_id in run_ids:
                runs[run_id].release()
            assert await_ends([children[run_id] for run_id in run_ids], 10) == []

        full.fill()
        stoker.server.kill()
        end(first, second)
        assert spooled_ends(home) == set(), "the host has them in memory"
        full.free()
        until(lambda: spooled_ends(home) == {first, second}, "there is room, and they are on disk")
        full.fill()
        end(third)
        # The server is back before there is room.
        stoker.start_server()
        for run_id in (first, second, third):
            complete(stoker, run_id)
        end(fourth)
        complete(stoker, fourth)
        full.free()
        assert stoker.value("quick/test", {"n": 5}) == 5
    assert integrity(home) == "ok"


LOUD = """
import sys
from stoker import flow

print("loud " * 100_000, file=sys.stderr, flush=True)

@flow
def loud() -> int:
    return 1
"""


def test_of_the_logs_of_hosts(tmp_path: Path, disk: MakeDisk) -> None:
    home = tmp_path / "home"
    full = disk(home / "logs", 1)
    full.fill()
    (tmp_path / "loud.py").write_text(LOUD)
    with harness(home, warm=WARM) as stoker:
        stoker.deploy(tmp_path / "loud.py")
        assert stoker.value("loud/test") == 1
        (host,) = stoker.api.pool("default").hosts
        assert stoker.server is not None
        stoker.server.kill()
        (log,) = (home / "logs").glob("host-*.log")
        # It would tell of the server that is gone.
        assert log.stat().st_size == 0
        stoker.start_server()
        assert stoker.value("loud/test") == 1
        full.free()
        with (tmp_path / "loud.py").open("a") as file:
            file.write("print('again')\n")
        assert stoker.value("loud/test") == 1
        until(lambda: "loud loud" in log.read_text(), "there is room, and it is written again")
        assert [one.id for one in stoker.api.pool("default").hosts] == [host.id]
        (worker,) = stoker.workers
        assert worker.stop() == 0
        assert f"host {host.id}: it left" in worker.output(), "a full disk is no failed launch"


TEMPORARY = """
import os
import tempfile
from stoker import flow

@flow
def temporary(size: int) -> str:
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(size))
        file.flush()
    return tempfile.gettempdir()
"""


def test_of_temporary_files(tmp_path: Path, gate: Gate, disk: MakeDisk) -> None:
    home = tmp_path / "home"
    full = disk(home / "tmp", 2, 20)
    (tmp_path / "temporary.py").write_text(TEMPORARY)
    with harness(home, warm=WARM) as stoker:
        stoker.deploy(PROJECT / "flows.py")
        stoker.deploy(tmp_path / "temporary.py")
        neighbours = begin(stoker, gate, tmp_path / "ledger", 1)
        own = stoker.value("temporary/test", {"size": 1}, env={"TMPDIR": str(tmp_path)})
        assert own == str(tmp_path), "a run may say where"
        known = [one for one in stoker.processes() if "stoker.host" in one.command]
        agents = [one for one in known if "stoker.host.agent" in one.command]
        zygotes = [one for agent in agents for one in agent.children]
        assert len(zygotes) == 2
        full.fill()
        for _ in range(8):
            ended = stoker.run("temporary/test", {"size": 1_000_000})
            assert ended.state.name == "Failed"
            assert "No space left on device" in ended.state.message

        def has_no_folder() -> bool:
            # The folder of the run before makes room for one.
            full.fill()
            message = stoker.run("temporary/test", {"size": 1}).state.message
            return "its temporary folder cannot be made: No space left" in message

        until(has_no_folder, "a run says so that has not even a folder")
        full.free()
        until(
            lambda: stoker.run("temporary/test", {"size": 1}).state.name == "Completed",
            "there is room, and all is well",
        )
        for run_id, arrival in neighbours.items():
            arrival.release()
            complete(stoker, run_id)
        assert all(one.is_alive for one in [*agents, *zygotes])
