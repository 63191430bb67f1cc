"""Schedules of deployments: when a flow is run by itself, and with which parameters.

Example:
    ```python
    from datetime import timedelta

    from stoker.schedules import Cron, Interval, RRule

    etl.deploy(
        "nightly",
        work_pool_name="default",
        schedules=[
            Cron("0 2 * * *", timezone="Europe/Berlin", parameters={"full": True}),
            Interval(timedelta(minutes=10), active=False, slug="often"),
            RRule("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17"),
        ],
    )
    ```
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from stoker.domain.schedules import Schedule
from stoker.domain.scheduling.timing import check
from stoker.engine.parameters import sendable

__all__ = ["Cron", "Interval", "RRule", "Schedule", "schedules_of"]


def Cron(
    cron: str,
    /,
    timezone: str | None = None,
    day_or: bool = True,
    active: bool = True,
    parameters: Mapping[str, Any] | None = None,
    slug: str | None = None,
    catchup: str = "all",
    max_catchup: int | None = None,
) -> Schedule:
    """Return a schedule of a cron expression.

    Args:
        cron: Five fields: minute, hour, day of the month, month, day of the week; or an alias such
            as ``"@daily"``.
        timezone: IANA name of the time zone that it is meant in; UTC by default.
        day_or: Whether one that names days of the month and of the week fires on either, or only
            where both fit.
        active: Whether it fires.
        parameters: Over the deployment's.
        slug: Its name; made of what it is by default.
        catchup: What becomes of occurrences of a time in which no server was up: ``"all"``,
            ``"latest"`` or ``"none"`` of them are run.
        max_catchup: How many of these at the most, the newest ones.

    Raises:
        Invalid: Something is impossible; says what.

    Example:
        >>> Cron("0 9 * * 1-5", timezone="Europe/Berlin").text
        'cron 0 9 * * 1-5 (Europe/Berlin)'
    """
    return _checked(
        Schedule(
            cron=cron,
            timezone=timezone,
            day_or=day_or,
            active=active,
            parameters=sendable(parameters or {}, "Cron"),
            slug=slug,
            catchup=catchup,
            max_catchup=max_catchup,
        )
    )


def Interval(
    interval: timedelta | float,
    /,
    anchor_date: datetime | str | None = None,
    timezone: str | None = None,
    active: bool = True,
    parameters: Mapping[str, Any] | None = None,
    slug: str | None = None,
    catchup: str = "all",
    max_catchup: int | None = None,
) -> Schedule:
    """Return a schedule of instants at equal distances.

    Args:
        interval: The distance, a `timedelta` or seconds; 1 second or more. From a day on it is
            counted on the wall's clock, below it is time that passes.
        anchor_date: One of the instants; without a time zone of its own it is meant in
            ``timezone``. Midnight of 2020-01-01 by default.
        timezone: IANA name; UTC by default.
        active: Whether it fires.
        parameters: Over the deployment's.
        slug: Its name; made of what it is by default.
        catchup: See `Cron`.
        max_catchup: See `Cron`.

    Raises:
        Invalid: Something is impossible; says what.

    Example:
        >>> Interval(timedelta(hours=6)).text
        'every 21600 s'
    """
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else float(interval)
    anchor = anchor_date.isoformat() if isinstance(anchor_date, datetime) else anchor_date
    return _checked(
        Schedule(
            interval=seconds,
            anchor_date=anchor,
            timezone=timezone,
            active=active,
            parameters=sendable(parameters or {}, "Interval"),
            slug=slug,
            catchup=catchup,
            max_catchup=max_catchup,
        )
    )


def RRule(
    rrule: str,
    /,
    timezone: str | None = None,
    active: bool = True,
    parameters: Mapping[str, Any] | None = None,
    slug: str | None = None,
    anchor_date: datetime | str | None = None,
    catchup: str = "all",
    max_catchup: int | None = None,
) -> Schedule:
    """Return a schedule of a recurrence rule of RFC 5545, or of a set of them.

    Args:
        rrule: ``RRULE`` (or its value alone), ``DTSTART``, ``RDATE``, ``EXDATE``, ``EXRULE``, each
            on a line or parted by blanks.
        timezone: IANA name; that of ``DTSTART;TZID=…`` by default, else UTC.
        active: Whether it fires.
        parameters: Over the deployment's.
        slug: Its name; made of what it is by default.
        anchor_date: Its start, where there is no ``DTSTART``; see `Interval`.
        catchup: See `Cron`.
        max_catchup: See `Cron`.

    Raises:
        Invalid: Something is impossible; says what.

    Example:
        >>> RRule("FREQ=MONTHLY;BYDAY=-1FR").text
        'rrule FREQ=MONTHLY;BYDAY=-1FR'
    """
    anchor = anchor_date.isoformat() if isinstance(anchor_date, datetime) else anchor_date
    return _checked(
        Schedule(
            rrule=rrule,
            timezone=timezone,
            anchor_date=anchor,
            active=active,
            parameters=sendable(parameters or {}, "RRule"),
            slug=slug,
            catchup=catchup,
            max_catchup=max_catchup,
        )
    )


def _checked(schedule: Schedule) -> Schedule:
    check(schedule)
    return schedule


def schedules_of(
    cron: str | Iterable[str] | None,
    interval: timedelta | float | Iterable[timedelta | float] | None,
    rrule: str | Iterable[str] | None,
    schedule: Schedule | None,
    schedules: Iterable[Schedule] | None,
) -> list[Schedule] | None:
    """Return the schedules that the options of a deployment name; None where none was given.

    Raises:
        TypeError: One is no schedule.
        Invalid: One is impossible.
    """
    if all(one is None for one in (cron, interval, rrule, schedule, schedules)):
        return None
    found = [Cron(one) for one in _listed(cron)]
    found += [Interval(one) for one in _listed(interval)]
    found += [RRule(one) for one in _listed(rrule)]
    found += [] if schedule is None else [schedule]
    found += [] if schedules is None else list(schedules)
    for one in found:
        # Users need not heed types.
        if not isinstance(cast(object, one), Schedule):
            raise TypeError(
                f"schedules: takes what Cron(…), Interval(…) and RRule(…) of stoker.schedules "
                f"return, not {one!r}"
            )
    return found


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return [given] if isinstance(given, (str, int, float, timedelta)) else list(given)
