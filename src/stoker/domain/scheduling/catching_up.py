"""Which occurrences of a schedule are run now: those that are due, and of those missed some."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from msgspec import Struct

from stoker.domain.schedules import DeploymentSchedule
from stoker.domain.scheduling.timing import next_after, occurrences

SETTLING = 2.0
"""Seconds for which what was missed is left alone: another server may be about to run it, and only
where none does it was missed indeed."""


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


def firing(one: DeploymentSchedule, now: float, up_since: float, most: int) -> Firing | None:
    """Say which occurrences of a schedule are to be run; None where it is too early to say.

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
        missed, newest, on_time = _missed(found, up_since, keeps)
        if newest > now - SETTLING:
            return None
        found = chain(missed, on_time, found)
    instants = list(islice(found, most))
    cursor = instants[-1] if len(instants) == most else max(now, one.cursor)
    upcoming = next_after(one.schedule, cursor) if one.schedule.active else None
    return Firing(one, instants, cursor, upcoming)


def _missed(
    found: Iterator[float], up_since: float, keeps: int
) -> tuple[Iterable[float], float, list[float]]:
    """The newest missed occurrences, the very newest, and the first that was not missed."""
    kept: deque[float] = deque(maxlen=keeps)
    newest = float("-inf")
    for instant in found:
        if instant >= up_since:
            return kept, newest, [instant]
        kept.append(instant)
        newest = instant
    return kept, newest, []
