"""Running a finished run again: the same run, as a new attempt."""

from stoker.domain.deployments import Deployment
from stoker.domain.errors import Conflict, Invalid
from stoker.domain.pools import WorkPool
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.domain.templates import lane_of, resolve
from stoker.domain.transitions import Command, Wish
from stoker.services.changing import change
from stoker.services.lookup import need_executed
from stoker.services.unit import Unit


def rerun(unit: Unit, run_id: str, *, force: bool = False) -> FlowRun:
    """Queue a run again that is over, where its deployment executes now.

    Its end and its result are forgotten, its history is kept. Who waited for its end has got it.

    Args:
        unit: The transaction.
        run_id: The run.
        force: Whether also one that completed.

    Raises:
        NotFound: There is no such run.
        Conflict: It is not over, has completed, or its deployment or work pool was deleted.
    """
    run = need_executed(unit.records, run_id, "retry")
    if run.state.type is StateType.COMPLETED and not force:
        raise Conflict(f"flow run {run.name} has completed; `--force` runs it again all the same")
    deployment = unit.records.deployment(run.deployment_id or "")
    if deployment is None:
        raise Conflict(f"the deployment {run.deployment} of flow run {run.name} was deleted")
    pool = unit.records.pool(deployment.pool)
    if pool is None:
        raise Conflict(f"work pool {deployment.pool} of flow run {run.name} was deleted")
    run.pool, run.queue = deployment.pool, deployment.queue
    run.lane = _lane(run, deployment, pool)
    message = f"after attempt {run.attempt}, which was {run.state.name}"
    if run.state.is_terminal:
        unit.records.move_run(run.id, run.pool, run.queue, run.lane)
    rejected = change(unit, run, Wish(command=Command.RERUN, at=unit.now, message=message))
    if rejected is not None:
        raise Conflict(f"flow run {run.name}: {rejected.reason}; only a run that is over can")
    unit.records.drop_pauses(run.id)
    unit.claimable.add(run.pool)
    unit.demand.add(run.pool)
    return run


def _lane(run: FlowRun, deployment: Deployment, pool: WorkPool) -> str:
    if not run.job_variables:
        return deployment.lane
    both = {**deployment.job_variables, **run.job_variables}
    try:
        configuration = resolve(pool.base_job_template, both)
    except Invalid as error:
        raise Conflict(f"its work pool or deployment was changed: {error}") from None
    return lane_of(pool, configuration, deployment.isolation)
