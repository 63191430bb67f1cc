"""Reads what the checker needs out of the store."""

import json
from collections import defaultdict
from typing import Any, NamedTuple

from stoker.domain.states import StateType
from stoker.domain.transitions import AWAITING_CRASH_RETRY
from stoker.testing.chaos.cluster import REGISTERS
from stoker.testing.chaos.database import Database
from stoker.testing.chaos.history import History, StoredRun

RUNS = """
    SELECT id, deployment, queue, parameters, state_type, attempt, idempotency_key, result_format,
        result_data
    FROM flow_runs ORDER BY id
"""
STATES = "SELECT run_id, type, name FROM run_states ORDER BY run_id, version"
LOGS = "SELECT run_id, message FROM logs ORDER BY id"
QUEUES = f"SELECT record FROM work_queues WHERE pool = '{REGISTERS}'"
PENDING = "SELECT id FROM flow_runs WHERE state_type = 'PENDING'"
SLOTS = "SELECT name, run_id FROM limit_leases WHERE decays = 0"
FIRED = "SELECT schedule_id, instant FROM flow_runs WHERE schedule_id IS NOT NULL"
OPEN = "SELECT id, deployment, state_type FROM flow_runs WHERE ended IS NULL ORDER BY id"

RESUMING = "Resuming"
"""Name of a suspended run that is queued again."""


class OpenRun(NamedTuple):
    """A run that is not over."""

    id: str
    deployment: str | None
    state: str


def open_runs(database: Database) -> list[OpenRun]:
    """Return the runs that are not over."""
    return [OpenRun(*row) for row in database.rows(OPEN)]


def gather(database: Database, history: History) -> None:
    """Put what is in the store into a history."""
    for row in database.rows(RUNS):
        run = _stored(*row)
        history.runs[run.id] = run
    states: dict[str, list[StateType]] = defaultdict(list)
    again = {AWAITING_CRASH_RETRY: history.crashes, RESUMING: history.resumptions}
    for run_id, state, name in database.rows(STATES):
        states[run_id].append(StateType(state))
        if name in again:
            again[name][run_id] = again[name].get(run_id, 0) + 1
    history.states = dict(states)
    logs: dict[str, list[str]] = defaultdict(list)
    for run_id, message in database.rows(LOGS):
        logs[run_id].append(message)
    history.logs = dict(logs)
    for (record,) in database.rows(QUEUES):
        queue = json.loads(record)
        history.stored_registers[queue["name"]] = queue.get("concurrency_limit") or 0
    for schedule, instant in database.rows(FIRED):
        history.fired.setdefault(schedule, []).append(instant)
    history.left += left_in_store(database)


def left_in_store(database: Database) -> list[str]:
    """Return what is in the store that should not be when all runs are over."""
    left = [f"lease of run {run}" for (run,) in database.rows("SELECT run_id FROM leases")]
    left += [f"pending run {run}" for (run,) in database.rows(PENDING)]
    left += [f"slots of {name} for run {run}" for name, run in database.rows(SLOTS)]
    for waiter, child in database.rows("SELECT waiter, child FROM waits"):
        left.append(f"wait of run {waiter} for run {child}")
    return left


def _stored(
    run_id: str,
    deployment: str | None,
    queue: str | None,
    parameters: str,
    state: str,
    attempt: int,
    key: str | None,
    result_format: str | None,
    result: Any,
) -> StoredRun:
    given: dict[str, Any] = json.loads(parameters)
    value = json.loads(bytes(result)) if result_format == "json" and result else None
    return StoredRun(
        id=run_id,
        deployment=deployment or "",
        queue=queue or "",
        token=str(given.get("token", "")),
        state=StateType(state),
        attempt=attempt,
        key=key,
        result=value,
    )
