"""What a host keeps on disk, as tests read it."""

from pathlib import Path

import msgspec

from stoker.domain.reports import Frame
from stoker.host.agent.spool import read_lots

LOT = 1 << 20


def read_frames(path: Path) -> list[Frame]:
    """Return all that is in a spool; no file counts as empty."""
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(Frame).decode
    return [decode(encode(frame)) for lot in read_lots(path, LOT) for frame in lot]
