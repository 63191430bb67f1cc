"""Pages of events, with filters."""

from typing import NamedTuple

from stoker.domain.automation.triggers import EventTrigger, is_expected, matches
from stoker.domain.events import Event
from stoker.ports.store import Records

SCAN = 1_000
"""Events that are read at a time."""

MAX_SCANNED = 20_000
"""Events that one request looks at, at the most."""


class Page(NamedTuple):
    """Some events, and where to go on; None where there is nothing there."""

    events: list[Event]
    next: int | None


def page_after(
    records: Records,
    after: int,
    horizon: int,
    limit: int,
    which: EventTrigger,
    resource: str | None,
) -> Page:
    """Return the events after a known one, oldest first.

    ``next`` is where to go on in any case: events that are filtered out are behind it.
    """
    found: list[Event] = []
    position, scanned = after, 0
    while position < horizon and scanned < MAX_SCANNED:
        rows = records.events_after(position, horizon, SCAN, resource)
        scanned += len(rows)
        for event in rows:
            position = event.id
            if fits(which, event):
                found.append(event)
                if len(found) == limit:
                    return Page(found, position)
        if len(rows) < SCAN:
            position = horizon
    return Page(found, position)


def page_before(
    records: Records, before: int, limit: int, which: EventTrigger, resource: str | None
) -> Page:
    """Return the events before a known one, newest first."""
    found: list[Event] = []
    position, scanned = before, 0
    while scanned < MAX_SCANNED:
        rows = records.events_before(position, SCAN if limit > 100 else 10 * limit, resource)
        if not rows:
            return Page(found, None)
        scanned += len(rows)
        for event in rows:
            position = event.id
            if fits(which, event):
                found.append(event)
                if len(found) == limit:
                    return Page(found, position)
    return Page(found, position)


def fits(which: EventTrigger, event: Event) -> bool:
    """Whether an event is one that a filter looks for."""
    return is_expected(which, event) and matches(which, event)
