"""The loop that empties the outbox."""

import asyncio
import logging
from collections.abc import Set as AbstractSet
from contextlib import suppress

from stoker.crash_points import crash_point
from stoker.domain.automation.actions import CallWebhook, SendNotification
from stoker.domain.automation.deliveries import Delivery
from stoker.domain.errors import Conflict, StokerError
from stoker.ports.clock import Clock
from stoker.ports.courier import Courier, Undelivered
from stoker.services.automations.outbox import (
    Link,
    Values,
    act_on,
    body_of,
    claim,
    failed,
    refused,
    sent,
    texts_of,
)
from stoker.services.dispatcher import Dispatcher

logger = logging.getLogger("stoker.server")

SLOW_POLL = 5.0
"""Seconds between two looks at the least: another server may have ended after it fired."""

AT_ONCE = 20
"""Messages that are on their way at once."""


class Deliverer:
    """Does what automations have put into the outbox, each at least once.

    Messages are claimed for as long as they may take, sent, and noted; what a server that was
    killed had claimed is sent again after that. What is done within the store is done once.

    Args:
        dispatcher: Runs units of work.
        clock: The time.
        courier: Sends messages.
        link: Where a person sees more of an event.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock, courier: Courier, link: Link) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._courier = courier
        self._link = link
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def stirred(self, names: AbstractSet[str]) -> None:
        """See `Follower`."""
        if "outbox" in names:
            self._wake.set()

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            while True:
                self._wake.clear()
                due = await self.once()
                left = SLOW_POLL if due is None else min(SLOW_POLL, due - self._clock.now())
                if left > 0 or len(self._sending) >= AT_ONCE:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), max(left, 0.05))
        finally:
            for task in self._sending:
                task.cancel()

    async def once(self) -> float | None:
        """Begin what is due; return when the next one is."""
        due = await self._dispatcher.read(lambda records: records.next_delivery_due())
        room = AT_ONCE - len(self._sending)
        if due is None or due > self._clock.now() or room <= 0:
            return due
        claimed = await self._dispatcher.transact(lambda unit: claim(unit, room, self._link))
        for delivery, values in claimed.outside:
            task = asyncio.create_task(self._send(delivery, values))
            self._sending.add(task)
            task.add_done_callback(self._sent)
        for delivery_id in claimed.internal:
            await self._act(delivery_id)
        return await self._dispatcher.read(lambda records: records.next_delivery_due())

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            logger.error("a delivery could not be noted", exc_info=task.exception())

    async def _act(self, delivery_id: str) -> None:
        crash_point("delivery.before")
        try:
            await self._dispatcher.transact(lambda unit: act_on(unit, delivery_id, self._link))
            crash_point("delivery.after")
        except StokerError as error:
            reason = error
            await self._dispatcher.transact(lambda unit: refused(unit, delivery_id, reason))

    async def _send(self, delivery: Delivery, values: Values) -> None:
        try:
            crash_point("delivery.before")
            outcome = await self._bring(delivery, values)
            crash_point("delivery.after")
        except Undelivered as error:
            reason, for_good = error, error.for_good
        except Exception:
            # Whatever a library for notifications raises, its text may hold what is secret.
            reason, for_good = Conflict("the message could not be sent: an error within"), False
        else:
            await self._dispatcher.transact(lambda unit: sent(unit, delivery, outcome))
            return
        await self._dispatcher.transact(
            lambda unit: failed(unit, delivery, reason, for_good=for_good)
        )

    async def _bring(self, delivery: Delivery, values: Values) -> str:
        match delivery.action:
            case CallWebhook() as hook:
                body = body_of(hook, values)
                now = self._clock.now()
                return await self._courier.webhook(hook, body, id=delivery.id, at=now)
            case SendNotification() as message:
                return await self._courier.notify(message, *texts_of(message, values))
            case _:
                raise Undelivered("this is not sent", for_good=True)
