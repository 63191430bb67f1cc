"""Makes an event loop while it is imported."""

import asyncio

from stoker import flow

LOOP = asyncio.new_event_loop()


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


@flow
def with_loop() -> int:
    return LOOP.run_until_complete(answer())
