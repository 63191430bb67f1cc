"""A Postgres database in use is brought up to date, and whoever uses it goes on."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stoker.domain.errors import Unavailable
from stoker.storage.postgres import schema
from stoker.storage.postgres.dialect import steps
from stoker.storage.postgres.indexes import missing
from stoker.storage.postgres.maintenance import backup, restore
from stoker.storage.postgres.schema import prepare, version_of
from stoker.storage.postgres.store import PostgresStore

ADDS = """
ALTER TABLE flow_runs ADD COLUMN mood TEXT;
CREATE INDEX flow_runs_mood ON flow_runs (mood) WHERE mood IS NOT NULL;
"""


@pytest.fixture
def old(postgres_url: str) -> str:
    """A database with the schema of a Stoker of before."""
    prepare(postgres_url).close()
    return postgres_url


@pytest.fixture
def client(old: str) -> Iterator[Any]:
    """A connection of somebody else."""
    with psycopg.connect(old, autocommit=True) as connection:
        connection.execute("SET lock_timeout = 3000")
        yield connection


def test_what_is_new_has_all_indexes(old):
    with prepare(old) as connection:
        assert missing(connection, steps()) == []


def upgraded(url: str, done: threading.Event, errors: list[Exception]) -> threading.Thread:
    def run() -> None:
        try:
            PostgresStore(url).close()
        except Exception as error:
            errors.append(error)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def waits(client: Any, event: str, text: str) -> None:
    """Return once a statement waits for a lock."""
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = %s"
        " AND query LIKE %s AND datname = current_database()"
    )
    deadline = time.monotonic() + 20
    while not client.execute(query, (event, f"%{text}%")).fetchall():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_others_go_on_while_a_migration_waits_for_a_table(old, client, knows):
    knows(ADDS)
    done, errors = threading.Event(), []
    with psycopg.connect(old) as long:
        # A backup, or a server that is at work.
        long.execute("SELECT count(*) FROM flow_runs")
        thread = upgraded(old, done, errors)
        waits(client, "relation", "ADD COLUMN mood")
        for _ in range(3):
            client.execute("UPDATE flow_runs SET name = name")
        assert not done.is_set()
    thread.join(30)
    assert errors == []
    client.execute("SELECT mood FROM flow_runs")


def test_a_table_that_never_becomes_free_is_told(old, knows, monkeypatch):
    knows(ADDS)
    monkeypatch.setattr(schema, "TRIES", 2)
    monkeypatch.setattr(schema, "WAIT", 0.1)
    with psycopg.connect(old) as long:
        long.execute("SELECT count(*) FROM flow_runs")
        with pytest.raises(Unavailable, match="holds its tables for long; see pg_stat_activity"):
            prepare(old)
    with prepare(old) as connection:
        assert (version_of(connection) or (0, 0))[0] == len(steps())


def test_an_index_is_built_while_others_write(old, client, knows):
    knows(ADDS)
    done, errors = threading.Event(), []
    with psycopg.connect(old) as long:
        # A view of the database from before, as a backup has it.
        long.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        long.execute("SELECT count(*) FROM work_pools")
        thread = upgraded(old, done, errors)
        # It waits for what has begun before.
        waits(client, "virtualxid", "CREATE INDEX CONCURRENTLY flow_runs_mood")
        # A server that starts meanwhile waits for it, and does not keep it from going on.
        second = upgraded(old, threading.Event(), errors)
        client.execute("UPDATE flow_runs SET mood = 'good'")
        assert not done.is_set()
    thread.join(30)
    second.join(30)
    assert errors == []
    with prepare(old) as connection:
        assert missing(connection, steps()) == []


def test_an_index_whose_building_was_cut_off_is_built_anew(old, client, knows):
    knows(ADDS)
    prepare(old).close()
    client.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'flow_runs_mood'::regclass"
    )
    with prepare(old) as connection:
        assert missing(connection, steps()) == []
    client.execute("DROP INDEX flow_runs_mood")
    with prepare(old) as connection:
        assert missing(connection, steps()) == []


def test_a_backup_leaves_the_schema_as_it_is(old, knows, postgres_server, tmp_path):
    before = len(steps())
    knows(ADDS)
    backup(old, tmp_path / "backup.db")
    with psycopg.connect(old, autocommit=True) as connection:
        assert (version_of(connection) or (0, 0))[0] == before
    url = postgres_server.create_database()
    restore(url, tmp_path / "backup.db", force=False)
    with psycopg.connect(url, autocommit=True) as connection:
        assert (version_of(connection) or (0, 0))[0] == before + 1
        connection.execute("SELECT mood FROM flow_runs")


def test_a_backup_that_stands_still_is_ended_by_nobody(old, tmp_path, monkeypatch):
    """Neither for a lock that a server waits for, nor since its disk is slow."""
    from stoker.storage.postgres import connecting, maintenance, writer

    monkeypatch.setattr(writer, "LOCKED", 0)
    monkeypatch.setattr(connecting, "SETTINGS", b"SET idle_in_transaction_session_timeout = 300")
    store = PostgresStore(old)
    save, saved = maintenance._save, []

    def slowly(connection, target, table):
        if not saved:
            time.sleep(0.5)
            store._writer._end_stopped()
        saved.append(table)
        save(connection, target, table)

    monkeypatch.setattr(maintenance, "_save", slowly)
    try:
        backup(old, tmp_path / "backup.db")
    finally:
        store.close()
    assert len(saved) > 10
