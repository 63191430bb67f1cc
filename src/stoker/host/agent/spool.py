"""The spool: frames of a host on disk, while the server is away.

A file of records, each a `RECORD` (length and CRC-32 of the body) and a msgpack `OpaqueFrame`.
What follows a torn record is lost; nothing of it had been acknowledged.
"""

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from stoker.crash_points import crash_point
from stoker.wire.host import OpaqueFrame

RECORD = struct.Struct("<II")
"""Length of the body in bytes, and its CRC-32."""


def spool_path(home: str | Path, host_id: str) -> Path:
    """Return where a host's spool is."""
    return Path(home) / "spool" / f"{host_id}.frames"


class Spool:
    """A host's spool. Its methods block; one thread at a time may call them.

    Args:
        path: The file; made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    def append(self, frames: list[OpaqueFrame]) -> int:
        """Return the size of the file once the frames are on disk.

        Raises:
            OSError: They are not; none of them is in the file.
        """
        encode = msgspec.msgpack.Encoder().encode
        data = bytearray()
        for frame in frames:
            body = encode(frame)
            data += RECORD.pack(len(body), zlib.crc32(body)) + body
        end = os.fstat(self._fd).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            crash_point("spool.before")
            os.fdatasync(self._fd)
            crash_point("spool.after")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, end)
            raise
        return end + len(data)

    def read(self, offset: int, size: int) -> tuple[list[OpaqueFrame], int]:
        """Return about ``size`` bytes of frames from an offset, and the offset behind them."""
        decode = msgspec.msgpack.Decoder(OpaqueFrame).decode
        frames: list[OpaqueFrame] = []
        end = offset + size
        for body, after in _records(self._fd, offset):
            frames.append(decode(body))
            offset = after
            if offset >= end:
                break
        return frames, offset

    def clear(self) -> None:
        """Forget everything: the server has it."""
        os.ftruncate(self._fd, 0)

    def close(self, *, remove: bool) -> None:
        """Close the file, and remove it if nothing is in it that the server needs."""
        os.close(self._fd)
        if remove:
            self.path.unlink(missing_ok=True)


def read_lots(path: Path, size: int) -> Iterator[list[OpaqueFrame]]:
    """Yield what a dead host left in its spool, in lots of about ``size`` bytes.

    No file counts as empty.
    """
    decode = msgspec.msgpack.Decoder(OpaqueFrame).decode
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        lot: list[OpaqueFrame] = []
        left = size
        for body, _ in _records(fd, 0):
            lot.append(decode(body))
            left -= len(body)
            if left <= 0:
                yield lot
                lot, left = [], size
        if lot:
            yield lot
    finally:
        os.close(fd)


def _records(fd: int, offset: int) -> Iterator[tuple[bytes, int]]:
    while True:
        header = os.pread(fd, RECORD.size, offset)
        if len(header) < RECORD.size:
            return
        length, check = RECORD.unpack(header)
        body = os.pread(fd, length, offset + RECORD.size)
        if length == 0 or len(body) < length or zlib.crc32(body) != check:
            return
        offset += RECORD.size + length
        yield body, offset
