"""What brings an automation's messages to the outside."""

from typing import Protocol

from stoker.domain.automation.actions import CallWebhook, SendNotification
from stoker.domain.errors import StokerError


class Undelivered(StokerError):
    """A message was not taken; why is said without its secrets.

    Attributes:
        for_good: Whether another attempt would end the same.
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


class Courier(Protocol):
    """Sends messages. Each raises `Undelivered` where one was not taken."""

    async def webhook(self, action: CallWebhook, body: bytes, *, id: str, at: float) -> str:
        """POST a body; return what the answer was.

        Args:
            action: Where to, and how it is signed.
            body: JSON.
            id: Idempotency key: the same for each attempt.
            at: The present time, seconds since the epoch.
        """
        ...

    async def notify(self, action: SendNotification, subject: str, body: str) -> str:
        """Send a message to all of an action's addresses; return what came of it."""
        ...
