"""Backfills: runs for the occurrences of a period, some at a time."""

import hashlib
from itertools import islice

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stoker.domain.deployments import Deployment, parameter_problems
from stoker.domain.errors import Conflict, Invalid, NotFound
from stoker.domain.ids import new_id
from stoker.domain.requests import StartRun
from stoker.domain.schedules import Backfill, Schedule
from stoker.domain.scheduling.timing import occurrences
from stoker.ports.store import Records
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.submission import Occurrence, submit_occurrences
from stoker.services.schedules.scheduler import AUTO
from stoker.services.schedules.scheduling import TRIES, lock_of
from stoker.services.unit import Unit

MOST = 100_000
"""Runs of a backfill."""

TOGETHER = 100
"""Runs made in a transaction."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is asked of a backfill.

    Attributes:
        schedule: Its instants, checked; with the parameters over the deployment's.
        start: First instant that counts, seconds since the epoch.
        stop: First instant that does not count any more.
        limit: Runs at a time.
        param_instant: Parameter that takes the run's instant.
        instants: All instants, in order.
    """

    schedule: Schedule
    start: float
    stop: float
    limit: int
    param_instant: str | None
    instants: list[float]

    @property
    def before(self) -> float:
        """An instant before the first one, and after all that do not count."""
        return self.instants[0] - 1e-3


def planned(
    schedule: Schedule, start: float, stop: float, limit: int, param_instant: str | None
) -> Plan:
    """Find the instants of a period. It may take a second.

    Raises:
        Invalid: There is none, or there are too many, or a value is impossible.
    """
    if not start < stop:
        from stoker.domain.scheduling.wall_time import moment, zone_of

        raise Invalid(f"to: must be later than from, which is {moment(start, zone_of('UTC'))}")
    if limit < 1:
        raise Invalid(f"limit: 1 run or more at a time, not {limit}")
    # A microsecond before: the first instant may be the period's own.
    found = occurrences(schedule, start - 1e-6, until=stop)
    instants = list(islice((one for one in found if one < stop), MOST + 1))
    if not instants:
        raise Invalid(f"from, to: {schedule.text} never fires in this time")
    if len(instants) > MOST:
        raise Invalid(f"from, to: {MOST} runs at the most; take a shorter time")
    return Plan(
        schedule=schedule,
        start=start,
        stop=stop,
        limit=limit,
        param_instant=param_instant,
        instants=instants,
    )


def begin(unit: Unit, deployment: Deployment, plan: Plan) -> Backfill:
    """Start a backfill; or return the one that was asked for in the same words before.

    Of that one ``limit`` is set, and it goes on where it had been cancelled.

    Raises:
        Invalid: The deployment does not take the parameters.
    """
    unit.records.lock(lock_of(deployment.id))
    key = _key(deployment, plan)
    there = unit.records.backfill(key)
    if there is not None:
        state = "RUNNING" if there.state == "CANCELLED" else None
        return _change(unit, there, state, plan.limit)
    check_parameters(deployment, plan)
    new = Backfill(
        id=new_id(unit.now),
        deployment_id=deployment.id,
        key=key,
        schedule=plan.schedule,
        start=plan.start,
        stop=plan.stop,
        limit=plan.limit,
        total=len(plan.instants),
        cursor=plan.before,
        param_instant=plan.param_instant,
        version=-1,
        created=unit.now,
        updated=unit.now,
    )
    unit.records.put_backfill(new)
    unit.rescheduled = True
    return new


def check_parameters(deployment: Deployment, plan: Plan) -> None:
    """Refuse parameters that a deployment does not take.

    Raises:
        Invalid: Names them.
    """
    names = [plan.param_instant] if plan.param_instant else []
    given = {**deployment.parameters, **plan.schedule.parameters, **dict.fromkeys(names, "")}
    problem = parameter_problems(deployment.signature, given, deployment.full_name)
    if problem is not None:
        raise Invalid(f"parameters: {problem}")


def advance(unit: Unit, backfill_id: str) -> int:
    """Make the next runs of a backfill, as many as its limit leaves room for; returns how many."""
    one = unit.records.backfill(backfill_id)
    if one is None or one.state != "RUNNING":
        return 0
    room = min(TOGETHER, one.limit - unit.records.open_occurrences(one.id))
    if room <= 0:
        return 0
    left = occurrences(one.schedule, one.cursor, until=one.stop)
    instants = list(islice((instant for instant in left if instant < one.stop), room + 1))
    state = "RUNNING" if len(instants) > room else "COMPLETED"
    instants = instants[:room]
    moved = replace(one, state=state, made=one.made + len(instants), updated=unit.now)
    if instants:
        moved.cursor = instants[-1]
    # First, so that who comes second waits here, and sees that it is second.
    if not unit.records.put_backfill(moved):
        return 0
    deployment = unit.records.deployment(one.deployment_id)
    if deployment is None:
        _change(unit, moved, "CANCELLED")
        return 0
    submit_occurrences(unit, [_request(unit, one, deployment, instant) for instant in instants])
    return len(instants)


def _request(
    unit: Unit, one: Backfill, deployment: Deployment, instant: float
) -> tuple[StartRun, Occurrence]:
    parameters = one.schedule.parameters
    if one.param_instant is not None:
        from stoker.domain.scheduling.wall_time import moment, zone_of

        text = moment(instant, zone_of(one.schedule.timezone))
        parameters = {**parameters, one.param_instant: text}
    request = StartRun(deployment=deployment.id, parameters=parameters, tags=[AUTO, "backfill"])
    return request, Occurrence(one.id, instant, unit.now)


def cancel_backfill(unit: Unit, backfill_id: str) -> Backfill:
    """Make no more runs of a backfill, and cancel those that have not begun; others go on.

    Raises:
        NotFound: There is no such backfill.
    """
    one = need_backfill(unit.records, backfill_id)
    unit.records.lock(lock_of(one.deployment_id))
    one = need_backfill(unit.records, backfill_id)
    if one.state == "RUNNING":
        one = _change(unit, one, "CANCELLED")
    for run_id in unit.records.queued_occurrences(one.id):
        cancel(unit, run_id, "its backfill was cancelled")
    return one


def cancel_all(unit: Unit, deployment: Deployment) -> None:
    """Stop the backfills of a deployment that is deleted."""
    for one in unit.records.backfills_running():
        if one.deployment_id == deployment.id:
            _change(unit, one, "CANCELLED")


def need_backfill(records: Records, backfill_id: str) -> Backfill:
    """Return a backfill, or raise `NotFound` with what to do."""
    found = records.backfill(backfill_id)
    if found is None:
        raise NotFound(
            f"there is no backfill {backfill_id!r}; `stoker deployment backfill ls` lists them"
        )
    return found


def _change(
    unit: Unit, one: Backfill, state: str | None = None, limit: int | None = None
) -> Backfill:
    for _ in range(TRIES):
        changed = replace(one, state=state or one.state, limit=limit or one.limit, updated=unit.now)
        if unit.records.put_backfill(changed):
            unit.rescheduled = True
            return changed
        # It has gone on since it was read; nobody else changes it, while its lock is held.
        one = need_backfill(unit.records, one.id)
    raise Conflict(f"backfill {one.id} goes on without a break; try again")


def _key(deployment: Deployment, plan: Plan) -> str:
    """A hash of what a backfill is, without how fast it goes."""
    what = (deployment.id, plan.schedule, plan.start, plan.stop, plan.param_instant)
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()
