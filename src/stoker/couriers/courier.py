"""The server's courier."""

import asyncio

from stoker.couriers import notifications, webhooks
from stoker.domain.automation.actions import CallWebhook, SendNotification


class OutsideCourier:
    """`Courier` over the network. It bounds how many notifications are on their way at once.

    Args:
        agent: What webhooks name as the sending program.
    """

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._notifying = asyncio.Semaphore(notifications.AT_ONCE)

    async def webhook(self, action: CallWebhook, body: bytes, *, id: str, at: float) -> str:
        """See `Courier.webhook`."""
        return await webhooks.post(action, body, id=id, at=at, agent=self._agent)

    async def notify(self, action: SendNotification, subject: str, body: str) -> str:
        """See `Courier.notify`."""
        async with self._notifying:
            return await notifications.notify(action, subject, body)
