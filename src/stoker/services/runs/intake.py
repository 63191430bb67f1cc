"""Taking in a batch of frames, whatever one of them does: its sender would send it for ever."""

import logging
from collections.abc import Sequence

from stoker.domain.errors import Unavailable
from stoker.domain.reports import Finished, Frame
from stoker.domain.transitions import Command, Wish
from stoker.services.changing import change
from stoker.services.dispatcher import Dispatcher
from stoker.services.runs.ingest import ingest
from stoker.services.unit import Unit

logger = logging.getLogger("stoker.server")

UNREADABLE = "the server could not take in how it ended; the server's log says more"
"""Why a run crashed whose end could not be stored."""


async def take_in(dispatcher: Dispatcher, host_id: str | None, frames: Sequence[Frame]) -> None:
    """Apply a batch of frames; where that fails, one by one, without those that cannot be applied.

    A run whose end is in such a frame has crashed: it would never end otherwise.

    Args:
        dispatcher: Runs the transactions.
        host_id: See `ingest`.
        frames: Oldest first.

    Raises:
        Unavailable: The store cannot be written now; the batch has to come again.
    """
    try:
        await dispatcher.transact(lambda unit: ingest(unit, host_id, frames))
        return
    except Unavailable:
        raise
    except Exception:
        logger.warning("%d frames are taken in one by one, since one of them fails", len(frames))
    for frame in frames:
        await _take_one(dispatcher, host_id, frame)


async def _take_one(dispatcher: Dispatcher, host_id: str | None, frame: Frame) -> None:
    try:
        await dispatcher.transact(lambda unit: ingest(unit, host_id, [frame]))
    except Unavailable:
        raise
    except Exception:
        logger.exception(
            "frame %d of attempt %d of flow run %s was dropped",
            frame.seq,
            frame.attempt,
            frame.run_id,
        )
        if any(isinstance(report, Finished) for report in frame.reports):
            await dispatcher.transact(lambda unit: _crash(unit, frame))


def _crash(unit: Unit, frame: Frame) -> None:
    run = unit.records.flow_run(frame.run_id)
    if run is not None and not run.state.is_terminal:
        change(
            unit,
            run,
            Wish(command=Command.CRASH, at=unit.now, attempt=frame.attempt, message=UNREADABLE),
        )
