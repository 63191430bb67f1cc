"""The store's records, read and changed through one SQLite connection."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.deployments import Deployment
from stoker.domain.hosts import Host, HostState
from stoker.domain.leases import Lease, Lendable
from stoker.domain.pools import Worker, WorkPool, WorkQueue
from stoker.domain.runs import FlowRun, LogLine, StoredLogLine, TaskRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import Transition
from stoker.ports.store import PoolUsage, QueuedCount, RunFilter
from stoker.storage.queries import queries
from stoker.storage.sqlite import rows
from stoker.storage.sqlite.rows import Row, to_text

_deployment = msgspec.json.Decoder(Deployment).decode
_pool = msgspec.json.Decoder(WorkPool).decode
_queue = msgspec.json.Decoder(WorkQueue).decode
_host = msgspec.json.Decoder(Host).decode
_worker = msgspec.json.Decoder(Worker).decode


class SqliteRecords:
    """`Records` over a connection whose transaction somebody else begins and ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sql = queries()

    def _do(self, query: str, values: Row | dict[str, Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(self._sql[query], values)

    def _one(self, query: str, *values: object) -> Any:
        return self._do(query, values).fetchone()

    def _all(self, query: str, *values: object) -> list[Any]:
        return self._do(query, values).fetchall()

    # Flow runs

    def insert_runs(self, runs: Sequence[FlowRun], keys: Sequence[str | None]) -> None:
        values = [rows.run_values(run, key) for run, key in zip(runs, keys, strict=True)]
        self._connection.executemany(self._sql["insert_run"], values)

    def insert_subflow(self, run: FlowRun) -> bool:
        return self._do("insert_run", rows.run_values(run, None)).rowcount == 1

    def flow_run(self, run_id: str) -> FlowRun | None:
        row = self._one("flow_run", run_id)
        return rows.run_of(row) if row else None

    def run_of_key(self, idempotency_key: str) -> FlowRun | None:
        row = self._one("run_of_key", idempotency_key)
        return rows.run_of(row) if row else None

    def flow_runs(self, which: RunFilter) -> list[FlowRun]:
        found = self._do(
            "flow_runs",
            {
                "states": to_text(list(which.states)) if which.states else None,
                "deployment": which.deployment,
                "flow": which.flow,
                "pool": which.pool,
                "parent": which.parent,
                "before": which.before,
                "limit": which.limit,
            },
        )
        return [rows.run_of(row) for row in found]

    def open_subflows(self, run_id: str) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("open_subflows", run_id)]

    def open_runs_of(self, host_id: str) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("open_runs_of_script", host_id)]

    def apply(self, transitions: Sequence[Transition]) -> list[bool]:
        return [self._apply(transition) for transition in transitions]

    def _apply(self, transition: Transition) -> bool:
        state, result = transition.state, transition.result
        changed = self._do(
            "apply_transition",
            {
                "id": transition.run_id,
                "version": transition.version,
                "type": state.type,
                "name": state.name,
                "at": state.at,
                "message": state.message,
                "attempt": transition.attempt,
                "run_count": transition.run_count,
                "host_id": transition.host_id,
                "first_start": transition.first_start,
                "terminal": state.is_terminal,
                "result_format": result.format if result else None,
                "result_data": result.data if result else None,
                "result_file": result.file if result else None,
            },
        )
        if changed.rowcount != 1:
            return False
        run_id = transition.run_id
        history = (run_id, transition.version + 1, state.type, state.name, state.at, state.message)
        self._do("insert_state", history)
        if transition.ends_attempt:
            self._do("inherit_keys", (run_id,))
            self._do("drop_lease", (run_id,))
            self._do("drop_waits_of", (run_id,))
        return True

    def advance(self, run_id: str, seq: int) -> bool:
        return self._do("advance_seq", {"id": run_id, "seq": seq}).rowcount == 1

    def set_anatomy(self, run_id: str, anatomy: StartAnatomy) -> None:
        self._do("set_anatomy", (to_text(anatomy), run_id))

    def rename_run(self, run_id: str, name: str) -> None:
        self._do("rename_run", (name, run_id))

    def set_lane(self, run_id: str, lane: str) -> None:
        self._do("set_lane", (lane, run_id))

    def states(self, run_id: str) -> list[StateRecord]:
        return [
            StateRecord(StateType(kind), name, at, message)
            for kind, name, at, message in self._all("states", run_id)
        ]

    # What runs leave behind

    def put_task_runs(self, task_runs: Sequence[TaskRun]) -> None:
        values = [rows.task_run_values(run) for run in task_runs]
        self._connection.executemany(self._sql["put_task_run"], values)

    def task_runs(self, flow_run_id: str) -> list[TaskRun]:
        return [rows.task_run_of(row) for row in self._all("task_runs", flow_run_id)]

    def add_logs(self, run_id: str, lines: Sequence[LogLine]) -> None:
        self._connection.executemany(
            self._sql["add_log"],
            [
                (run_id, line.task_run_id, line.at, line.level, line.logger, line.message)
                for line in lines
            ],
        )

    def logs(self, run_id: str, after: int, limit: int) -> list[StoredLogLine]:
        return [
            StoredLogLine(id=i, at=at, level=level, logger=logger, message=text, task_run_id=task)
            for i, at, level, logger, text, task in self._all("logs", run_id, after, limit)
        ]

    # Queues of runs

    def queued(self, pool: str, queue: str, lane: str, limit: int) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("queued", pool, queue, lane, limit)]

    def queued_counts(self, pool: str) -> list[QueuedCount]:
        return [QueuedCount(*row) for row in self._all("queued_counts", pool)]

    def queued_nested(self, pool: str) -> list[FlowRun]:
        return [rows.run_of(row) for row in self._all("queued_nested", pool)]

    # Leases and waits

    def put_lease(self, lease: Lease) -> None:
        self._do("put_lease", rows.lease_values(lease))

    def lease(self, run_id: str) -> Lease | None:
        row = self._one("lease", run_id)
        return rows.lease_of(row) if row else None

    def usage(self, pool: str) -> PoolUsage:
        usage = PoolUsage()
        for queue, worker, host, in_pool, in_queue, in_worker, slots in self._all("usage", pool):
            usage.pool += in_pool
            usage.queues[queue] = usage.queues.get(queue, 0) + in_queue
            usage.workers[worker] = usage.workers.get(worker, 0) + in_worker
            usage.hosts[host] = usage.hosts.get(host, 0) + slots
        return usage

    def lenders(self, run_id: str) -> list[Lendable]:
        return [rows.lendable_of(row) for row in self._all("lenders", run_id)]

    def waiting_leases(self, pool: str) -> list[Lendable]:
        return [rows.lendable_of(row) for row in self._all("waiting_leases", pool)]

    def borrowers(self, run_id: str) -> list[Lease]:
        return [rows.lease_of(row) for row in self._all("borrowers", run_id)]

    def leases_of(self, host_id: str) -> list[Lease]:
        return [rows.lease_of(row) for row in self._all("leases_of", host_id)]

    def add_wait(self, waiter: str, child: str) -> None:
        self._do("add_wait", (waiter, child))

    def drop_wait(self, waiter: str, child: str) -> None:
        self._do("drop_wait", (waiter, child))

    def hold_wait(self, waiter: str, child: str) -> None:
        self._do("hold_wait", (waiter, child))

    def held_waits(self) -> list[tuple[str, str]]:
        return [(waiter, child) for waiter, child in self._all("held_waits")]

    def waiters(self, child: str) -> list[str]:
        return [row[0] for row in self._all("waiters", child)]

    def waits_of(self, waiter: str) -> list[str]:
        return [row[0] for row in self._all("waits_of", waiter)]

    # Deployments, pools, queues

    def put_deployment(self, deployment: Deployment) -> None:
        values = (deployment.id, deployment.full_name, deployment.pool, to_text(deployment))
        self._do("put_deployment", values)

    def delete_deployment(self, deployment_id: str) -> None:
        self._do("delete_deployment", (deployment_id,))

    def deployment(self, name_or_id: str) -> Deployment | None:
        row = self._one("deployment", name_or_id)
        return _deployment(row[0]) if row else None

    def deployments(self, pool: str | None = None) -> list[Deployment]:
        return [_deployment(row[0]) for row in self._all("deployments", pool)]

    def put_pool(self, pool: WorkPool) -> None:
        self._do("put_pool", (pool.name, to_text(pool)))

    def delete_pool(self, name: str) -> None:
        self._do("delete_pool", (name,))
        self._do("delete_queues", (name,))

    def pool(self, name: str) -> WorkPool | None:
        row = self._one("pool", name)
        return _pool(row[0]) if row else None

    def pools(self) -> list[WorkPool]:
        return [_pool(row[0]) for row in self._all("pools")]

    def put_queue(self, queue: WorkQueue) -> None:
        self._do("put_queue", (queue.pool, queue.name, queue.priority, to_text(queue)))

    def queues(self, pool: str) -> list[WorkQueue]:
        return [_queue(row[0]) for row in self._all("queues", pool)]

    # Hosts and workers

    def put_host(self, host: Host) -> None:
        dead = host.state is HostState.DEAD
        self._do("put_host", (host.id, host.pool, dead, host.lease_until, to_text(host)))

    def host(self, host_id: str) -> Host | None:
        row = self._one("host", host_id)
        return self._host_of(row) if row else None

    def hosts(self, pool: str | None = None) -> list[Host]:
        return [self._host_of(row) for row in self._all("hosts", pool)]

    def _host_of(self, row: Row) -> Host:
        host = _host(row[0])
        host.lease_until = row[1]
        return host

    def renew_host(self, host_id: str, until: float) -> bool:
        return self._do("renew_host", (until, host_id)).rowcount == 1

    def move_leases(self, host_id: str, worker_id: str) -> None:
        self._do("move_leases", (host_id, worker_id))

    def put_worker(self, worker: Worker) -> None:
        self._do("put_worker", (worker.id, worker.pool, to_text(worker)))

    def workers(self, pool: str | None = None) -> list[Worker]:
        return [_worker(row[0]) for row in self._all("workers", pool)]

    def delete_worker(self, worker_id: str) -> None:
        self._do("delete_worker", (worker_id,))
