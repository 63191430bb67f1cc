"""Counting events within a time, and noticing their absence: pure steps of one trigger's state."""

from msgspec import Struct, field

from stoker.domain.automation.triggers import EventTrigger, Posture, begins, is_expected, matches
from stoker.domain.events import Event


class Window(Struct, kw_only=True):
    """What a trigger remembers of one resource, or of all.

    Attributes:
        automation_id: Whose.
        key: Which resource (see `key_of`).
        times: When the events came that are counted, oldest first.
        due: When it is over. Then a Proactive trigger fires, and a Reactive one forgets; None for
            one that is never over.
        event: With Proactive: the event that it began with.
    """

    automation_id: str
    key: str = ""
    times: list[float] = field(default_factory=list[float])
    due: float | None = None
    event: Event | None = None


class Step(Struct, frozen=True):
    """What an event makes of a window.

    Attributes:
        window: The window from now on; None for none.
        fires: Whether the trigger fires, with this event.
        count: How many events it fires for.
    """

    window: Window | None
    fires: bool = False
    count: int = 0


def concerns(trigger: EventTrigger, event: Event) -> bool:
    """Whether a trigger looks at an event at all."""
    return (is_expected(trigger, event) or begins(trigger, event)) and matches(trigger, event)


def armed(trigger: EventTrigger, automation_id: str, now: float) -> Window | None:
    """The window with which a trigger begins before any event; most have none.

    It is that of a Proactive trigger that waits for nothing to begin with.
    """
    if trigger.posture is Posture.REACTIVE or trigger.after or trigger.for_each:
        return None
    return Window(automation_id=automation_id, due=now + trigger.within)


def advance(
    trigger: EventTrigger, automation_id: str, key: str, window: Window | None, event: Event
) -> Step:
    """Take in an event that the trigger looks at.

    Example:
        >>> from stoker.domain.events import Resource
        >>> event = Event(event="x", at=5.0, resource=Resource("file", "a"))
        >>> advance(EventTrigger(expect=["x"]), "id", "", None, event).fires
        True
    """
    if trigger.posture is Posture.REACTIVE:
        return _counted(trigger, automation_id, key, window, event)
    return _awaited(trigger, automation_id, key, window, event)


def _counted(
    trigger: EventTrigger, automation_id: str, key: str, window: Window | None, event: Event
) -> Step:
    # Servers' clocks differ a little: the times need not come in order.
    times = sorted([*(window.times if window is not None else ()), event.at])
    if trigger.within:
        times = [at for at in times if at >= times[-1] - trigger.within]
    if len(times) >= trigger.threshold:
        return Step(None, fires=True, count=len(times))
    due = times[-1] + trigger.within if trigger.within else None
    return Step(Window(automation_id=automation_id, key=key, times=times, due=due))


def _awaited(
    trigger: EventTrigger, automation_id: str, key: str, window: Window | None, event: Event
) -> Step:
    if is_expected(trigger, event):
        if window is not None:
            times = [*window.times, event.at]
            window = Window(
                automation_id=automation_id,
                key=key,
                times=times,
                due=window.due,
                event=window.event,
            )
            if len(times) < trigger.threshold:
                return Step(window)
        window = None if trigger.after else _begun(trigger, automation_id, key, event)
    if window is None and begins(trigger, event):
        window = _begun(trigger, automation_id, key, event)
    return Step(window)


def _begun(trigger: EventTrigger, automation_id: str, key: str, event: Event) -> Window:
    return Window(automation_id=automation_id, key=key, due=event.at + trigger.within, event=event)
