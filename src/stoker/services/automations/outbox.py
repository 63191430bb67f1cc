"""The outbox: deliveries are claimed, done, and noted."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from stoker.domain.automation.actions import CallWebhook, SendNotification, without_secrets
from stoker.domain.automation.deliveries import (
    MAX_ATTEMPTS,
    Delivery,
    DeliveryState,
    known,
    pause_before,
)
from stoker.domain.automation.filling import fill, fill_text
from stoker.domain.errors import StokerError
from stoker.domain.events import Event, Resource
from stoker.ports.store import Records
from stoker.services.automations.acting import act
from stoker.services.unit import Unit

LOCK = "outbox"
"""Held by whoever claims deliveries: no two servers are at one of them."""

MARGIN = 3.0
"""Seconds beyond an action's timeout for which a server claims it."""

Link = Callable[[Event], str]
Values = dict[str, Any]


class Claimed(msgspec.Struct, frozen=True):
    """What a server is to do now.

    Attributes:
        internal: Ids of deliveries that are done within the store.
        outside: Messages to send, with what their templates may name.
    """

    internal: list[str]
    outside: list[tuple[Delivery, Values]]


def claim(unit: Unit, limit: int, link: Link) -> Claimed:
    """Claim messages to send, each for as long as sending it may take; and name what is to do.

    Args:
        unit: The transaction.
        limit: Messages at the most.
        link: Where a person sees more of an event.
    """
    records = unit.records
    records.lock(LOCK)
    claimed = Claimed([], [])
    for delivery in records.due_deliveries(unit.now, limit):
        action = delivery.action
        if not isinstance(action, CallWebhook | SendNotification):
            claimed.internal.append(delivery.id)
            continue
        delivery.attempts += 1
        delivery.claimed_until = unit.now + action.timeout + MARGIN
        if not records.change_delivery(delivery):
            continue
        claimed.outside.append((delivery, _values(records, delivery, link)))
    return claimed


def act_on(unit: Unit, delivery_id: str, link: Link) -> None:
    """Do what is done within the store, once, and note it in the same transaction.

    Raises:
        StokerError: It cannot be done.
    """
    unit.records.lock(LOCK)
    delivery = unit.records.delivery(delivery_id)
    if delivery is None or delivery.state is not DeliveryState.PENDING:
        return
    action = delivery.action
    if isinstance(action, CallWebhook | SendNotification):
        return
    delivery.outcome = act(unit, delivery, action, _values(unit.records, delivery, link))
    delivery.attempts += 1
    _end(unit, delivery, DeliveryState.DONE)


def sent(unit: Unit, delivery: Delivery, outcome: str) -> None:
    """A message was taken."""
    delivery.outcome = outcome
    _end(unit, delivery, DeliveryState.DONE)


def failed(unit: Unit, delivery: Delivery, error: StokerError, *, for_good: bool) -> None:
    """An attempt has failed: another one follows, or it is given up."""
    delivery.error = without_secrets(str(error), delivery.action)[:1_000]
    if for_good or delivery.attempts >= MAX_ATTEMPTS:
        _end(unit, delivery, DeliveryState.DEAD)
        return
    delivery.claimed_until = 0.0
    delivery.due = unit.now + pause_before(delivery.attempts)
    unit.records.change_delivery(delivery)
    unit.outbox = True


def refused(unit: Unit, delivery_id: str, error: StokerError) -> None:
    """What is done within the store could not be done."""
    unit.records.lock(LOCK)
    delivery = unit.records.delivery(delivery_id)
    if delivery is not None and delivery.state is DeliveryState.PENDING:
        delivery.attempts += 1
        # What is wrong in itself is no less so in a second.
        failed(unit, delivery, error, for_good=error.status in {404, 422})


def _end(unit: Unit, delivery: Delivery, state: DeliveryState) -> None:
    delivery.state = state
    delivery.claimed_until = 0.0
    delivery.ended = unit.now
    if state is DeliveryState.DONE:
        delivery.error = ""
    # A deleted automation's are forgotten, also the one that is just being sent; and a server
    # that stood still for long must not undo what another one has noted meanwhile.
    if unit.records.change_delivery(delivery) and state is DeliveryState.DEAD:
        unit.events.append(
            Event(
                event="automation.action-failed",
                at=unit.now,
                resource=Resource(
                    "automation", delivery.firing.automation_id, delivery.firing.automation
                ),
                payload={"action": delivery.place, "message": delivery.error},
                depth=delivery.firing.depth,
            )
        )


def _values(records: Records, delivery: Delivery, link: Link) -> Values:
    event = delivery.firing.event
    run = records.flow_run(event.run_id) if event.run_id is not None else None
    told = None
    if run is not None:
        told = {
            "id": run.id,
            "name": run.name,
            "flow": run.flow_name,
            "deployment": run.deployment,
            "state": run.state.name,
            "message": run.state.message,
            "parameters": run.parameters,
        }
    return known(delivery.firing, link(event), run=told)


def body_of(action: CallWebhook, values: Values) -> bytes:
    """The body of a webhook: its own payload, or all that is known but the run's parameters."""
    if action.payload is not None:
        return msgspec.json.encode(fill(action.payload, values))
    run = values.get("flow_run")
    if isinstance(run, Mapping):
        items = cast(Mapping[str, Any], run).items()
        values = {**values, "flow_run": {name: x for name, x in items if name != "parameters"}}
    return msgspec.json.encode(values)


def texts_of(action: SendNotification, values: Values) -> tuple[str, str]:
    """Subject and body of a notification."""
    subject = " ".join(fill_text(action.subject, values).split())
    return subject[:500], fill_text(action.body, values)
