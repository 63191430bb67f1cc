"""Automations fire: what they have to do goes into the outbox, in the same transaction."""

from collections.abc import Sequence

from stoker.domain.automation.automations import MAX_DEPTH, MAX_RATE, Automation
from stoker.domain.automation.deliveries import Delivery, Firing
from stoker.domain.automation.triggers import Posture, key_of
from stoker.domain.automation.windows import Window, advance, concerns
from stoker.domain.events import Event, Resource
from stoker.domain.ids import new_id
from stoker.ports.store import Records
from stoker.services.unit import Unit

MAX_PARENTS = 20
"""Runs up a chain of parents that are looked at for what began it."""


def take_in(unit: Unit, automations: Sequence[Automation], events: Sequence[Event]) -> None:
    """Have automations see events, in their order.

    Args:
        unit: The transaction.
        automations: Those that are enabled, as they are now.
        events: Oldest first.
    """
    looking = [(one, one.event_trigger) for one in automations]
    for event in events:
        for automation, trigger in looking:
            if event.id <= automation.since or not concerns(trigger, event):
                continue
            key = key_of(trigger, event)
            window = None
            if trigger.posture is Posture.PROACTIVE or trigger.threshold > 1:
                window = unit.records.window(automation.id, key)
            step = advance(trigger, automation.id, key, window, event)
            if step.window is not None:
                unit.records.put_window(step.window)
            elif window is not None:
                unit.records.delete_window(automation.id, key)
            if step.fires:
                fire(unit, automation, event, count=step.count)


def expire(unit: Unit, automations: Sequence[Automation], windows: Sequence[Window]) -> None:
    """Windows are over: those in which an event was awaited have their automations fire."""
    by_id = {one.id: one for one in automations}
    for window in windows:
        unit.records.delete_window(window.automation_id, window.key)
        automation = by_id.get(window.automation_id)
        if automation is None or automation.event_trigger.posture is not Posture.PROACTIVE:
            continue
        event = window.event or _silence(automation, unit.now)
        fire(unit, automation, event, count=len(window.times))


def _silence(automation: Automation, now: float) -> Event:
    """What an automation fires for that has seen no event at all."""
    expected = ", ".join(automation.event_trigger.expect)
    return Event(
        event="automation.silence",
        at=now,
        resource=Resource("automation", automation.id, automation.name),
        payload={"message": f"no {expected} within {automation.event_trigger.within:g} s"},
    )


def fire(
    unit: Unit, automation: Automation, event: Event, *, count: int, bounded: bool = True
) -> list[Delivery]:
    """Put an automation's actions into the outbox, unless that would make a loop without end."""
    depth = 1 + max(event.depth, _depth_of(unit.records, event.run_id))
    why = _unbounded(unit, automation, depth) if bounded else ""
    if why:
        automation.suppressed += 1
        automation.problem = why
        unit.records.put_automation(automation)
        return []
    firing = Firing(
        id=new_id(unit.now),
        automation_id=automation.id,
        automation=automation.name,
        at=unit.now,
        event=event,
        count=count,
        depth=depth,
    )
    deliveries: list[Delivery] = []
    for place, action in enumerate(automation.actions):
        delivery = Delivery(
            id=f"{firing.id}.{place}", firing=firing, action=action, place=place, due=unit.now
        )
        unit.records.put_delivery(delivery)
        deliveries.append(delivery)
    unit.outbox = True
    unit.events.append(
        Event(
            event="automation.triggered",
            at=unit.now,
            resource=Resource("automation", automation.id, automation.name),
            run_id=event.run_id,
            payload={"firing": firing.id, "event": event.event, "count": count},
            depth=depth,
        )
    )
    return deliveries


def _unbounded(unit: Unit, automation: Automation, depth: int) -> str:
    if depth > MAX_DEPTH:
        return f"{MAX_DEPTH} automations have followed one from another; this would be one more"
    if unit.records.firings_since(automation.id, unit.now - 60.0) >= MAX_RATE:
        return f"it has fired {MAX_RATE} times within a minute"
    return ""


def _depth_of(records: Records, run_id: str | None) -> int:
    """How many automations lie behind a run: those that started it, or one of its parents."""
    for _ in range(MAX_PARENTS):
        if run_id is None:
            break
        depth = records.depth_of_run(run_id)
        if depth:
            return depth
        run = records.flow_run(run_id)
        run_id = run.parent_run_id if run is not None else None
    return 0
