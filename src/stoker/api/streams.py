"""Streams of an answer whose reader may be slow, or gone."""

import asyncio
import logging
from collections.abc import AsyncGenerator

logger = logging.getLogger("stoker.server")

PATIENCE = 60.0
"""Seconds that a reader may take until it has room for the next part."""


async def ending_slow_readers(
    parts: AsyncGenerator[bytes], patience: float | None = None
) -> AsyncGenerator[bytes]:
    """Pass parts of an answer on, and give the connection up where nobody reads them.

    A part is asked for when the last one has found room on the connection. So the time between
    is the reader's.

    Args:
        parts: The parts; ended with the stream, however it ends.
        patience: Seconds.
    """
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    patience = PATIENCE if patience is None else patience
    timer: asyncio.TimerHandle | None = None

    def give_up() -> None:
        logger.warning("a reader of events has not read for %g s: its stream is closed", patience)
        if task is not None:
            task.cancel()

    try:
        async for part in parts:
            timer = loop.call_later(patience, give_up)
            yield part
            timer.cancel()
    finally:
        if timer is not None:
            timer.cancel()
        await parts.aclose()
