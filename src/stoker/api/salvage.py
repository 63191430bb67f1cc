"""What can be made of frames that cannot all be read.

Sender and server speak the same version: that is settled at the hello. So what cannot be read was
made by a fault, or by a run that writes to its pipe by itself. To close the connection would have
the host send it again for ever, and to refuse the host would end its other runs.
"""

import logging
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from stoker.api.sockets import UNREADABLE
from stoker.domain.reports import Finished, Frame, Report
from stoker.domain.states import StateRecord, StateType
from stoker.services.runs.intake import UNREADABLE as UNREADABLE_END
from stoker.wire.host import Frames, OpaqueFrame
from stoker.wire.worker import SpooledFrames

logger = logging.getLogger("stoker.server")


class RawFrames(Struct, tag="frames", kw_only=True):
    """A `Frames` whose frames are not looked at."""

    batch: int
    frames: list[Raw]


class RawSpooled(Struct, tag="spooled", kw_only=True):
    """A `SpooledFrames` whose frames are not looked at."""

    host_id: str
    frames: list[Raw]


class RawRequest(Struct, tag="request", kw_only=True):
    """A `HostRequest` of which nobody knows what it asks for."""

    id: int


class Tag(Struct):
    """What kind of report it is."""

    type: str = ""


_decode = msgspec.msgpack.Decoder(RawFrames | RawSpooled | RawRequest).decode


def salvage(data: bytes, now: float) -> Frames | SpooledFrames | RawRequest | None:
    """Return what can be read of a message that as a whole cannot; None for nothing."""
    try:
        found: RawFrames | RawSpooled | RawRequest = _decode(data)
    except UNREADABLE:
        return None
    match found:
        case RawFrames(batch=batch, frames=frames):
            return Frames(batch=batch, frames=_readable(frames, now))
        case RawSpooled(host_id=host_id, frames=frames):
            return SpooledFrames(host_id=host_id, frames=_readable(frames, now))
        case RawRequest():
            return found


def _readable(frames: Sequence[Raw], now: float) -> list[Frame]:
    found: list[Frame] = []
    for raw in frames:
        try:
            found.append(msgspec.msgpack.decode(raw, type=Frame))
        except UNREADABLE as error:
            found += _replaced(raw, error, now)
    return found


def _replaced(raw: Raw, error: Exception, now: float) -> list[Frame]:
    """Return a frame in place of one that cannot be read: a run whose end it told has crashed."""
    try:
        frame = msgspec.msgpack.decode(raw, type=OpaqueFrame)
    except UNREADABLE:
        logger.error("a frame was dropped that cannot be read: %s", error)
        return []
    logger.error(
        "frame %d of attempt %d of flow run %s was dropped: %s",
        frame.seq,
        frame.attempt,
        frame.run_id,
        error,
    )
    reports: list[Report] = []
    if _tells_end(frame.reports):
        state = StateRecord(StateType.CRASHED, "Crashed", now, UNREADABLE_END)
        reports.append(Finished(state))
    return [Frame(frame.run_id, frame.attempt, frame.seq, reports)]


def _tells_end(reports: Raw) -> bool:
    try:
        return "finished" in [one.type for one in msgspec.msgpack.decode(reports, type=list[Tag])]
    except UNREADABLE:
        return True
