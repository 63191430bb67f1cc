"""New runs of deployments whose limit is full, and that are not to wait: ``CANCEL_NEW``."""

from collections.abc import Sequence

from stoker.domain.deployments import CollisionStrategy, Deployment
from stoker.domain.runs import FlowRun
from stoker.domain.transitions import Command, Wish
from stoker.services.changing import change
from stoker.services.unit import Unit


def turn_away(unit: Unit, entered: Sequence[FlowRun]) -> None:
    """Cancel those of the runs that have just entered their queues and are too many.

    With ``CANCEL_NEW`` a deployment has as many runs at a time as its limit says, those that wait
    for a host included. The oldest of the new ones stay.
    """
    by_deployment: dict[str, list[FlowRun]] = {}
    for run in entered:
        if run.queued and run.deployment_id is not None:
            by_deployment.setdefault(run.deployment_id, []).append(run)
    for deployment_id, runs in by_deployment.items():
        deployment = unit.records.deployment(deployment_id)
        if deployment is not None:
            _turn_away(unit, deployment, runs)


def _turn_away(unit: Unit, deployment: Deployment, runs: Sequence[FlowRun]) -> None:
    limit = deployment.concurrency_limit
    if limit is None or deployment.collision_strategy is not CollisionStrategy.CANCEL_NEW:
        return
    # Nobody else counts, or takes a place, meanwhile.
    unit.records.lock(*{f"pool:{run.pool}" for run in runs})
    most = limit + len(runs)
    queued = unit.records.queued_of(deployment.id, most)
    places = limit - unit.records.deployment_use(deployment.id) - (queued - len(runs))
    message = (
        f"{deployment.full_name} runs {limit} at a time, and its collision strategy is "
        f"{CollisionStrategy.CANCEL_NEW}"
    )
    for run in runs[max(0, places) :]:
        change(unit, run, Wish(command=Command.CANCEL, at=unit.now, message=message))
