"""What the embedded store promises beyond the contract: durability, versions, query plans."""

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from stoker.domain.errors import Conflict, Unavailable
from stoker.domain.states import StateType
from stoker.ports.store import RunFilter
from stoker.storage.queries import migrations, queries
from stoker.storage.sqlite import schema
from stoker.storage.sqlite.store import SqliteStore

WRITER = """
import sys
from pathlib import Path
from stoker.domain.ids import new_id
from stoker.domain.leases import Lease
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import Transition
from stoker.storage.sqlite.store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
at = 1.0

def write(run_id):
    def work(records):
        scheduled = StateRecord(StateType.SCHEDULED, "Scheduled", at)
        run = FlowRun(id=run_id, name="n", flow_name="f", state=scheduled)
        records.insert_runs([run], [None])
        lease = Lease(run_id=run_id, attempt=1, pool="p", queue="q", worker_id="w", host_id="h")
        records.put_lease(lease)
        pending = StateRecord(StateType.PENDING, "Pending", at)
        change = Transition(run_id=run_id, version=0, state=pending, attempt=1, run_count=0)
        assert records.apply([change]) == [True]
        return run_id
    return store.write(work)

while True:
    for future in [write(new_id(at)) for _ in range(20)]:
        print(future.result(), flush=True)
"""


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    path = tmp_path / "stoker.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        try:
            printed = [line.strip() for line in itertools.islice(writer.stdout, 500)]
        finally:
            os.kill(writer.pid, signal.SIGKILL)
        printed += [line.strip() for line in writer.stdout if line.endswith("\n")]
    assert len(printed) >= 500
    store = SqliteStore(path)
    try:
        found = store.read(lambda records: records.flow_runs(RunFilter(limit=10**6))).result(10)
        leases = store.read(lambda records: records.leases_of("h")).result(10)
    finally:
        store.close()
    runs = {run.id: run for run in found}
    assert set(printed) <= runs.keys()
    assert {run.state.type for run in found} == {StateType.PENDING}, "no half of a transaction"
    assert {lease.run_id for lease in leases} == runs.keys()


def test_commits_are_synced_by_default(tmp_path):
    store = SqliteStore(tmp_path / "stoker.db")
    try:
        (level,) = store._writer.execute("PRAGMA synchronous").fetchone()
        (mode,) = store._writer.execute("PRAGMA journal_mode").fetchone()
    finally:
        store.close()
    assert (level, mode) == (2, "wal")


def test_a_database_of_a_newer_stoker_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "stoker.db"
    SqliteStore(path).close()
    newer = len(migrations()) + 1
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    connection.close()
    with pytest.raises(Conflict, match=r"a newer Stoker wrote it. Upgrade Stoker, or set STOKER_H"):
        SqliteStore(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (newer,)
    connection.close()


def test_opening_again_changes_nothing(tmp_path):
    path = tmp_path / "stoker.db"
    SqliteStore(path).close()

    def schema_of() -> list[tuple]:
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
        connection.close()
        return found

    before = schema_of()
    SqliteStore(path).close()
    assert schema_of() == before


def test_two_openers_at_once_prepare_one_schema(tmp_path):
    """Scripts and a server may meet a fresh home at the same time."""
    code = "import sys; from pathlib import Path; from stoker.storage.sqlite.store import *; "
    code += "SqliteStore(Path(sys.argv[1])).close()"
    command = [sys.executable, "-c", code, str(tmp_path / "stoker.db")]
    openers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for opener in openers:
        _, errors = opener.communicate(timeout=60)
        assert (opener.returncode, errors) == (0, "")


def test_an_opener_waits_for_another_that_is_about_to_turn_on_write_ahead_logging(tmp_path):
    path = tmp_path / "stoker.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(SqliteStore, path)
        with pytest.raises(TimeoutError):
            opening.result(0.2)
        other.execute("ROLLBACK")
        opening.result(30).close()


@pytest.mark.parametrize("content", [b"this is no database at all, just some text" * 20, None])
def test_what_is_no_database_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / "stoker.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(Unavailable, match=f"the database {path} cannot be opened"):
        SqliteStore(path)


def test_a_network_file_system_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(schema.refuse_network, "__defaults__", (lambda _: "nfs4",))
    with pytest.raises(Unavailable, match="set STOKER_HOME to a folder on a disk of this machine"):
        SqliteStore(tmp_path / "stoker.db")
    assert list(tmp_path.iterdir()) == []


# Query plans

HOT = [
    "flow_run",
    "runs_of_keys",
    "queued",
    "queued_counts",
    "queued_nested",
    "open_groups",
    "first_of_group",
    "claimable_counts",
    "count_group",
    "queued_of_deployment",
    "deployment_use",
    "unblock_freed",
    "note_run",
    "promote",
    "next_due",
    "mark_late",
    "overdue_pauses",
    "next_overdue",
    "pause",
    "end_pauses",
    "drop_pauses",
    "end_task_runs",
    "open_subflows",
    "open_runs_of_script",
    "change_run",
    "touch_run",
    "states",
    "task_runs",
    "logs",
    "lease",
    "leases_of",
    "usage",
    "lenders",
    "waiting_leases",
    "borrowers",
    "inherit_keys",
    "drop_lease",
    "move_leases",
    "waiters",
    "waits_of",
    "held_waits",
    "drop_waits_of",
    "deployment",
    "deployments",
    "host",
    "renew_host",
    "schedule",
    "schedules_of",
    "schedules_due",
    "next_schedule",
    "backfills_running",
    "open_occurrences",
    "queued_occurrences",
]
LARGE = ("flow_runs", "run_states", "task_runs", "logs", "leases", "schedules")
"""Tables that grow; the others hold a few rows."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A database with statistics of no use: plans must not depend on ``ANALYZE``."""
    path = tmp_path_factory.mktemp("plans") / "stoker.db"
    connection = schema.prepare(path, synchronous="OFF")
    yield connection
    connection.close()


@pytest.mark.parametrize("name", HOT)
def test_a_hot_query_reads_no_large_table_from_end_to_end(filled, name):
    statement = queries()[name]
    named = dict.fromkeys(_names(statement), "1")
    values = named or ["1"] * _number_of_values(statement)
    plan = [row[3] for row in filled.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert plan
    scans = [step for step in plan if step.startswith("SCAN") and _table(step, statement) in LARGE]
    assert not scans, json.dumps(plan, indent=2)
    ordered = {"first_of_group", "logs", "states", "task_runs", "schedules_of", "schedules_due"}
    if name in ordered:
        assert not [step for step in plan if "TEMP B-TREE" in step], "the index has the order"


LISTS = {
    "flow_runs": "SEARCH flow_runs USING INDEX sqlite_autoindex_flow_runs_1 (id<?)",
    "flow_runs_of_deployment": (
        "SEARCH flow_runs USING INDEX flow_runs_of_deployment (deployment=? AND id<?)"
    ),
    "flow_runs_of_parent": "SEARCH flow_runs USING INDEX flow_runs_parent (parent_run_id=?)",
}
"""How each list of runs finds its first one."""


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_runs_reads_no_more_than_it_shows(filled, name):
    statement = queries()[name]
    values = dict.fromkeys(_names(statement), "1")
    plan = [row[3] for row in filled.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert plan[0] == LISTS[name]
    if name != "flow_runs_of_parent":
        assert not [step for step in plan if "TEMP B-TREE" in step], "the index has the order"


def _names(statement: str) -> list[str]:
    words = statement.replace(",", " ").replace("(", " ").replace(")", " ").split()
    return [word[1:] for word in words if word.startswith(":")]


def _number_of_values(statement: str) -> int:
    numbered = [int(part[0]) for part in statement.split("?")[1:] if part[:1].isdigit()]
    return max(numbered) if numbered else statement.count("?")


def _table(step: str, statement: str) -> str:
    """The table of a step of a plan; an alias counts as the table that it stands for."""
    name = step.split()[1]
    words = statement.split()
    for table, word, alias in zip(words, words[1:], words[2:], strict=False):
        if word.upper() == "AS" and alias.strip(")") == name:
            return table
    return name


def test_every_query_of_the_store_is_used_and_says_what_it_is_for():
    storage = Path(schema.__file__).parents[1]
    source = "".join(file.read_text() for file in sorted((storage / "records").glob("*.py")))
    folder = storage / "sql"
    for name in queries():
        assert f'"{name}"' in source, f"{name}.sql is used by nothing"
        assert (folder / f"{name}.sql").read_text().startswith("-- "), name


class Broken:
    """A connection that can neither commit nor roll back."""

    in_transaction = True

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real = real

    def execute(self, sql: str, *values):
        if sql in ("COMMIT", "ROLLBACK"):
            raise sqlite3.OperationalError("disk I/O error")
        return self._real.execute(sql, *values)

    def close(self) -> None:
        self._real.close()


def test_a_rollback_that_fails_does_not_end_all_writing(tmp_path, monkeypatch):
    store = SqliteStore(tmp_path / "stoker.db", synchronous="OFF")
    try:
        monkeypatch.setattr(store, "_writer", Broken(store._writer))
        with pytest.raises(Unavailable, match="disk I/O error"):
            store.write(lambda records: None).result(10)
        assert store.write(lambda records: records.pools()).result(10) == []
    finally:
        store.close()
