"""Time, injected."""

from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def boot(self) -> float:
        """Seconds since boot, suspended time included; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after some seconds of this clock."""
        ...
