"""Accepting runs of deployments."""

from collections.abc import Sequence
from typing import NamedTuple

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.deployments import Deployment, parameter_problems
from stoker.domain.errors import Invalid, NotFound
from stoker.domain.ids import new_id
from stoker.domain.names import readable_name
from stoker.domain.pools import WorkPool
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.templates import lane_of, resolve
from stoker.ports.store import Records
from stoker.services.events.happening import run_entered
from stoker.services.lookup import need_deployment
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.collisions import turn_away
from stoker.services.unit import Unit

LAST_DAY = 253_402_300_799
"""The end of the year 9999, seconds since the epoch."""


class Occurrence(NamedTuple):
    """Which occurrence of what a run is.

    Attributes:
        schedule_id: The schedule or backfill.
        instant: The nominal time, seconds since the epoch.
        due: The run's place in its queue, seconds since the epoch.
    """

    schedule_id: str
    instant: float
    due: float


def submit(unit: Unit, requests: Sequence[StartRun]) -> list[FlowRun]:
    """Store a run for each request, or none of them, and make them claimable.

    Raises:
        NotFound: There is no such deployment.
        Invalid: Parameters or job variables that it does not take.
    """
    catalogue = _Catalogue(unit.records)
    runs: list[FlowRun] = []
    new: list[FlowRun] = []
    keys: list[str | None] = []
    by_key = _known(unit.records, catalogue, requests)
    for request in requests:
        key = request.idempotency_key
        whole = None if key is None else (catalogue.deployment(request.deployment).id, key)
        run = None if whole is None else by_key.get(whole)
        if run is None:
            run = _accept(request, catalogue, unit.now)
            new.append(run)
            keys.append(key)
        if whole is not None:
            by_key[whole] = run
        runs.append(run)
    unit.records.insert_runs(new, keys)
    for run in new:
        run_entered(unit, run)
    turn_away(unit, new)
    pools = {run.pool for run in new if run.pool is not None and run.queued}
    unit.claimable |= pools
    unit.demand |= pools
    unit.scheduled |= any(not run.queued for run in new)
    return runs


def _known(
    records: Records, catalogue: "_Catalogue", requests: Sequence[StartRun]
) -> dict[tuple[str, str], FlowRun]:
    """The runs that some of the requests have started before, by deployment and key.

    A key belongs to its deployment: with another it starts another run.
    """
    keys: dict[str, list[str]] = {}
    for request in requests:
        key = request.idempotency_key
        if key is None:
            continue
        if "\0" in key:
            raise Invalid("idempotency_key: a text may hold no NUL character (\\u0000)")
        keys.setdefault(catalogue.deployment(request.deployment).id, []).append(key)
    return {
        (deployment_id, key): run
        for deployment_id, wanted in keys.items()
        for key, run in records.runs_of_keys(deployment_id, wanted).items()
    }


def submit_occurrences(unit: Unit, found: Sequence[tuple[StartRun, Occurrence]]) -> None:
    """Store a run for each occurrence, and make them claimable.

    One that the deployment does not take any more, since its parameters have changed, is stored
    and cancelled: it is not lost without a word.
    """
    catalogue = _Catalogue(unit.records)
    refused: dict[str, str] = {}
    runs: list[FlowRun] = []
    for request, occurrence in found:
        try:
            run = _accept(request, catalogue, unit.now)
        except Invalid as error:
            deployment = catalogue.deployment(request.deployment)
            run = _run_of(request, deployment, deployment.lane, unit.now)
            refused[run.id] = str(error)
        run.schedule_id, run.instant, run.due = occurrence
        runs.append(run)
    unit.records.insert_runs(runs, [None] * len(runs))
    for run in runs:
        run_entered(unit, run)
    for run_id, reason in refused.items():
        cancel(unit, run_id, f"it could not be started: {reason}")
    turn_away(unit, [run for run in runs if run.id not in refused])
    pools = {run.pool for run in runs if run.pool is not None}
    unit.claimable |= pools
    unit.demand |= pools


class _Catalogue:
    """Deployments and pools, each read once per transaction."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._deployments: dict[str, Deployment] = {}
        self._pools: dict[str, WorkPool] = {}

    def deployment(self, name: str) -> Deployment:
        found = self._deployments.get(name)
        if found is None:
            found = self._deployments[name] = need_deployment(self._records, name)
        return found

    def pool(self, name: str) -> WorkPool:
        found = self._pools.get(name)
        if found is None:
            found = self._records.pool(name)
            if found is None:
                raise NotFound(f"the deployment's work pool {name!r} was deleted")
            self._pools[name] = found
        return found


def _accept(request: StartRun, catalogue: _Catalogue, now: float) -> FlowRun:
    deployment = catalogue.deployment(request.deployment)
    parameters = {**deployment.parameters, **request.parameters}
    problem = parameter_problems(deployment.signature, parameters, deployment.full_name)
    if problem is not None:
        raise Invalid(problem)
    lane = deployment.lane
    if request.job_variables:
        pool = catalogue.pool(deployment.pool)
        both = {**deployment.job_variables, **request.job_variables}
        configuration = resolve(pool.base_job_template, both)
        lane = lane_of(pool, configuration, deployment.isolation)
    return _run_of(request, deployment, lane, now)


def _run_of(request: StartRun, deployment: Deployment, lane: str, now: float) -> FlowRun:
    """The run that a request asks for, with a deployment's defaults."""
    parameters = {**deployment.parameters, **request.parameters}
    due = now if request.scheduled_time is None else request.scheduled_time
    if not 0 <= due <= LAST_DAY:
        raise Invalid(f"scheduled_time is in seconds since the epoch, 0 to {LAST_DAY}, not {due:g}")
    return FlowRun(
        id=new_id(now),
        name=request.name or readable_name(),
        flow_name=deployment.flow_name,
        state=StateRecord(StateType.SCHEDULED, "Scheduled", now),
        parameters=parameters,
        tags=[*deployment.tags, *request.tags],
        deployment=deployment.full_name,
        deployment_id=deployment.id,
        parent_run_id=request.parent_run_id,
        pool=deployment.pool,
        queue=deployment.queue,
        lane=lane,
        job_variables=request.job_variables,
        timeout=deployment.timeout,
        created=now,
        anatomy=StartAnatomy(submitted=max(now, due)),
        due=due,
        queued=due <= now,
    )
