"""Bodies of the HTTP API about events and automations."""

from msgspec import UNSET, Struct, UnsetType, field

from stoker.domain.automation.actions import Action
from stoker.domain.automation.automations import Automation
from stoker.domain.automation.deliveries import Delivery
from stoker.domain.automation.triggers import Trigger
from stoker.domain.events import Event


class EventPage(Struct, kw_only=True):
    """Answer of ``GET /api/events``.

    Attributes:
        events: Newest first; oldest first where ``after`` was asked for.
        next: The ``before``, or ``after``, of the next page; None where there is none yet.
    """

    events: list[Event]
    next: int | None = None


class AutomationPut(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /api/automations`` and ``PUT /api/automations/{name}``; see `Automation`."""

    name: str
    trigger: Trigger
    actions: list[Action]
    description: str = ""
    enabled: bool = True


class AutomationPatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of ``PATCH /api/automations/{name}``: what is left out stays as it is."""

    enabled: bool | UnsetType = UNSET


class AutomationDetail(Struct, kw_only=True):
    """Answer of ``GET /api/automations/{name}``: secrets are masked.

    Attributes:
        automation: The automation.
        deliveries: What it did last, newest first.
    """

    automation: Automation
    deliveries: list[Delivery] = field(default_factory=list[Delivery])


class AutomationTest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /api/automations/{name}/test``.

    Attributes:
        event: The id of the event to fire for; a made-up one where it is None.
    """

    event: int | None = None
