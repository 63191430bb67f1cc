"""The server's loops end when the server does, also those that do not notice that they shall."""

import asyncio
from contextlib import suppress

from stoker.bootstrap.running import Running
from stoker.clock import SystemClock
from stoker.domain.errors import Unavailable
from stoker.services.operations.loops import Loops


def test_a_loop_that_takes_its_end_for_a_store_that_is_away_ends() -> None:
    assert asyncio.run(cancelled_until_it_ends()) == 3


async def cancelled_until_it_ends() -> int:
    """End a loop that takes two cancellations for something else; return how many it took."""
    taken = 0

    async def loop() -> None:
        nonlocal taken
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                taken += 1
                if taken > 2:
                    raise
                # As a unit of work does, while the server stops; and its loop goes on.
                with suppress(Unavailable):
                    raise Unavailable("the server stops; try it again") from None

    clock = SystemClock()
    running = Running(clock, Loops(clock))
    running.start("planner", loop)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await running.end()
    return taken
