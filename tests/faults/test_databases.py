"""The database under a running Stoker: killed, restarted, backed up, restored."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.errors import StokerError, Unavailable
from stoker.domain.pools import WarmKnobs
from stoker.domain.requests import StartRun
from stoker.domain.states import ACTIVE, StateType
from stoker.ports.store import Records, RunFilter
from stoker.storage.postgres.store import PostgresStore
from stoker.storage.sqlite.store import SqliteStore
from stoker.testing import Gate, Harness, harness
from stoker.testing.postgres import PostgresServer, postgres

PROJECT = Path(__file__).parent / "project"
WARM = WarmKnobs(min=1, max=1, slots_per_host=4)


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    """A server that syncs what it commits, and that tests break."""
    with postgres({}) as server:
        yield server


def written(ledger: Path) -> Counter[str]:
    """How often each run came to its end, by its own word."""
    return Counter(json.loads(line)[0] for line in ledger.read_text().splitlines())


def sound(records: Records) -> dict[str, StateType]:
    """Check what must hold of each run, and return their states."""
    runs = records.flow_runs(RunFilter(limit=10**6))
    for run in runs:
        states = records.states(run.id)
        assert sum(state.is_terminal for state in states) == run.state.is_terminal
        assert not states or states[-1] == run.state
        lease = records.lease(run.id)
        assert (lease is not None) == (run.state.type in ACTIVE), run
        assert lease is None or lease.attempt == run.attempt
        assert run.queued == (run.state.type is StateType.SCHEDULED)
    return {run.id: run.state.type for run in runs}


class Stream:
    """Runs that are started one after the other until it is stopped.

    Attributes:
        accepted: Ids of those that the server has accepted.
    """

    def __init__(self, stoker: Harness, ledger: Path) -> None:
        self.accepted: list[str] = []
        self.refused = 0
        self._stoker = stoker
        self._ledger = str(ledger)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._start_all)
        self._thread.start()

    def _start_all(self) -> None:
        number = 0
        while not self._stop.is_set() and number < 2000:
            number += 1
            request = StartRun(
                deployment="quick/test",
                parameters={"n": number, "ledger": self._ledger},
                idempotency_key=f"{self._ledger} {number}",
            )
            try:
                self.accepted.append(self._stoker.api.start_run(request).id)
            except StokerError:
                self.refused += 1
                self._stop.wait(0.05)

    def await_more(self, count: int) -> None:
        """Return when so many more were accepted."""
        wanted, deadline = len(self.accepted) + count, time.monotonic() + 40
        while len(self.accepted) < wanted:
            assert time.monotonic() < deadline, f"{len(self.accepted)} of {wanted} accepted"
            time.sleep(0.01)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


def test_runs_go_on_when_postgres_is_killed_and_restarted(own, tmp_path):
    ledger = tmp_path / "ledger"
    settings = {"database_url": own.create_database(), "heartbeat": 0.5, "lease": 30}
    with harness(tmp_path / "home", warm=WARM, settings=settings) as stoker:
        stoker.deploy(PROJECT / "flows.py")
        stream = Stream(stoker, ledger)
        try:
            stream.await_more(20)
            for number in range(2):
                own.kill() if number else own.stop()
                own.start()
                stream.await_more(20)
        finally:
            stream.stop()
        for run_id in stream.accepted:
            run = stoker.wait(run_id, 60)
            assert run.state.type is StateType.COMPLETED, run
        ended = written(ledger)
        assert {run_id: ended[run_id] for run_id in stream.accepted} == dict.fromkeys(
            stream.accepted, 1
        )
    store = PostgresStore(settings["database_url"])
    try:
        states = store.read(sound).result(30)
    finally:
        store.close()
    assert set(stream.accepted) <= states.keys()


def ask(stoker: Harness, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(stoker.url + path, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_server_lives_without_its_postgres_and_says_that_it_is_not_ready(own, tmp_path):
    def until(status: int) -> Any:
        deadline = time.monotonic() + 30
        while (found := ask(stoker, "/api/ready"))[0] != status:
            assert time.monotonic() < deadline, found
            assert ask(stoker, "/api/health")[0] == 200
        return found[1]

    settings = {"database_url": own.create_database()}
    with harness(tmp_path / "home", pool=None, settings=settings) as stoker:
        assert until(200) == {"ready": True, "problems": []}
        own.stop()
        try:
            problems = until(503)["problems"]
            assert "the database has taken no write for 3 s" in problems
            assert own.password not in str(problems)
            # What is asked meanwhile is refused in one line, and can be asked again.
            with pytest.raises(Unavailable, match="nothing listens there; start Postgres"):
                stoker.create_pool("p")
        finally:
            own.start()
        assert until(200) == {"ready": True, "problems": []}
        assert stoker.create_pool("p").name == "p"


@pytest.mark.parametrize(("kind", "into"), [("sqlite", "postgres"), ("postgres", "sqlite")])
def test_a_backup_under_load_is_sound_and_a_server_goes_on_from_it(own, tmp_path, kind, into):
    ledger, file = tmp_path / "ledger", tmp_path / "backup.db"
    url = own.create_database() if kind == "postgres" else ""
    with (
        harness(tmp_path / "home", warm=WARM, settings={"database_url": url}) as stoker,
        Gate() as gate,
    ):
        stoker.deploy(PROJECT / "flows.py")
        held = [
            stoker.start("work/test", {"gate": gate.path, "ledger": str(ledger)}).id
            for _ in range(2)
        ]
        gate.wait_for(2)
        stream = Stream(stoker, ledger)
        try:
            stream.await_more(20)
            done = len(stream.accepted)
            stoker.cli("database", "backup", str(file))
            assert (
                "server runs on" in stoker.cli("database", "restore", str(file), check=False).stderr
            )
        finally:
            stream.stop()
        before = stream.accepted[:done]
        gate.open()
    assert file.stat().st_mode & 0o777 == 0o600

    restored = own.create_database() if into == "postgres" else ""
    settings = {"database_url": restored, "lease": 5, "heartbeat": 0.5, "sweep": 0.5}
    second = Harness(tmp_path / "second", settings)
    try:
        second.cli("database", "restore", str(file))
        again = second.cli("database", "restore", str(file), check=False)
        assert "is not empty; --force replaces what is there" in again.stderr
        second.cli("database", "restore", str(file), "--force")
        store = PostgresStore(restored) if restored else SqliteStore(second.home / "stoker.db")
        try:
            states = store.read(sound).result(30)
            # Its lease has no end: on Postgres it would pass for alive, its worker for connected.
            assert store.read(lambda records: records.servers()).result(30) == []
        finally:
            store.close()
        assert set(before) <= states.keys()
        queued = [one for one, state in states.items() if state is StateType.SCHEDULED]
        checked = json.loads(second.cli("database", "check", "--json").stdout)
        assert (checked["problems"], checked["runs"]) == ([], len(states))
        second.start_server()
        second.start_worker()
        for run_id in queued:
            assert second.wait(run_id, 60).state.type is StateType.COMPLETED
        for run_id in held:
            assert second.wait(run_id, 60).state.type is StateType.CRASHED, "its host has ended"
        assert second.value("quick/test", {"n": 3}) == 3
    finally:
        second.close()
