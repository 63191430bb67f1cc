"""Triggers of automations: which events they look at, and when they fire. Prefect 3's words.

https://docs.prefect.io/v3/concepts/event-triggers
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from stoker.domain.automation.filling import look_up
from stoker.domain.errors import Invalid
from stoker.domain.events import Event
from stoker.domain.patterns import fits_any, wanted

LABELS = ("resource", "kind", "name", "flow", "deployment", "pool", "queue", "run", "tags")
"""What an event can be matched by, and told apart by; and ``payload.`` with a path."""

MAX_THRESHOLD = 10_000
MAX_WITHIN = 366 * 86_400.0
MAX_PATTERNS = 100

Labels = Mapping[str, str | list[str]]


class Posture(StrEnum):
    """Whether a trigger fires when events come, or when they do not."""

    REACTIVE = "Reactive"
    PROACTIVE = "Proactive"


class EventTrigger(Struct, tag_field="type", tag="event", kw_only=True, forbid_unknown_fields=True):
    """Fires when events come (Reactive), or when they do not (Proactive).

    Attributes:
        expect: Names of the events, with ``*``; every event where empty.
        match: Labels that they must have (see `LABELS`): a pattern, or several of which one must
            fit (of ``tags`` each); with ``!`` before it must not.
        posture: ``"Reactive"`` fires when ``threshold`` of them came within ``within`` seconds;
            ``"Proactive"`` when fewer did.
        threshold: How many of them.
        within: Seconds; 0, for Reactive, any time.
        after: With Proactive: the time begins with one of these events; without, with the last
            expected one, and with the automation itself.
        for_each: Labels: events that differ in them are counted apart.
    """

    expect: list[str] = field(default_factory=list[str])
    match: Labels = field(default_factory=dict[str, str | list[str]])
    posture: Posture = Posture.REACTIVE
    threshold: int = 1
    within: float = 0.0
    after: list[str] = field(default_factory=list[str])
    for_each: list[str] = field(default_factory=list[str])


class FlowRunStateTrigger(
    Struct, tag_field="type", tag="flow-run-state", kw_only=True, forbid_unknown_fields=True
):
    """Fires when flow runs enter a state, by its name; short for an `EventTrigger`."""

    states: list[str]
    match: Labels = field(default_factory=dict[str, str | list[str]])
    threshold: int = 1
    within: float = 0.0
    for_each: list[str] = field(default_factory=list[str])


class LateRunTrigger(
    Struct, tag_field="type", tag="flow-run-late", kw_only=True, forbid_unknown_fields=True
):
    """Fires when a flow run is late; short for an `EventTrigger`."""

    match: Labels = field(default_factory=dict[str, str | list[str]])


class PoolUnhealthyTrigger(
    Struct, tag_field="type", tag="work-pool-unhealthy", kw_only=True, forbid_unknown_fields=True
):
    """Fires when no worker serves a work pool any more; short for an `EventTrigger`."""

    match: Labels = field(default_factory=dict[str, str | list[str]])


Trigger = EventTrigger | FlowRunStateTrigger | LateRunTrigger | PoolUnhealthyTrigger


def as_event_trigger(trigger: Trigger) -> EventTrigger:
    """Return what a trigger is short for.

    Example:
        >>> as_event_trigger(FlowRunStateTrigger(states=["Failed"])).expect
        ['flow-run.Failed']
    """
    match trigger:
        case EventTrigger():
            return trigger
        case FlowRunStateTrigger():
            return EventTrigger(
                expect=[f"flow-run.{state}" for state in trigger.states],
                match=trigger.match,
                threshold=trigger.threshold,
                within=trigger.within,
                for_each=trigger.for_each,
            )
        case LateRunTrigger():
            return EventTrigger(expect=["flow-run.Late"], match=trigger.match)
        case PoolUnhealthyTrigger():
            return EventTrigger(expect=["work-pool.unhealthy"], match=trigger.match)


def check_trigger(trigger: Trigger) -> None:
    """Refuse a trigger that cannot fire, or that nothing bounds.

    Raises:
        Invalid: Names the field and what is allowed.

    Example:
        >>> check_trigger(EventTrigger(expect=["flow-run.Failed"], threshold=3, within=60))
    """
    if isinstance(trigger, FlowRunStateTrigger) and not trigger.states:
        raise Invalid("trigger.states: one state's name at least, for example 'Failed'")
    whole = as_event_trigger(trigger)
    if not 1 <= whole.threshold <= MAX_THRESHOLD:
        raise Invalid(f"trigger.threshold: 1 to {MAX_THRESHOLD}, not {whole.threshold}")
    if not 0 <= whole.within <= MAX_WITHIN:
        raise Invalid(f"trigger.within: 0 to {MAX_WITHIN:g} seconds, not {whole.within:g}")
    if whole.posture is Posture.PROACTIVE and whole.within <= 0:
        raise Invalid(
            "trigger.within: more than 0 seconds, since a Proactive trigger waits so long"
        )
    if whole.posture is Posture.PROACTIVE and not whole.expect:
        raise Invalid("trigger.expect: one event at least, whose absence a Proactive trigger sees")
    if whole.posture is Posture.REACTIVE and whole.after:
        raise Invalid("trigger.after: only with posture Proactive")
    check_patterns("trigger.expect", whole.expect)
    check_patterns("trigger.after", whole.after)
    for label, patterns in whole.match.items():
        _check_label("trigger.match", label)
        check_patterns(f"trigger.match.{label}", _listed(patterns))
    for label in whole.for_each:
        _check_label("trigger.for_each", label)


def _check_label(place: str, label: str) -> None:
    if label not in LABELS and not (label.startswith("payload.") and len(label) > 8):
        raise Invalid(
            f"{place}: {label!r} is no label; there is: {', '.join(LABELS)}, payload.NAME"
        )


def check_patterns(place: str, patterns: list[str]) -> None:
    """Refuse patterns that nothing can fit, or that are no text of a store.

    Raises:
        Invalid: Names the field.
    """
    if len(patterns) > MAX_PATTERNS:
        raise Invalid(f"{place}: {MAX_PATTERNS} at the most, not {len(patterns)}")
    for pattern in patterns:
        if not pattern or len(pattern) > 500 or "\x00" in pattern:
            raise Invalid(f"{place}: each 1 to 500 characters, without NUL")


def matches(trigger: EventTrigger, event: Event) -> bool:
    """Whether an event has the labels that a trigger looks for, whatever its name."""
    for label, patterns in trigger.match.items():
        if not wanted(values_of(event, label), _listed(patterns), every=label == "tags"):
            return False
    return True


def is_expected(trigger: EventTrigger, event: Event) -> bool:
    """Whether a trigger counts an event, by its name."""
    return not trigger.expect or fits_any(event.event, trigger.expect)


def begins(trigger: EventTrigger, event: Event) -> bool:
    """Whether a trigger's time begins with an event, by its name."""
    return fits_any(event.event, trigger.after)


def values_of(event: Event, label: str) -> list[str]:
    """Return an event's values of a label."""
    if label == "tags":
        return event.tags
    if label.startswith("payload."):
        found = look_up(event.payload, label.removeprefix("payload."))
    else:
        found = {
            "resource": event.resource.id,
            "kind": event.resource.kind,
            "name": event.resource.name,
            "flow": event.flow,
            "deployment": event.deployment,
            "pool": event.pool,
            "queue": event.queue,
            "run": event.run_id,
        }[label]
    return [] if found is None else [str(found)]


def key_of(trigger: EventTrigger, event: Event) -> str:
    """Return what tells an event's count apart from others."""
    parts: list[Any] = [values_of(event, label) for label in trigger.for_each]
    return "\x1f".join("\x1e".join(part) for part in parts)


def _listed(patterns: str | list[str]) -> list[str]:
    return [patterns] if isinstance(patterns, str) else patterns
