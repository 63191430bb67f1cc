"""The lanes of a pool: the infrastructures that its runs need, and whether runs share hosts."""

from dataclasses import dataclass, field

from stoker.domain.errors import Invalid
from stoker.domain.pools import WorkPool
from stoker.domain.templates import Json, infrastructure_of, lane_of, resolve
from stoker.ports.store import Records


@dataclass(slots=True)
class Lane:
    """The hosts that are interchangeable.

    Attributes:
        key: What their records call it.
        infrastructure: The resolved job configuration, without what belongs to the code.
        own: Whether it is that of the pool's bare template.
        once: Whether a host takes one run in its life.
        queues: Queues of the deployments whose runs it takes.
    """

    key: str
    infrastructure: Json
    own: bool = False
    once: bool = False
    queues: set[str] = field(default_factory=set[str])


def lanes_of(records: Records, pool: WorkPool) -> dict[str, Lane]:
    """A pool's lanes by key: its own first, those of its deployments, those of queued runs."""
    lanes: dict[str, Lane] = {}
    own = _add(lanes, pool, {}, "fork")
    if own is not None:
        own.own = True
    for deployment in records.deployments(pool.name):
        # A deployment's lane is kept up to date: its infrastructure is that of the others in it.
        lane = lanes.get(deployment.lane)
        if lane is None:
            lane = _add(lanes, pool, deployment.job_variables, deployment.isolation)
        if lane is not None:
            lane.queues.add(deployment.queue)
    for run in records.queued_lanes(pool.name):
        deployment = records.deployment(run.deployment_id or "")
        if deployment is not None and run.lane not in lanes:
            variables = {**deployment.job_variables, **run.job_variables}
            _add(lanes, pool, variables, deployment.isolation)
    return lanes


def _add(lanes: dict[str, Lane], pool: WorkPool, variables: Json, isolation: str) -> Lane | None:
    try:
        configuration = resolve(pool.base_job_template, variables)
    except Invalid:
        # No host can be launched for it; that is no reason to launch none for the others.
        return None
    key = lane_of(pool, configuration, isolation)
    if key not in lanes:
        lanes[key] = Lane(key, infrastructure_of(configuration), once=isolation == "host")
    return lanes[key]
