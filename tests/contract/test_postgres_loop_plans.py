"""Query plans on Postgres of loops and lists: each query would read all without its index."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stoker.storage.postgres.dialect import statements
from stoker.storage.postgres.schema import prepare
from stoker.testing.postgres import PostgresServer

FILL = """
INSERT INTO flow_runs (id, name, flow_name, state_type, state_name, state_at, state_message,
    version, attempt, run_count, parameters, tags, deployment, deployment_id, parent_run_id, pool,
    queue, lane, job_variables, created, started, ended, host_id, anatomy, due, queued,
    schedule_id, instant, paused_until)
SELECT 'r' || n, 'n', 'f', (ARRAY['SCHEDULED', 'PAUSED', 'COMPLETED', 'FAILED'])[n % 4 + 1], 's', n,
    '', 0, 1, 1, '{}', '[]', 'f/d' || n % 200, 'd' || n % 200, 'r' || n / 2, 'p' || n % 10, 'q',
    'l' || n % 3, '{}', n, n, CASE WHEN n % 4 > 1 THEN n END, 'h' || n % 500, '{}', n,
    CASE WHEN n % 4 = 0 THEN n / 4 % 2 ELSE 0 END, 's' || n % 1000, n,
    CASE WHEN n % 4 = 1 THEN n END
FROM generate_series(1, 10000) AS n;
INSERT INTO waits (waiter, child, held, kind)
SELECT 'r' || n, 'r' || n + 1, 0, 'k' FROM generate_series(1, 5000) AS n;
INSERT INTO rolled_runs (run_id, attempt) SELECT 'r' || n, 1 FROM generate_series(1, 5000) AS n;
INSERT INTO logs (run_id, at, level, logger, message)
SELECT 'r' || n % 500, n, 20, 'l', 'm' FROM generate_series(1, 10000) AS n;
INSERT INTO events (event, at, kind, resource, name, tags, payload, depth)
SELECT 'e', n, 'flow-run', 'r' || n % 2000, '', '[]', '{}', 0 FROM generate_series(1, 10000) AS n;
INSERT INTO outbox (id, automation_id, place, at, state, due, claimed_until, run_id, depth, ended,
    record)
SELECT 'o' || n, 'a' || n % 100, 0, n, CASE WHEN n % 50 = 0 THEN 'pending' ELSE 'done' END, n, 0,
    'r' || n, 1, CASE WHEN n % 50 > 0 THEN n END, '{}'
FROM generate_series(1, 10000) AS n;
INSERT INTO automation_windows (automation_id, key, due, record)
SELECT 'a' || n % 100, 'k' || n, n, '{}' FROM generate_series(1, 10000) AS n;
INSERT INTO schedules (id, deployment_id, slug, version, next, record)
SELECT 's' || n, 'd' || n % 2000, 's' || n, 0, n, '{}' FROM generate_series(1, 10000) AS n;
INSERT INTO backfills (id, deployment_id, request_key, version, running, record)
SELECT 'b' || n, 'd' || n % 200, 'k' || n, 0, CASE WHEN n % 500 = 0 THEN 1 ELSE 0 END, '{}'
FROM generate_series(1, 10000) AS n;
INSERT INTO limit_leases (id, kind, name, slots, place, asked, acquired, decays, drained, run_id,
    attempt, label)
SELECT 'l' || n, 'tag', 't' || n % 500, 1, n, n, CASE WHEN n % 100 > 0 THEN n END, 0,
    CASE WHEN n % 100 = 1 THEN n END, 'r' || n, 1, ''
FROM generate_series(1, 10000) AS n;
ANALYZE;
"""

PLANS: dict[str, tuple[Any, str]] = {
    # Schedules and what is due.
    "schedules_due": ([50.0, 10], "schedules_due"),
    "next_schedule": ([], "schedules_due"),
    "schedules_of": (["d5"], "schedules_deployment_id_slug_key"),
    "backfills_running": ([], "backfills_running"),
    "open_occurrences": (["s5"], "flow_runs_open_of_schedule"),
    "promote": ([50.0], "flow_runs_due"),
    "next_due": ([], "flow_runs_due"),
    "overdue_pauses": ([50.0, 10], "flow_runs_paused"),
    "next_overdue": ([], "flow_runs_paused"),
    "mark_late": (
        {"at": 1.0, "message": "", "source": "SCHEDULED", "before": 50.0, "limit": 10},
        "flow_runs_in_time",
    ),
    # Events, automations and the outbox.
    "events_after": ({"after": 100, "upto": 200, "resource": None, "limit": 10}, "events_pkey"),
    "events_before": ({"before": 100, "resource": None, "limit": 10}, "events_pkey"),
    "due_windows": ([50.0, 10], "automation_windows_due"),
    "due_deliveries": ({"now": 50.0, "limit": 10}, "outbox_pending"),
    "next_delivery_due": ([], "outbox_pending"),
    "deliveries": (["a5", 10], "outbox_automation"),
    "firings_since": (["a5", 9000.0], "outbox_automation"),
    "depth_of_run": (["r5"], "outbox_run"),
    # Slots of limits.
    "slot_leases": ({"kind": "tag", "name": "t5", "now": 1.0}, "limit_leases_limit"),
    "slots_of_request": (["l5"], "limit_leases_pkey"),
    "waited_limits": ([], "limit_leases_waiting"),
    # Pruning.
    "prunable_runs": ({"before": 50.0, "limit": 10}, "flow_runs_ended"),
    "unrolled_runs": ({"after": 9900.0, "limit": 10}, "flow_runs_ended"),
    "prune_run": (["r5", 50.0], "flow_runs_pkey"),
    "prune_rolled": (["r5"], "rolled_runs_pkey"),
    "prune_logs_of": (["r5", 10], "logs_run"),
    "prune_logs": ({"before": 50.0, "limit": 10}, "logs_pkey"),
    "prune_events": ({"before": 50.0, "limit": 10}, "events_pkey"),
    "prune_outbox": ([50.0, 10], "outbox_ended"),
}
"""Queries with values as they come, and the index that each of them cannot do without."""

SERVED_BY_OTHERS = {"open_occurrences", "mark_late", "prune_run", "prune_logs_of"}
"""Queries for which another index would do, if at a higher price."""

SMALL = {"event_readers"}
"""Tables of a few rows."""


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    connection = prepare(postgres_server.create_database())
    connection.execute(FILL.encode())
    yield connection
    connection.close()


def read_whole(connection: psycopg.Connection, name: str, values: Any) -> set[str]:
    """The tables that a query reads from end to end."""
    statement = f"EXPLAIN (FORMAT JSON) {statements()[name]}"
    row = connection.execute(statement.encode(), values or None).fetchone()
    assert row is not None
    return set(_whole(row[0][0]["Plan"])) - SMALL


def _whole(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for inner in node.get("Plans", []):
        yield from _whole(inner)


@pytest.mark.parametrize("name", PLANS)
def test_a_query_of_a_loop_or_a_list_reads_what_it_wants_alone(filled, name):
    assert not read_whole(filled, name, PLANS[name][0])


@pytest.mark.parametrize("name", sorted(PLANS.keys() - SERVED_BY_OTHERS))
def test_without_its_index_a_query_reads_all(filled, name):
    values, index = PLANS[name]
    with filled.transaction(force_rollback=True):
        (table,) = filled.execute(
            "SELECT tablename FROM pg_indexes WHERE indexname = %s", (index,)
        ).fetchone()
        constrains = filled.execute(
            "SELECT 1 FROM pg_constraint WHERE conname = %s", (index,)
        ).fetchone()
        if constrains:
            filled.execute(f"ALTER TABLE {table} DROP CONSTRAINT {index}".encode())
        else:
            filled.execute(f"DROP INDEX {index}".encode())
        assert read_whole(filled, name, values) == {table}
