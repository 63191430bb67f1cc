"""Upgrades while runs are in flight: of a project, of its packages, of Stoker and its schema."""

import json
import shutil
import threading
from collections import Counter
from pathlib import Path

import pytest

import stoker as installed
from stoker.domain.anatomy import StartClass
from stoker.domain.pools import WarmKnobs
from stoker.testing import Arrival, Gate, Harness, harness, result_of
from stoker.testing.postgres import PostgresServer

PROJECT = Path(__file__).parent / "project"
RUNS = 50
FULL = WarmKnobs(min=1, max=3, slots_per_host=RUNS // 2)
"""Two hosts have the runs, and a third all others."""
ROOM = WarmKnobs(min=1, max=3, slots_per_host=RUNS // 2 + 1)
"""Two hosts have the runs, and could take others."""

FLOWS = """
import lines
import greeting
from stoker import flow
from stoker.runtime import flow_run
from stoker.testing import arrive

NUMBER = {number}

@flow
def report(gate: str | None = None) -> list[int]:
    if gate is not None:
        arrive(gate, {{"run": flow_run.id}})
    return [NUMBER, lines.NUMBER, greeting.VERSION]
"""


def install(packages: Path, version: int) -> None:
    """Put a version of a package in the place of another, as installers do."""
    for old in packages.glob("greeting-*.dist-info"):
        shutil.rmtree(old)
    shutil.rmtree(packages / "greeting", ignore_errors=True)
    (packages / "greeting").mkdir(parents=True)
    (packages / "greeting" / "__init__.py").write_text(f"VERSION = {version}\n")
    info = packages / f"greeting-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: greeting\nVersion: {version}\n")


def begin(stoker: Harness, gate: Gate, deployment: str, **more: str) -> dict[str, Arrival]:
    """Start the runs, and return them by id when they all stand at the gate."""
    for _ in range(RUNS):
        stoker.start(deployment, {"gate": gate.path, **more})
    return {arrival.note["run"]: arrival for arrival in gate.wait_for(RUNS)}


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of installed packages."""
    folder = tmp_path / "lib" / "site-packages"
    install(folder, 1)
    return folder


def test_of_a_project_and_of_its_packages(tmp_path: Path, packages: Path, gate: Gate) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "flows.py").write_text(FLOWS.format(number=1))
    (project / "lines.py").write_text("NUMBER = 1\n")
    environ = {"PYTHONPATH": str(packages)}
    with harness(tmp_path / "home", warm=FULL, environ=environ) as stoker:
        stoker.deploy(project / "flows.py")
        runs = begin(stoker, gate, "report/test")

        install(packages, 2)
        assert stoker.value("report/test") == [1, 1, 2]
        (project / "lines.py").write_text("NUMBER = 2\n")
        assert stoker.value("report/test") == [1, 2, 2]
        (project / "flows.py").write_text(FLOWS.format(number=2))
        install(packages, 3)
        assert stoker.value("report/test") == [2, 2, 3]
        (packages / "more.pth").write_text("# installed\n")
        assert stoker.run("report/test").anatomy.start_class is StartClass.WARM
        (packages / "more.pth").write_text("# edited in place\n")
        assert stoker.run("report/test").anatomy.start_class is StartClass.WARM
        assert stoker.run("report/test").anatomy.start_class is StartClass.HOT

        gate.open()
        for run_id in runs:
            run = stoker.wait(run_id)
            assert (run.state.name, run.attempt) == ("Completed", 1)
            assert result_of(run) == [1, 1, 1], "it goes on with what it was started with"
        assert {host.worn for host in stoker.api.pool("default").hosts} == {""}


NOTE = """
import json, os
def note(ledger, entry):
    handle = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, json.dumps(entry).encode() + b"\\n")
"""

LEDGER = """
from stoker import flow
from stoker.runtime import flow_run
from stoker.testing import arrive
from project_ledger import note

@flow
def work(gate: str, ledger: str) -> str:
    arrive(gate, {"run": flow_run.id})
    note(ledger, flow_run.id)
    return flow_run.id
"""

OTHER = """
import stoker
from stoker import flow

@flow
def other() -> str:
    return stoker.__version__
"""


class Installed:
    """A Stoker in a folder of its own, which all processes of a test import."""

    def __init__(self, folder: Path) -> None:
        self._package = folder / "stoker"
        shutil.copytree(Path(installed.__file__).parent, self._package)
        self.environ = {"PYTHONPATH": str(folder)}

    def upgrade(self, *, wire: bool) -> None:
        """Put another version in its place: its agents and zygotes speak differently.

        Args:
            wire: Whether its hosts and servers do, too.
        """
        self._replace("__init__.py", '__version__ = "', '__version__ = "99.')
        self._replace("host/control.py", "tag=True", "tag=str.upper")
        if wire:
            self._replace("wire/versions.py", "WIRE_VERSION = 1", "WIRE_VERSION = 2")
            self._replace("wire/versions.py", "OLDEST_VERSION = 1", "OLDEST_VERSION = 2")

    def migrate(self, text: str) -> None:
        """Have it know one migration more."""
        (self._package / "storage" / "sql" / "migrations" / "9999_next.sql").write_text(text)

    def _replace(self, file: str, old: str, new: str) -> None:
        path = self._package / file
        text = path.read_text()
        assert old in text
        path.unlink()
        path.write_text(text.replace(old, new))


@pytest.mark.parametrize("wire", [False, True], ids=["of the host", "of the wire"])
def test_of_stoker(tmp_path: Path, gate: Gate, wire: bool) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "work.py").write_text(LEDGER.replace("from project_ledger import note", NOTE))
    (project / "other.py").write_text(OTHER)
    ledger = tmp_path / "ledger"
    library = Installed(tmp_path / "lib")
    settings = {"shutdown_grace": 60}
    with harness(
        tmp_path / "home", warm=ROOM, settings=settings, environ=library.environ
    ) as stoker:
        stoker.deploy(project / "work.py")
        runs = begin(stoker, gate, "work/test", ledger=str(ledger))
        old = {host.id for host in stoker.api.pool("default").hosts}
        library.upgrade(wire=wire)
        # Its old hosts cannot import another code any more. Who can may be there only later.
        stoker.deploy(project / "other.py")
        waiting = stoker.start("other/test")
        if not wire:
            assert result_of(stoker.wait(waiting)).startswith("99.")

        # What the guide says: the server, then another worker, then the old one leaves.
        assert stoker.server is not None
        assert stoker.server.stop() == 0
        stoker.start_server()
        (before,) = stoker.workers
        stoker.start_worker()
        if before.running:
            before.process.terminate()
        assert result_of(stoker.wait(waiting)).startswith("99.")
        assert stoker.value("other/test").startswith("99.")

        for arrival in runs.values():
            arrival.release()
        for run_id in runs:
            run = stoker.wait(run_id, 60)
            assert (run.state.name, run.attempt) == ("Completed", 1), run.state
            assert result_of(run) == run_id
        assert Counter(map(json.loads, ledger.read_text().splitlines())) == Counter(list(runs))
        gate.open()
        run = stoker.run("work/test", {"gate": gate.path, "ledger": str(ledger)})
        assert run.state.name == "Completed"
        present = {host.id for host in stoker.api.pool("default").hosts if host.is_present}
        assert present
        assert not present & old


NEXT = """
ALTER TABLE flow_runs ADD COLUMN mood TEXT;
ALTER TABLE hosts ADD COLUMN mood TEXT NOT NULL DEFAULT 'good';
CREATE TABLE moods (name TEXT PRIMARY KEY) STRICT;
CREATE INDEX flow_runs_mood ON flow_runs (mood, id);
"""


def test_of_the_schema_while_a_server_of_before_serves(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    def schema() -> int:
        database = postgres_url.rpartition("/")[2]
        return postgres_server.execute("SELECT max(version) FROM schema_migrations", database)[0][0]

    library = Installed(tmp_path / "lib")
    library.upgrade(wire=False)
    library.migrate(NEXT)
    settings = {"database_url": postgres_url}
    old = Harness(tmp_path / "old", settings)
    new = Harness(tmp_path / "new", settings, library.environ)
    stop, values = threading.Event(), list[int]()

    def serve_on() -> None:
        while not stop.is_set():
            values.append(old.value("quick/test", {"n": len(values)}))

    try:
        old.start_server()
        before = schema()
        old.create_pool("default")
        old.start_worker()
        old.deploy(PROJECT / "spread.py", "quick")
        stream = threading.Thread(target=serve_on)
        stream.start()
        try:
            new.start_server()
            assert schema() == before + 1
            assert new.api.health().version.startswith("99.")
            served = len(values)
            # Posted to the new one, executed on a host that is with the old one.
            for n in range(5):
                assert new.value("quick/test", {"n": n}) == n
        finally:
            stop.set()
            stream.join(60)
        assert values == list(range(len(values)))
        assert len(values) > served > 0, "it served before, meanwhile, and afterwards"
        # One of before may start again, and finds what the new one wrote.
        assert old.server is not None
        assert old.server.stop() == 0
        old.start_server()
        assert old.value("quick/test", {"n": 7}) == 7
        assert schema() == before + 1
    finally:
        old.close()
        new.close()
