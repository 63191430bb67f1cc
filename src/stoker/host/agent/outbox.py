"""The outbox: frames on their way from the children to the server, none lost and in order.

While the connection is good they are in memory until the server has acknowledged them. While it
is not they go to the spool, and from there to the server, before anything newer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from msgspec import Struct

from stoker.host.agent.spool import Spool
from stoker.wire.host import OpaqueFrame

logger = logging.getLogger("stoker.host")

MEMORY_LIMIT = 8 * 1024 * 1024
"""Bytes of reports in memory, above which children have to wait."""
BATCH_SIZE = 1024 * 1024
"""Bytes of reports in one message, about: one frame, or as many as are not more than this."""
IN_FLIGHT = 2
"""Batches that may be on their way. What comes meanwhile travels together in the next one, so that
a burst costs the server few transactions, and a lone frame waits for nobody."""
OVERHEAD = 100
"""Bytes that a frame costs besides its reports, about."""
SPOOL_LIMIT = 256_000_000
"""Bytes of a host's spool, about, if it is not told otherwise."""
RETRY_DISK = 1.0
"""Seconds until a spool that could not be written is tried again."""
LAST_TRY = 5.0
"""Seconds that the disk gets to take what is left, when the host leaves."""


class Sent(Struct):
    """A batch that was sent and is not acknowledged.

    Attributes:
        batch: Its number.
        position: Of its last frame among all of the host; -1 where the spool holds it.
        offset: Where the spool goes on after it; 0 where the spool does not hold it.
        frames: Its frames; empty where the spool holds them.
        size: Bytes in memory.
        empties_spool: Whether the spool is done with once it is acknowledged.
    """

    batch: int
    position: int
    frames: list[OpaqueFrame]
    size: int
    offset: int = 0
    empties_spool: bool = False


class Outbox:
    """See the module.

    Args:
        spool: Where frames go while the server is away.
        on_frames: Called when there is something to send after there was nothing.
        spool_limit: Bytes of the spool, about, above which what comes stays in memory: then
            children have to wait.
    """

    def __init__(
        self, spool: Spool, on_frames: Callable[[], None], spool_limit: int = SPOOL_LIMIT
    ) -> None:
        self._spool = spool
        self._spool_limit = spool_limit
        self._spool_size = 0
        self._spool_done = 0
        self._closing = False
        self._on_frames = on_frames
        self._disk = ThreadPoolExecutor(1, "spool")
        # Its thread is there from the start: later the system may have none to give.
        self._disk.submit(int)
        self._mode: Literal["live", "spool", "turning"] = "spool"
        self._pending: list[OpaqueFrame] = []
        self._sent: deque[Sent] = deque()
        self._size = 0
        self._last = 0
        self._safe = 0
        self._batch = 0
        self._waiters: deque[tuple[int, Callable[[], None]]] = deque()
        self._relief: list[Callable[[], None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._spool_used = False

    def put(self, frame: OpaqueFrame) -> None:
        """Add a frame."""
        self._last += 1
        self._size += len(frame.reports) + OVERHEAD
        self._pending.append(frame)
        if self._mode == "live":
            if len(self._pending) == 1:
                self._on_frames()
        elif self._mode == "spool":
            self._start_writer()

    @property
    def congested(self) -> bool:
        """Whether more is in memory than should be: read nothing more of the children."""
        return self._size > MEMORY_LIMIT

    def on_relief(self, callback: Callable[[], None]) -> None:
        """Have a function called when the outbox is not congested any more."""
        self._relief.append(callback)

    def when_safe(self, callback: Callable[[], None]) -> None:
        """Have a function called once all frames so far are at the server or on disk."""
        if self._safe >= self._last:
            callback()
        else:
            self._waiters.append((self._last, callback))

    async def settle(self, seconds: float) -> None:
        """Wait until everything is safe, for some time at the most. Nothing follows."""
        self._closing = True
        if self._pending and self._mode == "spool":
            self._start_writer()
        safe = asyncio.Event()
        self.when_safe(safe.set)
        try:
            async with asyncio.timeout(seconds):
                await safe.wait()
        except TimeoutError:
            return

    async def close(self, *, remove: bool = True) -> None:
        """Write what is not acknowledged to the disk.

        Args:
            remove: Whether to remove the spool where there is nothing in it.
        """
        self._closing = True
        self.disconnected()
        if self._writer is not None:
            _, late = await asyncio.wait([self._writer], timeout=LAST_TRY)
            for writer in late:
                writer.cancel()
        if self._pending:
            logger.error("%d reports are lost: the disk does not take them", len(self._pending))
        self._disk.shutdown()
        self._spool.close(remove=remove and not self._spool_used)

    # The connection.

    async def backlog(self) -> AsyncGenerator[tuple[int, list[OpaqueFrame]], None]:
        """Yield batches of all that waits for a new connection; live mode afterwards."""
        self._batch = 0
        # What the server has acknowledged on an earlier connection it need not get again.
        offset = self._spool_done
        while self._mode != "live":
            while self._spool_used:
                frames, offset = await self._read_spool(offset)
                if not frames:
                    break
                yield self._note_sent([], -1, offset), frames
            if self._mode == "turning":
                break
            # The end, nearly: what comes from now on stays in memory and is sent from there.
            self._mode = "turning"
            if self._writer is not None:
                await self._writer
        if self._sent:
            self._sent[-1].empties_spool = True
        elif self._spool_used:
            # All of it was acknowledged before its end had been reached.
            self._clear_spool()
        self._mode = "live"
        if self._pending:
            self._on_frames()

    async def _read_spool(self, offset: int) -> tuple[list[OpaqueFrame], int]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, self._spool.read, offset, BATCH_SIZE)

    def next_batch(self) -> tuple[int, list[OpaqueFrame]] | None:
        """Return what to send now, if anything."""
        if self._mode != "live" or not self._pending or len(self._sent) >= IN_FLIGHT:
            return None
        frames = self._take_lot()
        return self._note_sent(frames, self._last - len(self._pending)), frames

    def _take_lot(self) -> list[OpaqueFrame]:
        """Take the oldest pending frames, as many as make one message."""
        size = 0
        for index, frame in enumerate(self._pending):
            size += len(frame.reports) + OVERHEAD
            if size > BATCH_SIZE and index:
                lot, self._pending = self._pending[:index], self._pending[index:]
                return lot
        lot, self._pending = self._pending, []
        return lot

    def _note_sent(self, kept: list[OpaqueFrame], position: int, offset: int = 0) -> int:
        self._batch += 1
        size = sum(len(frame.reports) + OVERHEAD for frame in kept)
        self._sent.append(Sent(self._batch, position, kept, size, offset))
        return self._batch

    def acknowledged(self, batch: int) -> None:
        """The server has everything up to a batch of this connection."""
        while self._sent and self._sent[0].batch <= batch:
            sent = self._sent.popleft()
            self._size -= sent.size
            self._safe = max(self._safe, sent.position)
            self._spool_done = max(self._spool_done, sent.offset)
            if sent.empties_spool and self._mode == "live":
                self._clear_spool()
        if self._pending and self._mode == "live":
            self._on_frames()
        self._wake_waiters()

    def disconnected(self) -> None:
        """The connection is gone: what was not acknowledged is to be sent again."""
        again = [frame for sent in self._sent for frame in sent.frames]
        self._sent.clear()
        self._mode = "spool"
        self._pending = again + self._pending
        if self._pending:
            self._start_writer()

    # The disk.

    @property
    def _spool_is_full(self) -> bool:
        return self._spool_size >= self._spool_limit and not self._closing

    def _start_writer(self) -> None:
        if self._writer is None and not self._spool_is_full:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        """Write what is pending, and what has come meanwhile, one sync for each lot."""
        loop = asyncio.get_running_loop()
        said = ""
        try:
            while self._pending and self._mode == "spool" and not self._spool_is_full:
                frames, self._pending = self._pending, []
                position = self._last
                self._spool_used = True
                try:
                    write = loop.run_in_executor(self._disk, self._spool.append, frames)
                    self._spool_size = await write
                except OSError as error:
                    if str(error) != said:
                        logger.error("cannot write %s, trying again: %s", self._spool.path, error)
                    said = str(error)
                    self._pending = frames + self._pending
                    await asyncio.sleep(RETRY_DISK)
                    continue
                self._size -= sum(len(frame.reports) + OVERHEAD for frame in frames)
                self._safe = max(self._safe, position)
                self._wake_waiters()
            if self._spool_is_full:
                logger.warning(
                    "%s holds %.0f MB: until the server is back, runs that report wait",
                    self._spool.path,
                    self._spool_size / 1e6,
                )
        finally:
            self._writer = None

    def _clear_spool(self) -> None:
        self._spool_used = False
        self._spool_size = self._spool_done = 0
        self._disk.submit(self._spool.clear)

    def _wake_waiters(self) -> None:
        while self._waiters and self._waiters[0][0] <= self._safe:
            self._waiters.popleft()[1]()
        if self._relief and not self.congested:
            callbacks, self._relief = self._relief, []
            for callback in callbacks:
                callback()
