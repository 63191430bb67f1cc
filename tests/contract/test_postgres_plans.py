"""Query plans on Postgres: with many rows no hot query reads a large table whole."""

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stoker.storage.postgres.dialect import statements
from stoker.storage.postgres.lines import PLANS
from stoker.storage.postgres.schema import prepare
from stoker.storage.queries import queries
from stoker.testing.postgres import PostgresServer

ROWS = 20_000
LARGE = {"flow_runs", "run_states", "task_runs", "logs", "leases", "claim_groups"}
"""Tables that are filled here; the others hold a few rows."""

FILL = f"""
INSERT INTO flow_runs (id, name, flow_name, state_type, state_name, state_at, state_message,
    version, attempt, run_count, parameters, tags, deployment, deployment_id, parent_run_id, pool,
    queue, lane, job_variables, created, started, ended, host_id, anatomy, idempotency_key, due,
    queued, schedule_id, instant)
SELECT 'r' || n, 'n', 'f' || n % 50,
    (ARRAY['SCHEDULED', 'RUNNING', 'COMPLETED', 'COMPLETED', 'FAILED'])[n % 5 + 1], 's', n, '', 0,
    1, 1, '{{}}', '[]', 'f/d' || n % 200, 'd' || n % 200, 'r' || n / 2, 'p' || n % 10,
    'q', 'l' || n % 3, '{{}}', n, n, CASE WHEN n % 5 > 1 THEN n END, 'h' || n % 500, '{{}}',
    'k' || n, n,
    CASE WHEN n % 5 = 0 THEN 1 ELSE 0 END, 's' || n % 100, n
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO run_states (run_id, version, type, name, at, message)
SELECT 'r' || n, v, 'RUNNING', 's', n, ''
FROM generate_series(1, {ROWS}) AS n, generate_series(1, 3) AS v;
INSERT INTO task_runs (id, flow_run_id, task_name, name, state_type, state_name, state_at,
    state_message, run_count)
SELECT 't' || n, 'r' || n % 2000, 't', 't', 'COMPLETED', 's', n, '', 1
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO logs (run_id, at, level, logger, message)
SELECT 'r' || n % 500, n, 20, 'l', 'm' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO leases (run_id, attempt, pool, queue, worker_id, host_id, deployment_id)
SELECT 'r' || n, 1, 'p' || n % 100, 'q', 'w', 'h' || n % 500, 'd' || n % 200
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO claim_groups (pool, lane, queue, deployment_id, due, head)
SELECT 'p' || n % 100, 'l' || n % 3, 'q', 'd' || n, n, 'r' || n FROM generate_series(1, 6000) AS n;
ANALYZE;
"""

ARGUMENTS: dict[str, list[Any] | dict[str, Any]] = {
    # The claim.
    "open_groups": ["p1", "l1", "q", 0.0, "", 20],
    "first_of_group": ["p5", "q", "l1", "d5", 10],
    "count_group": ["p5", "q", "l1", "d5", 10],
    "queued": ["p5", "q", "l1", 10],
    "queued_of_deployment": ["d5", 10],
    "deployment_use": ["d5"],
    "usage": ["p5"],
    "lease": ["r5"],
    "lenders": ["r5"],
    "borrowers": {"run": "r5"},
    "note_run": {"run": "r5"},
    "block_group": ["p1", "l1", "q", "d1"],
    "drop_group": ["p1", "l1", "q", "d1", 0],
    "move_group": [1.0, "r1", "p1", "l1", "q", "d1", 0],
    # Changes of state.
    "flow_run": ["r5"],
    "runs_of_keys": ['["k5"]', "d5"],
    "drop_lease": {"run": "r5"},
    "unblock_freed": {"run": "r5"},
    "inherit_keys": {"run": "r5"},
    # The sweep.
    "leases_of": ["h5"],
    "move_leases": {"host": "h5", "worker": "w"},
    "open_runs_of_script": ["h5"],
    "open_subflows": ['["r5"]'],
    # The schedule.
    "promote": [1.0],
    "next_due": [],
    "shelved_runs": {"deployment": "d5"},
    "open_occurrences": ["s5"],
    "queued_occurrences": ["s5"],
    # The lists.
    "states": ["r5"],
    "task_runs": ["r5"],
    "logs": ["r5", 0, 100],
}
"""Hot queries, with values as they come."""

ALL = {
    "before": None,
    "states": None,
    "deployment": None,
    "flow": None,
    "pool": None,
    "parent": None,
}

LISTS: list[tuple[str, dict[str, Any]]] = [
    ("flow_runs", {}),
    ("flow_runs", {"before": "r5"}),
    ("flow_runs", {"states": '["RUNNING"]'}),
    ("flow_runs", {"pool": "p5"}),
    ("flow_runs_of_deployment", {"deployment": "f/d5"}),
    ("flow_runs_of_deployment", {"deployment": "f/d5", "before": "r5"}),
    ("flow_runs_of_parent", {"parent": "r5"}),
]
"""Filters of the list of runs."""


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    connection = prepare(postgres_server.create_database())
    connection.execute(FILL.encode())
    yield connection
    connection.close()


def scanned(connection: psycopg.Connection, name: str, values: Any) -> set[str]:
    """The tables that a query's plan reads from end to end."""
    statement = f"EXPLAIN (FORMAT JSON) {statements()[name]}"
    row = connection.execute(statement.encode(), values or None).fetchone()
    assert row is not None
    return set(_scans(row[0][0]["Plan"]))


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for inner in node.get("Plans", []):
        yield from _scans(inner)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_hot_query_reads_no_large_table_from_end_to_end(filled, name):
    assert not scanned(filled, name, ARGUMENTS[name]) & LARGE


@pytest.mark.parametrize(("name", "which"), LISTS, ids=json.dumps)
def test_a_list_of_runs_reads_no_more_than_it_shows(filled, name, which):
    values = {**ALL, **which, "limit": 50}
    assert not scanned(filled, name, values) & LARGE


def test_a_query_that_reads_a_table_whole_is_found(filled):
    row = filled.execute(
        "EXPLAIN (FORMAT JSON) SELECT * FROM flow_runs WHERE name = 'x'"
    ).fetchone()
    assert row is not None
    assert set(_scans(row[0][0]["Plan"])) == {"flow_runs"}


def test_the_values_fit_their_queries():
    for name, values in ARGUMENTS.items():
        if isinstance(values, dict):
            assert set(re.findall(r":([a-z_]+)", queries()[name])) == set(values), name


# Plans that a connection keeps, and may have made on empty tables

KEPT: dict[str, Any] = {
    **{name: {"rows": "[]"} for name in statements() if name.endswith("_many")},
    "flow_runs_of": ['["r5"]'],
    "runs_of_keys": ['["k5"]', "d5"],
    "waits_for": ['["r5"]'],
    "tied_among": ['["r5"]'],
    "queued_nested": {"pool": "p5", "most": 10},
    "claimable_counts": {"pool": "p5", "most": 16},
    **{name: ARGUMENTS[name] for name in ("open_groups", "first_of_group", "usage", "leases_of")},
}


@pytest.fixture(scope="module")
def fresh(postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    connection = prepare(postgres_server.create_database())
    connection.execute(PLANS)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", KEPT)
def test_a_plan_made_on_empty_tables_is_good_for_full_ones(fresh, name):
    statement = f"EXPLAIN (FORMAT JSON) {statements()[name]}"
    row = fresh.execute(statement.encode(), KEPT[name] or None).fetchone()
    assert row is not None
    assert not set(_whole(row[0][0]["Plan"])) & LARGE


def _whole(node: dict[str, Any]) -> Iterator[str]:
    """The tables that a plan reads from end to end, be it along an index."""
    looks_up = "Index Cond" in node or node["Node Type"] == "Bitmap Heap Scan"
    if "Scan" in node["Node Type"] and "Relation Name" in node and not looks_up:
        yield node["Relation Name"]
    for inner in node.get("Plans", []):
        yield from _whole(inner)
