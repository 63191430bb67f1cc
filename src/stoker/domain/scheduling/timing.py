"""What a schedule's texts mean: the instants at which it fires."""

from collections.abc import Iterator
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from stoker.domain.errors import Invalid
from stoker.domain.schedules import CATCHUPS, Schedule

if TYPE_CHECKING:
    from stoker.domain.scheduling.cron import CronSchedule
    from stoker.domain.scheduling.intervals import IntervalSchedule
    from stoker.domain.scheduling.rrules import RRuleSchedule


def timing_of(schedule: Schedule) -> "CronSchedule | IntervalSchedule | RRuleSchedule":
    """Return what gives a schedule's occurrences.

    Raises:
        Invalid: It is of no kind, or of several.
    """
    kinds = [name for name in ("cron", "interval", "rrule") if getattr(schedule, name) is not None]
    if len(kinds) != 1:
        raise Invalid(
            f"a schedule has one of cron, interval and rrule, not {' and '.join(kinds) or 'none'}"
        )
    zone, anchor = schedule.timezone, schedule.anchor_date
    if schedule.cron is not None:
        if anchor is not None:
            raise Invalid("anchor_date: belongs to an interval or rrule, not to a cron")
        from stoker.domain.scheduling.cron import CronSchedule

        return CronSchedule(cron=schedule.cron, timezone=zone, day_or=schedule.day_or)
    if schedule.interval is not None:
        from stoker.domain.scheduling.intervals import IntervalSchedule

        return IntervalSchedule(interval=schedule.interval, anchor_date=anchor, timezone=zone)
    from stoker.domain.scheduling.rrules import RRuleSchedule

    return RRuleSchedule(rrule=schedule.rrule or "", timezone=zone, anchor_date=anchor)


def check(schedule: Schedule) -> None:
    """Refuse a schedule that is impossible; says which field, and what it takes.

    It may take a second, where a rule's days hardly ever come.

    Raises:
        Invalid: It is.
    """
    if schedule.catchup not in CATCHUPS:
        raise Invalid(f"catchup: one of {', '.join(CATCHUPS)}, not {schedule.catchup!r}")
    if schedule.max_catchup is not None and schedule.max_catchup < 1:
        raise Invalid(f"max_catchup: 1 or more, not {schedule.max_catchup}")
    timing_of(schedule).check()


def occurrences(
    schedule: Schedule, after: float, until: float | None = None, limit: int | None = None
) -> Iterator[float]:
    """Yield the instants at which a schedule fires, ascending, each once.

    Args:
        schedule: The schedule.
        after: They are later than this instant, seconds since the epoch.
        until: They are no later than this one.
        limit: So many at the most.

    Example:
        >>> list(occurrences(Schedule(interval=60.0), after=0.0, limit=2))
        [60.0, 120.0]
    """
    found = timing_of(schedule).occurrences(after)
    if until is not None:
        found = takewhile(lambda instant: instant <= until, found)
    return islice(found, limit)


def next_after(schedule: Schedule, after: float) -> float | None:
    """Return the first instant after one at which a schedule fires; None where it never does."""
    return next(occurrences(schedule, after), None)
