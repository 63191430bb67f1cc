"""Streams whose reader does not read are given up."""

import asyncio
from typing import Any

import pytest

from stoker.api.events import _messages, wanted
from stoker.api.streams import ending_slow_readers
from stoker.clock import SystemClock
from stoker.domain.errors import Unavailable
from stoker.services.events import feed as feed_module
from stoker.services.events.feed import EventFeed


async def parts(ended: list[bool] | None = None):
    try:
        while True:
            yield b"part"
    finally:
        if ended is not None:
            ended.append(True)


def test_a_reader_that_takes_nothing_for_too_long_is_sent_away():
    ended: list[bool] = []

    async def stuck() -> None:
        async for _ in ending_slow_readers(parts(ended), 0.01):
            # No room on the connection.
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(stuck())
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        # What is left of a generator is ended by the loop.
        await asyncio.get_running_loop().shutdown_asyncgens()

    asyncio.run(main())
    assert ended == [True]


def test_a_reader_that_reads_is_not():
    async def main() -> int:
        read = 0
        stream = ending_slow_readers(parts(), 0.5)
        async for _ in stream:
            read += 1
            if read == 100:
                break
        await stream.aclose()
        return read

    assert asyncio.run(main()) == 100


class Store:
    """A thousand events, of which it says nothing but who reads them."""

    def __init__(self) -> None:
        self.read_after: list[int] = []

    async def read(self, work):
        await asyncio.sleep(0)
        return work(self)

    def event_horizon(self) -> int:
        return 1000

    def events_after(self, after, upto, limit):
        self.read_after.append(after)
        return []


def test_those_who_begin_to_follow_together_do_not_have_all_events_read():
    store = Store()

    async def main() -> list[int]:
        dispatcher: Any = store
        feed = EventFeed(dispatcher, SystemClock())
        found = await asyncio.gather(feed.follow(), feed.follow())
        await feed._read()
        return [*found]

    assert asyncio.run(main()) == [1000, 1000]
    assert store.read_after == []


def test_a_stream_that_nobody_begins_to_read_takes_no_place(monkeypatch):
    monkeypatch.setattr(feed_module, "MAX_FOLLOWERS", 1)

    async def main() -> list[bytes]:
        dispatcher: Any = Store()
        feed = EventFeed(dispatcher, SystemClock())
        for _ in range(3):
            which = wanted(None, None, None, None, None, None, None, None)
            stream = ending_slow_readers(_messages(feed, await feed.now(), which))
        first = [await anext(stream)]
        with pytest.raises(Unavailable, match="1 streams"):
            await feed.now()
        await stream.aclose()
        await feed.now()
        return first

    assert asyncio.run(main()) == [b": stoker events\nid: 1000\n\n"]
