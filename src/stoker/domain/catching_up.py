"""Which occurrences of a schedule are run now: those that are due, and of those missed some."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from stoker.domain.schedules import DeploymentSchedule, Schedule
from stoker.domain.timing import next_after, occurrences


class Firing(Struct, frozen=True):
    """What a schedule does next.

    Attributes:
        schedule: As it was when that was decided.
        instants: Occurrences to run, ascending.
        cursor: What it has dealt with then, seconds since the epoch.
        next: The occurrence after that; None where there is none.
    """

    schedule: DeploymentSchedule
    instants: list[float]
    cursor: float
    next: float | None


def firing(one: DeploymentSchedule, now: float, up_since: float, most: int) -> Firing:
    """Say which occurrences of a schedule are to be run.

    Args:
        one: The schedule.
        now: Seconds since the epoch.
        up_since: Since when somebody has looked at schedules without a break: what was to fire
            before was missed, and ``catchup`` says what becomes of it.
        most: Occurrences at a time; where there are more, ``next`` is not after ``now``.

    Example:
        >>> schedule = Schedule(interval=60.0, catchup="latest")
        >>> one = DeploymentSchedule(id="", deployment_id="", slug="", schedule=schedule, cursor=0)
        >>> firing(one, now=300.0, up_since=250.0, most=100).instants
        [240.0, 300.0]
    """
    found = occurrences(one.schedule, one.cursor, until=now)
    keeps = {"none": 0, "latest": 1}.get(one.schedule.catchup, one.schedule.max_catchup)
    if keeps is not None:
        found = _without_most_missed(found, up_since, keeps)
    instants = list(islice(found, most))
    cursor = instants[-1] if len(instants) == most else max(now, one.cursor)
    return Firing(one, instants, cursor, _next(one.schedule, cursor))


def _next(schedule: Schedule, cursor: float) -> float | None:
    return next_after(schedule, cursor) if schedule.active else None


def _without_most_missed(found: Iterator[float], up_since: float, keeps: int) -> Iterator[float]:
    """Leave out what was missed, but for the newest ``keeps`` of it."""
    missed: deque[float] = deque(maxlen=keeps)
    for instant in found:
        if instant < up_since:
            missed.append(instant)
            continue
        yield from missed
        missed.clear()
        yield instant
    yield from missed
