"""Making, changing and trying automations."""

from difflib import get_close_matches

from msgspec.structs import replace

from stoker.domain.automation.automations import Automation, check_automation
from stoker.domain.automation.deliveries import Delivery
from stoker.domain.automation.windows import armed
from stoker.domain.errors import Conflict, NotFound
from stoker.domain.events import Event, Resource
from stoker.domain.ids import new_id
from stoker.ports.store import Records
from stoker.services.automations.firing import fire
from stoker.services.naming import check_name
from stoker.services.unit import Unit

LOCK = "automations"
"""Held by whoever changes automations, or what they remember."""


def need_automation(records: Records, name: str) -> Automation:
    """Return an automation by its name or id.

    Raises:
        NotFound: There is none.
    """
    found = records.automation(name)
    if found is None:
        close = get_close_matches(name, [one.name for one in records.automations()], n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise NotFound(
            f"there is no automation {name!r}; {hint}`stoker automation ls` lists those there are"
        )
    return found


def create_automation(unit: Unit, automation: Automation) -> Automation:
    """Store a new automation. It looks at what happens from now on.

    Raises:
        Conflict: The name is taken.
        Invalid: It cannot work.
    """
    _check(automation)
    unit.records.lock(LOCK)
    if unit.records.automation(automation.name) is not None:
        raise Conflict(f"there is an automation {automation.name!r} already")
    automation.id = new_id(unit.now)
    automation.created = automation.updated = unit.now
    automation.suppressed, automation.problem = 0, ""
    _put(unit, automation, "created")
    _begin(unit, automation)
    return automation


def replace_automation(unit: Unit, name: str, automation: Automation) -> Automation:
    """Put a new definition in an automation's place. What it has counted is forgotten.

    Raises:
        NotFound: There is no such automation.
        Conflict: Its new name is another's.
        Invalid: It cannot work.
    """
    _check(automation)
    unit.records.lock(LOCK)
    before = need_automation(unit.records, name)
    other = unit.records.automation(automation.name)
    if other is not None and other.id != before.id:
        raise Conflict(f"there is an automation {automation.name!r} already")
    automation.id, automation.created = before.id, before.created
    automation.updated = unit.now
    _put(unit, automation, "updated")
    _begin(unit, automation)
    return automation


def enable(unit: Unit, name: str, enabled: bool) -> Automation:
    """Pause an automation, or let it fire again: for what happens from then on.

    Raises:
        NotFound: There is no such automation.
    """
    unit.records.lock(LOCK)
    automation = need_automation(unit.records, name)
    if automation.enabled == enabled:
        return automation
    automation.enabled = enabled
    automation.updated = unit.now
    _put(unit, automation, "resumed" if enabled else "paused")
    _begin(unit, automation)
    return automation


def delete_automation(unit: Unit, name: str) -> None:
    """Forget an automation, and what it had still to do.

    Raises:
        NotFound: There is no such automation.
    """
    unit.records.lock(LOCK)
    automation = need_automation(unit.records, name)
    unit.records.delete_automation(automation.id)
    _told(unit, automation, "deleted")


def try_automation(unit: Unit, name: str, event: Event | None) -> list[Delivery]:
    """Have an automation do, once, what it does: for an event, or for one that is made up.

    Raises:
        NotFound: There is no such automation.
    """
    unit.records.lock(LOCK)
    automation = need_automation(unit.records, name)
    about = event or sample(automation, unit.now)
    return fire(unit, automation, replace(about, at=about.at or unit.now), count=1, bounded=False)


def sample(automation: Automation, now: float) -> Event:
    """Return an event as the automation may meet it, about itself."""
    expected = [*automation.event_trigger.expect, "automation.tried"]
    return Event(
        event=expected[0].replace("*", "tried"),
        at=now,
        resource=Resource("automation", automation.id, automation.name),
        payload={"message": "this is a trial"},
    )


def _check(automation: Automation) -> None:
    check_name(automation.name, "automation")
    check_automation(automation)


def _put(unit: Unit, automation: Automation, what: str) -> None:
    automation.since = unit.records.last_event()
    unit.records.put_automation(automation)
    _told(unit, automation, what)


def _told(unit: Unit, automation: Automation, what: str) -> None:
    unit.automations = True
    unit.events.append(
        Event(
            event=f"automation.{what}",
            at=unit.now,
            resource=Resource("automation", automation.id, automation.name),
            depth=unit.depth,
        )
    )


def _begin(unit: Unit, automation: Automation) -> None:
    """Begin to count, and to wait, afresh."""
    unit.records.delete_windows(automation.id)
    window = armed(automation.event_trigger, automation.id, unit.now)
    if automation.enabled and window is not None:
        unit.records.put_window(window)
