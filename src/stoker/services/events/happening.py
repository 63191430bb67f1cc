"""What is told of a transaction's changes: the events that it writes at its end."""

from typing import Any

from stoker.domain.deployments import Deployment
from stoker.domain.events import EmitEvent, Event, Resource
from stoker.domain.hosts import Host
from stoker.domain.pools import Worker
from stoker.domain.runs import FlowRun
from stoker.services.unit import Unit


def run_entered(unit: Unit, run: FlowRun) -> None:
    """A flow run has entered the state that it is in."""
    state = run.state
    payload: dict[str, Any] = {"type": state.type, "state_at": state.at}
    if run.attempt:
        payload["attempt"] = run.attempt
    if state.message:
        payload["message"] = state.message
    unit.events.append(_of_run(unit, run, f"flow-run.{state.name}", payload))


def run_told(unit: Unit, run: FlowRun, what: str, **payload: Any) -> None:
    """Something else than a state of a flow run: ``what`` is, for example, ``"Late"``."""
    unit.events.append(_of_run(unit, run, f"flow-run.{what}", payload))


def _of_run(unit: Unit, run: FlowRun, event: str, payload: dict[str, Any]) -> Event:
    return Event(
        event=event,
        at=unit.now,
        resource=Resource("flow-run", run.id, run.name),
        flow=run.flow_name,
        deployment=run.deployment,
        pool=run.pool,
        queue=run.queue,
        run_id=run.id,
        tags=run.tags,
        payload=payload,
        depth=unit.depth,
    )


def deployment_told(unit: Unit, deployment: Deployment, what: str) -> None:
    """A deployment was ``"created"``, ``"updated"``, ``"deleted"``, ``"paused"``, ``"resumed"``."""
    unit.events.append(
        Event(
            event=f"deployment.{what}",
            at=unit.now,
            resource=Resource("deployment", deployment.full_name),
            flow=deployment.flow_name,
            deployment=deployment.full_name,
            pool=deployment.pool,
            queue=deployment.queue,
            tags=deployment.tags,
            depth=unit.depth,
        )
    )


def pool_told(unit: Unit, pool: str, what: str, **payload: Any) -> None:
    """A work pool was ``"created"``, ``"paused"``, …, or is ``"ready"`` or ``"unhealthy"``."""
    unit.events.append(
        Event(
            event=f"work-pool.{what}",
            at=unit.now,
            resource=Resource("work-pool", pool),
            pool=pool,
            payload=payload,
            depth=unit.depth,
        )
    )


def queue_told(unit: Unit, pool: str, queue: str, what: str) -> None:
    """A work queue was ``"created"``, ``"updated"``, ``"paused"`` or ``"resumed"``."""
    unit.events.append(
        Event(
            event=f"work-queue.{what}",
            at=unit.now,
            resource=Resource("work-queue", f"{pool}/{queue}", queue),
            pool=pool,
            queue=queue,
            depth=unit.depth,
        )
    )


def host_told(unit: Unit, host: Host, what: str) -> None:
    """A host is ``"up"``, ``"unreachable"`` or ``"dead"``; scripts are not told of."""
    if not host.pool:
        return
    unit.events.append(
        Event(
            event=f"host.{what}",
            at=unit.now,
            resource=Resource("host", host.id),
            pool=host.pool,
            payload={"message": host.message} if host.message else {},
            depth=unit.depth,
        )
    )


def worker_told(unit: Unit, worker: Worker, what: str) -> None:
    """A worker has ``"started"``, is ``"draining"``, or is ``"gone"``."""
    unit.events.append(
        Event(
            event=f"worker.{what}",
            at=unit.now,
            resource=Resource("worker", worker.id, worker.name),
            pool=worker.pool,
            payload={"machine": worker.machine.name},
            depth=unit.depth,
        )
    )


def emitted(unit: Unit, emit: EmitEvent, run: FlowRun | None = None) -> Event:
    """A user says that something has happened; a flow run where it is one that does."""
    event = Event(
        event=emit.event,
        at=unit.now,
        resource=emit.resource,
        tags=emit.tags,
        payload=emit.payload,
        depth=unit.depth,
    )
    if run is not None:
        event.run_id = run.id
        event.flow = run.flow_name
        event.deployment = run.deployment
        event.pool = run.pool
        event.queue = run.queue
        event.tags = [*run.tags, *emit.tags]
    unit.events.append(event)
    return event
