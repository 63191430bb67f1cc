"""What automations do within Stoker: in one transaction with the note that it is done."""

from typing import Any

from msgspec.structs import replace

from stoker.domain.automation.actions import (
    CancelFlowRun,
    Internal,
    PauseAutomation,
    PauseDeployment,
    PauseSchedule,
    PauseWorkPool,
    PauseWorkQueue,
    ResumeAutomation,
    ResumeDeployment,
    ResumeSchedule,
    ResumeWorkPool,
    ResumeWorkQueue,
    RunDeployment,
)
from stoker.domain.automation.deliveries import Delivery
from stoker.domain.automation.filling import fill
from stoker.domain.errors import Invalid, NotFound
from stoker.domain.requests import StartRun
from stoker.services.administration import put_queue, update_pool
from stoker.services.automations.managing import enable
from stoker.services.lookup import need_deployment, need_pool
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.submission import submit
from stoker.services.schedules.scheduling import set_active
from stoker.services.unit import Unit


def act(unit: Unit, delivery: Delivery, action: Internal, values: dict[str, Any]) -> str:
    """Do what a delivery says; return what came of it, for people.

    What happens in the transaction counts as caused by an automation.

    Args:
        unit: The transaction.
        delivery: What is done; the run that it starts is noted in it.
        action: Its action.
        values: What templates may name.

    Raises:
        StokerError: It cannot be done.
    """
    unit.depth = delivery.firing.depth
    event = delivery.firing.event
    match action:
        case RunDeployment():
            return _run(unit, delivery, action, values)
        case CancelFlowRun():
            return _cancel(unit, delivery)
        case PauseWorkPool(pool=pool) | ResumeWorkPool(pool=pool):
            return _pause_pool(unit, pool or event.pool, isinstance(action, PauseWorkPool))
        case PauseWorkQueue(pool=pool, queue=queue) | ResumeWorkQueue(pool=pool, queue=queue):
            paused = isinstance(action, PauseWorkQueue)
            return _pause_queue(unit, pool or event.pool, queue or event.queue, paused)
        case PauseDeployment(deployment=name) | ResumeDeployment(deployment=name):
            active = isinstance(action, ResumeDeployment)
            return _schedules(unit, name or event.deployment, None, active)
        case PauseSchedule(deployment=name) | ResumeSchedule(deployment=name):
            active = isinstance(action, ResumeSchedule)
            return _schedules(unit, name or event.deployment, action.schedule, active)
        case PauseAutomation(automation=name):
            paused = enable(unit, name or delivery.firing.automation_id, False)
            return f"automation {paused.name} is paused"
        case ResumeAutomation(automation=name):
            return f"automation {enable(unit, name, True).name} fires again"


def _run(unit: Unit, delivery: Delivery, action: RunDeployment, values: dict[str, Any]) -> str:
    request = StartRun(
        deployment=action.deployment,
        parameters=fill(action.parameters, values),
        job_variables=fill(action.job_variables, values),
        tags=action.tags,
        idempotency_key=f"automation:{delivery.id}",
    )
    (run,) = submit(unit, [request])
    delivery.run_id = run.id
    return f"flow run {run.name} ({run.id}) started"


def _cancel(unit: Unit, delivery: Delivery) -> str:
    run_id = delivery.firing.event.run_id
    run = unit.records.flow_run(run_id) if run_id is not None else None
    if run is None:
        raise Invalid("the event concerns no flow run")
    if run.state.is_terminal:
        return f"flow run {run.name} is {run.state.name} already"
    cancel(unit, run.id, f"cancelled by the automation {delivery.firing.automation}")
    return f"flow run {run.name} is cancelled"


def _pause_pool(unit: Unit, name: str | None, paused: bool) -> str:
    if name is None:
        raise Invalid("the event concerns no work pool, and the action names none")
    unit.records.lock(f"pool:{name}")
    if need_pool(unit.records, name).paused != paused:
        update_pool(unit, name, {"paused": paused})
    return f"work pool {name} {_is(paused)}"


def _pause_queue(unit: Unit, pool: str | None, name: str | None, paused: bool) -> str:
    if pool is None or name is None:
        raise Invalid("the event concerns no work queue, and the action names none")
    unit.records.lock(f"pool:{pool}")
    for queue in unit.records.queues(pool):
        if queue.name == name:
            if queue.paused != paused:
                put_queue(unit, replace(queue, paused=paused))
            return f"work queue {name} of {pool} {_is(paused)}"
    raise NotFound(f"work pool {pool!r} has no queue {name!r}")


def _schedules(unit: Unit, name: str | None, slug: str | None, active: bool) -> str:
    if name is None:
        raise Invalid("the event concerns no deployment, and the action names none")
    deployment = need_deployment(unit.records, name)
    every = [one.slug for one in unit.records.schedules_of(deployment.id)]
    slugs = every if slug is None else [slug]
    for one in slugs:
        set_active(unit, deployment, one, active=active)
    fire = "fire again" if active else "are paused"
    return f"schedules of {deployment.full_name} {fire}: {', '.join(slugs) or 'it has none'}"


def _is(paused: bool) -> str:
    return "is paused" if paused else "starts runs again"
