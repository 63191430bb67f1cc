"""The time of a store that several servers share: the database's, told by this machine's boot."""

from stoker.ports.clock import Clock
from stoker.ports.store import Records


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

    def measure(self, records: Records) -> tuple[float, float]:
        """Ask the database for its time; return that, and by how much it is from what was told."""
        before = self._clock.boot()
        time = records.time()
        after = self._clock.boot()
        offset = time - (before + after) / 2
        moved = 0.0 if self._offset is None else offset - self._offset
        # What the question itself took says nothing of the time.
        if self._offset is None or abs(moved) > after - before:
            self._offset = offset
        return time, moved
