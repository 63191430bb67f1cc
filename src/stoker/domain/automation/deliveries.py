"""Firings of automations, and the outbox: each of their actions until it is done."""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stoker.domain.automation.actions import Action, masked
from stoker.domain.events import Event


class Firing(Struct, kw_only=True):
    """One time that an automation fired.

    Attributes:
        id: UUIDv7.
        automation_id: Whose.
        automation: Its name.
        at: When, seconds since the epoch.
        event: The event that made it fire; for an absence, the one that the time began with.
        count: How many events it fired for.
        depth: How many automations lie behind it, itself included.
    """

    id: str
    automation_id: str
    automation: str
    at: float
    event: Event
    count: int = 1
    depth: int = 1


class Known(Struct, kw_only=True):
    """What templates may name.

    Attributes:
        automation: ``id`` and ``name``.
        event: See `Event`.
        firing: ``id``, ``at`` and ``count``.
        flow_run: ``id``, ``name``, ``state``, ``message``, ``parameters``, where there is one.
        link: Where a person sees more.
        summary: All of it in one line.
    """

    automation: dict[str, Any]
    event: dict[str, Any]
    firing: dict[str, Any]
    flow_run: dict[str, Any] | None = None
    link: str = ""
    summary: str = ""


def known(firing: Firing, link: str, *, run: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what templates of a firing's actions may name; see `Known`.

    Args:
        firing: The firing.
        link: Where a person sees more.
        run: The flow run that the event concerns.
    """
    event: dict[str, Any] = msgspec.to_builtins(firing.event)
    return msgspec.to_builtins(
        Known(
            automation={"id": firing.automation_id, "name": firing.automation},
            event=event,
            firing={"id": firing.id, "at": firing.at, "count": firing.count},
            flow_run=run,
            link=link,
            summary=_summary(firing),
        )
    )


def _summary(firing: Firing) -> str:
    event = firing.event
    about = event.resource.name or event.resource.id
    of = f" of {event.deployment or event.flow}" if event.deployment or event.flow else ""
    message = event.payload.get("message")
    said = f": {message}" if message else ""
    times = f" ({firing.count} events)" if firing.count > 1 else ""
    return f"{event.event}{times}: {event.resource.kind} {about}{of}{said}"


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


class Delivery(Struct, kw_only=True):
    """One action of one firing, in the outbox until it is done.

    Attributes:
        id: The firing's id and the action's place; the idempotency key under which it is done.
        firing: What fired.
        action: What is to be done.
        place: Which of the automation's actions it is.
        state: ``"pending"``, ``"done"`` or ``"dead"``.
        attempts: How often it was tried.
        due: When it is tried next, seconds since the epoch.
        claimed_until: Until when a server is at it.
        error: Why the last attempt failed, without secrets.
        outcome: What came of it: the id of the run that it started, the status of the answer.
        run_id: The run that it started.
        ended: When it was done, or given up.
    """

    id: str
    firing: Firing
    action: Action
    place: int = 0
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    due: float = 0.0
    claimed_until: float = 0.0
    error: str = ""
    outcome: str = ""
    run_id: str | None = None
    ended: float | None = None


MAX_ATTEMPTS = 10
"""Attempts after which a delivery is given up."""


def pause_before(attempt: int) -> float:
    """Seconds from a failed attempt to the next one: 1, 2, 4, … up to 10 minutes.

    Example:
        >>> [pause_before(number) for number in (1, 2, 3, 20)]
        [1.0, 2.0, 4.0, 600.0]
    """
    return min(600.0, 2.0 ** min(attempt - 1, 20))


def shown_delivery(delivery: Delivery) -> Delivery:
    """Return a delivery as it may be shown, without secrets."""
    return replace(delivery, action=masked(delivery.action))
