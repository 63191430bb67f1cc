"""The time of a store that several servers share: the database's, told by this machine's boot."""

from typing import NamedTuple

from stoker.ports.clock import Clock
from stoker.ports.store import Records


class Measured(NamedTuple):
    """What the database said of the time.

    Attributes:
        time: Its time, seconds since the epoch.
        offset: What it is from the time since this machine's boot.
        moved: By how many seconds it is from what was told until now.
    """

    time: float
    offset: float
    moved: float


class StoreClock:
    """`Clock` whose ``now`` is the database's.

    It is measured now and then; between two measurements the time since boot counts, which nobody
    sets. So a leap of this machine's wall clock moves nothing.

    Args:
        clock: This machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset: float | None = None

    def now(self) -> float:
        """Seconds since the epoch, by the database."""
        if self._offset is None:
            return self._clock.now()
        return self._clock.boot() + self._offset

    def boot(self) -> float:
        """Seconds since this machine's boot."""
        return self._clock.boot()

    async def sleep(self, seconds: float) -> None:
        """Return after some seconds."""
        await self._clock.sleep(seconds)

    def measure(self, records: Records) -> Measured:
        """Ask the database for its time. It is told by that once it is `accept`ed."""
        before = self._clock.boot()
        time = records.time()
        after = self._clock.boot()
        if self._offset is None:
            return Measured(time, time - (before + after) / 2, 0.0)
        offset = time - (before + after) / 2
        moved = offset - self._offset
        # What the question itself took says nothing of the time.
        if abs(moved) <= after - before:
            return Measured(time, self._offset, 0.0)
        return Measured(time, offset, moved)

    def accept(self, measured: Measured) -> None:
        """Tell the time by what was measured: the transaction is committed."""
        self._offset = measured.offset
