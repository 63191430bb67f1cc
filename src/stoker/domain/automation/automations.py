"""Automations: a trigger on events, and what is done when it fires."""

from msgspec import Struct
from msgspec.structs import replace

from stoker.domain.automation.actions import Action, check_action, masked
from stoker.domain.automation.triggers import EventTrigger, Trigger, as_event_trigger, check_trigger
from stoker.domain.errors import Invalid

MAX_ACTIONS = 20

MAX_DEPTH = 5
"""Automations that may follow one from another; the next one of such a chain does not fire.

So an automation that starts a run whose failure triggers it again comes to an end.
"""

MAX_RATE = 600
"""Firings of one automation in a minute, at the most.

It bounds the loops that lead through somebody else's program, where no chain can be seen.
"""


class Automation(Struct, kw_only=True):
    """Does something when events come, or do not.

    Attributes:
        name: Its name; no two have the same.
        trigger: When it fires.
        actions: What it does then, each on its own.
        description: For people.
        enabled: Whether it fires; a paused one misses what happens meanwhile.
        id: UUIDv7.
        since: It looks at events after this one.
        created: Seconds since the epoch.
        updated: Seconds since the epoch.
        suppressed: Firings that `MAX_DEPTH` or `MAX_RATE` prevented.
        problem: Why the last of them was prevented.
    """

    name: str
    trigger: Trigger
    actions: list[Action]
    description: str = ""
    enabled: bool = True
    id: str = ""
    since: int = 0
    created: float = 0.0
    updated: float = 0.0
    suppressed: int = 0
    problem: str = ""

    @property
    def event_trigger(self) -> EventTrigger:
        """Its trigger, written out."""
        return as_event_trigger(self.trigger)


def check_automation(automation: Automation) -> None:
    """Refuse an automation that cannot work.

    Raises:
        Invalid: Names the field and what is allowed.
    """
    if len(automation.description) > 2_000:
        raise Invalid("description: 2000 characters at the most")
    check_trigger(automation.trigger)
    if not 1 <= len(automation.actions) <= MAX_ACTIONS:
        raise Invalid(f"actions: 1 to {MAX_ACTIONS}, not {len(automation.actions)}")
    for index, action in enumerate(automation.actions):
        check_action(f"actions[{index}]", action)


def shown(automation: Automation) -> Automation:
    """Return an automation as it may be shown, without its secrets."""
    return replace(automation, actions=[masked(action) for action in automation.actions])
