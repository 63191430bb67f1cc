"""The real clock."""

import asyncio
import time


class SystemClock:
    """`Clock` of this machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def boot(self) -> float:
        """Seconds since boot, suspended time included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """Return after some seconds."""
        await asyncio.sleep(seconds)
