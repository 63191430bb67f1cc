"""Making, changing and removing the schedules of deployments."""

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from stoker.domain.deployments import Deployment, parameter_problems
from stoker.domain.errors import Conflict, Invalid, NotFound
from stoker.domain.ids import new_id
from stoker.domain.schedules import DeploymentSchedule, Schedule
from stoker.domain.scheduling.timing import next_after
from stoker.ports.store import Records
from stoker.services.naming import check_name
from stoker.services.unit import Unit

MOST = 100
"""Schedules of a deployment."""


TRIES = 5
"""How often a change is tried that comes across a schedule's firing."""


def lock_of(deployment_id: str) -> str:
    """The lock of who changes a deployment's schedules or backfills."""
    return f"agenda:{deployment_id}"


def need_schedule(records: Records, deployment: Deployment, slug: str) -> DeploymentSchedule:
    """Return a schedule by its name, or its id; or raise `NotFound` with what to do."""
    found = records.schedules_of(deployment.id)
    for one in found:
        if slug in (one.slug, one.id):
            return one
    names = ", ".join(one.slug for one in found) or "none"
    raise NotFound(
        f"{deployment.full_name} has no schedule {slug!r}; it has: {names}; make one with "
        f"`stoker deployment schedule create {deployment.full_name} --cron …`"
    )


def add(unit: Unit, deployment: Deployment, schedule: Schedule) -> DeploymentSchedule:
    """Give a deployment one more schedule, whose texts were checked. It fires from now on.

    Raises:
        Conflict: It has one of that name.
        Invalid: Its name or its parameters are impossible.
    """
    unit.records.lock(lock_of(deployment.id))
    there = unit.records.schedules_of(deployment.id)
    (slug,) = _slugs([schedule])
    if any(one.slug == slug for one in there):
        raise Conflict(
            f"slug: {deployment.full_name} has a schedule {slug!r} already; delete it, "
            "or give this one another slug"
        )
    if len(there) >= MOST:
        raise Invalid(f"schedules: {MOST} of a deployment at the most")
    _check_parameters(deployment, schedule)
    return _store(unit, _new(unit, deployment, slug, schedule))


def replace_all(unit: Unit, deployment: Deployment, schedules: Sequence[Schedule]) -> None:
    """Let a deployment have these schedules, whose texts were checked, and no others.

    One that keeps its name and its times goes on where it was, so that none is lost or doubled.

    Raises:
        Invalid: Two have one name; a name or parameters are impossible.
    """
    unit.records.lock(lock_of(deployment.id))
    there = {one.slug: one for one in unit.records.schedules_of(deployment.id)}
    slugs = _slugs(schedules)
    if len(slugs) > MOST:
        raise Invalid(f"schedules: {MOST} of a deployment at the most")
    for slug, schedule in zip(slugs, schedules, strict=True):
        _check_parameters(deployment, schedule)
        before = there.pop(slug, None)
        if before is None:
            _store(unit, _new(unit, deployment, slug, schedule))
        elif before.schedule != replace(schedule, slug=slug):
            _change(unit, before, replace(schedule, slug=slug))
    for gone in there.values():
        unit.records.delete_schedule(gone.id)


def set_active(
    unit: Unit, deployment: Deployment, slug: str, *, active: bool
) -> DeploymentSchedule:
    """Pause a schedule, or let it go on. What was missed while it was paused is not run.

    Raises:
        NotFound: There is no such schedule.
    """
    unit.records.lock(lock_of(deployment.id))
    one = need_schedule(unit.records, deployment, slug)
    if one.schedule.active == active:
        return one
    return _change(unit, one, replace(one.schedule, active=active))


def delete(unit: Unit, deployment: Deployment, slug: str) -> None:
    """Remove a schedule. Runs that it has started go on.

    Raises:
        NotFound: There is no such schedule.
    """
    unit.records.lock(lock_of(deployment.id))
    one = need_schedule(unit.records, deployment, slug)
    unit.records.delete_schedule(one.id)
    unit.rescheduled = True


def delete_all(unit: Unit, deployment: Deployment) -> None:
    """Remove the schedules of a deployment that is deleted."""
    for one in unit.records.schedules_of(deployment.id):
        unit.records.delete_schedule(one.id)


def default_slug(schedule: Schedule) -> str:
    """The name of a schedule that was given none: the same for the same times."""
    kind = next(kind for kind in ("cron", "interval", "rrule") if getattr(schedule, kind))
    text = msgspec.json.encode(
        [schedule.text, schedule.anchor_date, schedule.day_or, schedule.timezone]
    )
    return f"{kind}-{hashlib.sha256(text).hexdigest()[:6]}"


def _slugs(schedules: Sequence[Schedule]) -> list[str]:
    slugs = [one.slug or default_slug(one) for one in schedules]
    twice = sorted({slug for slug in slugs if slugs.count(slug) > 1})
    if twice:
        raise Invalid(
            f"slug: {len(slugs)} schedules, and more than one is called {', '.join(twice)}; give "
            "each a slug of its own"
        )
    for slug in slugs:
        check_name(slug, "schedule (slug)")
    return slugs


def _check_parameters(deployment: Deployment, schedule: Schedule) -> None:
    given = {**deployment.parameters, **schedule.parameters}
    problem = parameter_problems(deployment.signature, given, deployment.full_name)
    if problem is not None:
        raise Invalid(f"parameters: {problem}")


def _new(unit: Unit, deployment: Deployment, slug: str, schedule: Schedule) -> DeploymentSchedule:
    now = unit.now
    return DeploymentSchedule(
        id=new_id(now),
        deployment_id=deployment.id,
        slug=slug,
        schedule=replace(schedule, slug=slug),
        cursor=now,
        next=next_after(schedule, now) if schedule.active else None,
        version=-1,
        created=now,
        updated=now,
    )


def _changed(one: DeploymentSchedule, schedule: Schedule, now: float) -> DeploymentSchedule:
    goes_on = one.schedule.active and one.schedule.same_times(schedule)
    # It never goes back: where the clock was set back, what has fired is not fired again.
    cursor = one.cursor if goes_on else max(one.cursor, now)
    return replace(
        one,
        schedule=schedule,
        cursor=cursor,
        next=next_after(schedule, cursor) if schedule.active else None,
        updated=now,
    )


def _change(unit: Unit, one: DeploymentSchedule, schedule: Schedule) -> DeploymentSchedule:
    for _ in range(TRIES):
        changed = _changed(one, schedule, unit.now)
        if unit.records.put_schedule(changed):
            unit.rescheduled = True
            return changed
        # It has fired since it was read; nobody else changes it, while its lock is held.
        one = unit.records.schedule(one.id) or one
    raise Conflict(f"schedule {one.slug!r} fires without a break; try again")


def _store(unit: Unit, one: DeploymentSchedule) -> DeploymentSchedule:
    unit.records.put_schedule(one)
    unit.rescheduled = True
    return one
