"""The Postgres server of the tests: whose it is, how it ends, what it keeps."""

import os
import subprocess
import sys
from contextlib import suppress

import psycopg
import pytest

from stoker.process_identity import start_time
from stoker.testing import postgres as module
from stoker.testing.postgres import PostgresServer, postgres
from stoker.testing.processes import Process, await_ends

STARTER = """
import sys
from stoker.testing.postgres import postgres
with postgres() as server:
    print(*(process.pid for process in server.processes()), flush=True)
    sys.stdin.read()
"""


def test_a_database_of_its_own_is_empty_and_asks_for_a_password(postgres_server, postgres_url):
    name = postgres_url.rpartition("/")[2]
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert postgres_server.execute(tables, name) == [(0,)]
    wrong = postgres_url.replace(postgres_server.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_it_listens_on_loopback_alone_and_is_no_roots(postgres_server):
    assert postgres_server.execute("SHOW listen_addresses") == [("127.0.0.1",)]
    assert postgres_server.execute("SHOW unix_socket_directories") == [("",)]
    (version,) = postgres_server.execute("SHOW server_version_num")[0]
    assert int(version) >= 15_00_00
    owners: list[int] = []
    for process in postgres_server.processes():
        # Some of its processes come and go by themselves.
        with suppress(FileNotFoundError):
            owners.append(os.stat(f"/proc/{process.pid}").st_uid)
    assert owners
    assert 0 not in owners


def test_it_ends_with_the_process_that_started_it():
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout
        pids = [int(pid) for pid in starter.stdout.readline().split()]
        found = [Process(pid, start_time(pid) or 0, "postgres") for pid in pids]
        assert len(found) > 3
        assert all(process.is_alive for process in found)
        starter.kill()
    assert not await_ends(found, 10)


def test_what_it_has_committed_is_there_after_a_kill(tmp_path_factory):
    with postgres({}) as server:
        url = server.create_database("kept")
        server.execute("CREATE TABLE kept (x int)", "kept")
        server.execute("INSERT INTO kept VALUES (7)", "kept")
        assert server.execute("SHOW fsync") == [("on",)]
        ended = server.processes()
        server.kill()
        assert not [process for process in ended if process.is_alive]
        server.start()
        assert server.url("kept") == url, "on the same port"
        assert server.execute("SELECT x FROM kept", "kept") == [(7,)]
        server.restart()
        assert server.execute("SELECT x FROM kept", "kept") == [(7,)]


def test_without_a_server_on_the_machine_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_folders", list)
    with pytest.raises(RuntimeError, match=r"version 15 or newer: run `make setup`, or install"):
        PostgresServer(tmp_path / "server")


def test_one_that_is_too_old_is_none(monkeypatch, tmp_path):
    for name in ("postgres", "initdb"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.11 (Debian 14.11-1)'\n")
        program.chmod(0o755)
    monkeypatch.setattr(module, "_folders", lambda: [tmp_path])
    with pytest.raises(RuntimeError, match="version 15 or newer"):
        module.programs()
