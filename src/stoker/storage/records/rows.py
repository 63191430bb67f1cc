"""Rows of the tables, and the records that they hold."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import asdict

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.leases import Lease, Lendable
from stoker.domain.runs import FlowRun, TaskRun
from stoker.domain.states import ResultRecord, StateRecord, StateType

Row = Sequence[Any]

_encode = msgspec.json.Encoder().encode
_strings = msgspec.json.Decoder(list[str]).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode
_anatomy = msgspec.json.Decoder(StartAnatomy).decode


def to_text(value: object) -> str:
    """Encode a value as JSON text."""
    return _encode(value).decode()


def run_values(run: FlowRun, key: str | None) -> dict[str, Any]:
    """The values of ``insert_run``."""
    state = run.state
    return {
        "id": run.id,
        "name": run.name,
        "flow_name": run.flow_name,
        "state_type": state.type,
        "state_name": state.name,
        "state_at": state.at,
        "state_message": state.message,
        "version": run.version,
        "attempt": run.attempt,
        "run_count": run.run_count,
        "parameters": to_text(run.parameters),
        "tags": to_text(run.tags),
        "deployment": run.deployment,
        "deployment_id": run.deployment_id,
        "parent_run_id": run.parent_run_id,
        "pool": run.pool,
        "queue": run.queue,
        "lane": run.lane,
        "job_variables": to_text(run.job_variables),
        "timeout": run.timeout,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "host_id": run.host_id,
        "anatomy": to_text(run.anatomy),
        "idempotency_key": key,
        "due": run.due,
        "queued": int(run.queued),
        "crashes": run.crashes,
        "schedule_id": run.schedule_id,
        "instant": run.instant,
        "paused_until": run.paused_until,
    }


def run_of(row: Row) -> FlowRun:
    """The record of a row of ``flow_runs``."""
    result = None
    if row[25] is not None:
        result = ResultRecord(row[25], row[26] or b"", row[27] or "")
    return FlowRun(
        id=row[0],
        name=row[1],
        flow_name=row[2],
        state=StateRecord(StateType(row[3]), row[4], row[5], row[6]),
        version=row[7],
        attempt=row[8],
        run_count=row[9],
        parameters=_object(row[10]),
        tags=_strings(row[11]),
        deployment=row[12],
        deployment_id=row[13],
        parent_run_id=row[14],
        pool=row[15],
        queue=row[16],
        lane=row[17],
        job_variables=_object(row[18]),
        timeout=row[19],
        created=row[20],
        started=row[21],
        ended=row[22],
        host_id=row[23],
        anatomy=_anatomy(row[24]),
        result=result,
        due=row[30],
        queued=bool(row[31]),
        crashes=row[32],
        schedule_id=row[33],
        instant=row[34],
        paused_until=row[35],
    )


def task_run_values(run: TaskRun) -> dict[str, Any]:
    """The values of ``put_task_run``."""
    state = run.state
    return {
        "id": run.id,
        "flow_run_id": run.flow_run_id,
        "task_name": run.task_name,
        "name": run.name,
        "state_type": state.type,
        "state_name": state.name,
        "state_at": state.at,
        "state_message": state.message,
        "run_count": run.run_count,
        "started": run.started,
        "ended": run.ended,
    }


def task_run_of(row: Row) -> TaskRun:
    """The record of a row of ``task_runs``."""
    return TaskRun(
        id=row[0],
        flow_run_id=row[1],
        task_name=row[2],
        name=row[3],
        state=StateRecord(StateType(row[4]), row[5], row[6], row[7]),
        run_count=row[8],
        started=row[9],
        ended=row[10],
    )


def lease_values(lease: Lease) -> dict[str, Any]:
    """The values of ``put_lease``."""
    return asdict(lease)


def lease_of(row: Row) -> Lease:
    """The record of a row of ``leases``."""
    return Lease(
        run_id=row[0],
        attempt=row[1],
        pool=row[2],
        queue=row[3],
        worker_id=row[4],
        host_id=row[5],
        pool_from=row[6],
        queue_from=row[7],
        worker_from=row[8],
        slot_from=row[9],
        deployment_id=row[10],
        deployment_from=row[11],
    )


def lendable_of(row: Row) -> Lendable:
    """The record of a lease's row and five columns that say which keys nobody has borrowed."""
    return Lendable(
        lease=lease_of(row),
        pool=bool(row[12]),
        queue=bool(row[13]),
        worker=bool(row[14]),
        slot=bool(row[15]),
        deployment=bool(row[16]),
    )
