"""The pruner: rolls up what has ended, and deletes what is old, on one server at a time."""

import logging
from collections.abc import Callable, Sequence
from math import nextafter

from stoker.ports.clock import Clock
from stoker.services.dispatcher import Dispatcher
from stoker.services.operations.pruning import Ages, Pruned, steps
from stoker.services.operations.rolling_up import roll_up

logger = logging.getLogger("stoker.server")

PACE = 60.0
"""Seconds between two rounds."""
BREATH = 0.05
"""Seconds between two steps: others come first."""
LATE = 300.0
"""Seconds for which an end may be reported late, and is rolled up in the next round still."""
FAR_BACK = 2 * 86_400.0
"""The same once an hour: hosts may have kept their reports while the server was away. What is later
still is rolled up when it is pruned."""
BATCH = 200
"""Ends that are rolled up in one transaction."""


class Pruner:
    """See the module.

    Args:
        dispatcher: Runs the transactions.
        clock: The time.
        ages: What is old.
        forget_files: Deletes files below the results folder.
        leading: Whether this server is the one that does it now.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        clock: Clock,
        ages: Ages,
        *,
        forget_files: Callable[[Sequence[str]], None],
        leading: Callable[[], bool],
    ) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._ages = ages
        self._forget_files = forget_files
        self._leading = leading
        self._rounds = 0

    async def run(self) -> None:
        """Prune for ever."""
        while True:
            if self._leading():
                await self.once()
            await self._clock.sleep(PACE)

    async def once(self) -> Pruned:
        """Do one round, and return what was deleted."""
        far = self._rounds % round(3600 / PACE) == 0
        self._rounds += 1
        await self._roll_up(FAR_BACK if far else PACE + LATE)
        whole = Pruned()
        for step in steps(self._ages):
            while True:
                pruned = await self._dispatcher.transact(step)
                # After the commit: a file too many does less harm than a result too few.
                self._forget_files(pruned.files)
                whole.add(pruned)
                if not pruned.more or not self._leading():
                    break
                await self._clock.sleep(BREATH)
        if whole.runs or whole.logs or whole.events:
            logger.info(
                "pruned %d runs, %d log lines, %d events", whole.runs, whole.logs, whole.events
            )
        return whole

    async def _roll_up(self, back: float) -> None:
        after = self._clock.now() - back
        while True:
            found = await self._dispatcher.read(
                lambda records, after=after: records.unrolled_runs(after, BATCH)
            )
            if found:
                ids = [run_id for run_id, _ in found]
                await self._dispatcher.transact(lambda unit, ids=ids: roll_up(unit, ids))
            if len(found) < BATCH:
                return
            # Others may have ended at the same time as the last one; what is before is counted.
            after = nextafter(found[-1][1], 0.0)
            await self._clock.sleep(BREATH)
