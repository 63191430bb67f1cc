"""Finding deployments, work pools and queues by name, or saying what to do where there is none."""

from collections.abc import Iterable
from difflib import get_close_matches

from stoker.domain.deployments import Deployment
from stoker.domain.errors import Conflict, NotFound
from stoker.domain.pools import WorkPool
from stoker.domain.runs import FlowRun
from stoker.ports.store import Records


def need_deployment(records: Records, name: str) -> Deployment:
    """Return a deployment, or raise `NotFound` with what to do."""
    deployment = records.deployment(name)
    if deployment is None:
        close = get_close_matches(name, [one.full_name for one in records.deployments()], n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise NotFound(
            f"there is no deployment {name!r}; {hint}`stoker deployment ls` lists those there are, "
            "`stoker deploy` makes one"
        )
    return deployment


def need_run(records: Records, run_id: str) -> FlowRun:
    """Return a run, or raise `NotFound` with what to do."""
    run = records.flow_run(run_id)
    if run is None:
        raise NotFound(f"there is no flow run {run_id!r}; `stoker flow-run ls` lists them")
    return run


def need_executed(records: Records, run_id: str, verb: str) -> FlowRun:
    """Return a run that executes as a deployment; of the others say who can ``verb`` them.

    Raises:
        NotFound: There is no such run.
        Conflict: It executes in a process that takes no orders.
    """
    run = need_run(records, run_id)
    if run.deployment_id is None and run.parent_run_id is None:
        raise Conflict(f"flow run {run.name} executes in a script; stop that script")
    if run.deployment_id is None:
        raise Conflict(
            f"flow run {run.name} executes in its caller's process; {verb} the flow run that "
            f"called it: `stoker flow-run {verb} {run.parent_run_id}`"
        )
    return run


def need_pool(records: Records, name: str) -> WorkPool:
    """Return a pool, or raise `NotFound` with what to do."""
    pool = records.pool(name)
    if pool is None:
        raise NotFound(
            f"there is no work pool {name!r}; make it with "
            f"`stoker work-pool create {name} --type process`, or see `stoker work-pool ls`"
        )
    return pool


def need_queues(records: Records, pool: str, names: Iterable[str]) -> None:
    """Raise `NotFound` with what to do where a pool lacks one of these queues."""
    known = {queue.name for queue in records.queues(pool)}
    for name in names:
        if name not in known:
            raise NotFound(
                f"work pool {pool!r} has no queue {name!r}; make it with "
                f"`stoker work-queue create {name} -p {pool}`, or see `stoker work-queue ls -p "
                f"{pool}`"
            )
