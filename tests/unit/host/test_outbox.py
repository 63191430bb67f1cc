"""The outbox: what happens to frames while connections come and go."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from stoker.host.agent import outbox as module
from stoker.host.agent.outbox import Outbox
from stoker.host.agent.spool import Spool
from stoker.testing.spools import read_frames
from stoker.wire.host import OpaqueFrame

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def frame(seq: int, size: int = 1) -> OpaqueFrame:
    return OpaqueFrame("r", 1, seq, msgspec.Raw(msgspec.msgpack.encode([b"x" * size])))


class Wire:
    """A connection that keeps what is sent."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.batches: list[tuple[int, list[int]]] = []

    def _keep(self, number: int, frames: list[OpaqueFrame]) -> None:
        self.batches.append((number, [frame.seq for frame in frames]))

    async def connect(self) -> None:
        self.batches.clear()
        async for number, frames in self.outbox.backlog():
            self._keep(number, frames)

    def pump(self) -> None:
        while batch := self.outbox.next_batch():
            self._keep(*batch)

    @property
    def seqs(self) -> list[int]:
        return [seq for _, seqs in self.batches for seq in seqs]


@pytest.fixture
async def outbox(tmp_path: Path) -> Outbox:
    return Outbox(Spool(tmp_path / "spool"), lambda: None)


async def test_live_frames_are_sent_and_acknowledged(outbox: Outbox, tmp_path: Path) -> None:
    wire = Wire(outbox)
    await wire.connect()
    safe: list[int] = []
    outbox.put(frame(1))
    outbox.put(frame(2))
    outbox.when_safe(lambda: safe.append(2))
    wire.pump()
    assert wire.batches == [(1, [1, 2])]
    assert safe == []
    outbox.acknowledged(1)
    assert safe == [2]
    await outbox.close()
    assert not (tmp_path / "spool").exists()


async def test_without_a_connection_they_are_safe_on_disk(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put(frame(1))
    await outbox.settle(5)
    assert (tmp_path / "spool").stat().st_size > 0
    outbox.put(frame(2))
    await outbox.settle(5)
    wire = Wire(outbox)
    await wire.connect()
    outbox.put(frame(3))
    wire.pump()
    assert wire.seqs == [1, 2, 3]
    outbox.acknowledged(wire.batches[-1][0])
    await outbox.close()
    assert not (tmp_path / "spool").exists()


async def test_unacknowledged_frames_come_first_again(outbox: Outbox) -> None:
    wire = Wire(outbox)
    await wire.connect()
    outbox.put(frame(1))
    wire.pump()
    outbox.put(frame(2))
    wire.pump()
    outbox.acknowledged(1)
    outbox.disconnected()
    outbox.put(frame(3))
    await wire.connect()
    wire.pump()
    assert wire.seqs == [2, 3]


async def test_a_connection_lost_while_the_spool_is_sent(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 50)
    for seq in range(1, 11):
        outbox.put(frame(seq, 40))
    await outbox.settle(5)
    backlog = outbox.backlog()
    number, frames = await anext(backlog)
    assert frames[0].seq == 1
    outbox.acknowledged(number)
    acknowledged = len(frames)
    await anext(backlog)
    await backlog.aclose()
    outbox.disconnected()
    outbox.put(frame(11))
    wire = Wire(outbox)
    await wire.connect()
    wire.pump()
    assert 0 < acknowledged < 9
    assert wire.seqs == list(range(acknowledged + 1, 12)), "what was acknowledged is over"
    outbox.acknowledged(wire.batches[-1][0])
    await outbox.close()


async def written(outbox: Outbox) -> None:
    """Wait until the disk has what it takes."""
    async with asyncio.timeout(5):
        while outbox._writer is not None:
            await asyncio.sleep(0)


async def test_a_full_spool_takes_no_more_until_the_server_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY_LIMIT", 4000)
    outbox = Outbox(Spool(tmp_path / "spool"), lambda: None, spool_limit=1000)
    seq = 0
    for _ in range(2):
        first, relieved = seq, []
        while not outbox.congested:
            seq += 1
            outbox.put(frame(seq, 400))
            await written(outbox)
        outbox.on_relief(lambda told=relieved: told.append(True))
        assert 1000 <= (tmp_path / "spool").stat().st_size < 2000
        assert caplog.text.count("runs that report wait") == 1
        caplog.clear()
        safe: list[bool] = []
        outbox.when_safe(lambda told=safe: told.append(True))
        wire = Wire(outbox)
        await wire.connect()
        wire.pump()
        while wire.seqs[-1] < seq:
            outbox.acknowledged(wire.batches[-1][0])
            wire.pump()
        assert wire.seqs == list(range(first + 1, seq + 1))
        assert not safe
        outbox.acknowledged(wire.batches[-1][0])
        assert (safe, relieved) == ([True], [True])
        outbox.disconnected()
    await outbox.close()


async def test_a_host_that_leaves_writes_all_it_has_into_a_full_spool(tmp_path: Path) -> None:
    outbox = Outbox(Spool(tmp_path / "spool"), lambda: None, spool_limit=1)
    for seq in range(1, 4):
        outbox.put(frame(seq))
        await written(outbox)
    assert outbox._pending
    await outbox.close()
    spool = Spool(tmp_path / "spool")
    frames, _ = spool.read(0, 1000)
    spool.close(remove=True)
    assert [found.seq for found in frames] == [1, 2, 3]


async def test_a_host_leaves_though_the_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LAST_TRY", 0.05)
    monkeypatch.setattr(module, "RETRY_DISK", 0.01)

    def fail(self: Spool, frames: list[OpaqueFrame]) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "append", fail)
    outbox = Outbox(Spool(tmp_path / "spool"), lambda: None)
    outbox.put(frame(1))
    async with asyncio.timeout(5):
        await outbox.close()
    assert "1 reports are lost" in caplog.text


async def test_frames_keep_coming_while_the_spool_is_sent(outbox: Outbox) -> None:
    outbox.put(frame(1))
    wire = Wire(outbox)
    seq = 1

    async def produce() -> None:
        nonlocal seq
        while True:
            seq += 1
            outbox.put(frame(seq))
            await asyncio.sleep(0)

    producer = asyncio.get_running_loop().create_task(produce())
    async with asyncio.timeout(10):
        await wire.connect()
    producer.cancel()
    wire.pump()
    assert wire.seqs == list(range(1, seq + 1))
    await outbox.close()


async def test_what_is_not_acknowledged_at_the_end_stays(outbox: Outbox, tmp_path: Path) -> None:
    wire = Wire(outbox)
    await wire.connect()
    outbox.put(frame(1))
    wire.pump()
    await outbox.close()
    assert (tmp_path / "spool").stat().st_size > 0


async def test_too_much_makes_children_wait(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY_LIMIT", 1000)
    wire = Wire(outbox)
    await wire.connect()
    outbox.put(frame(1, 2000))
    assert outbox.congested
    relieved: list[bool] = []
    outbox.on_relief(lambda: relieved.append(True))
    wire.pump()
    assert not relieved
    outbox.acknowledged(1)
    assert relieved
    assert not outbox.congested


async def test_no_message_gets_large(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 1000)
    wire = Wire(outbox)
    await wire.connect()
    safe: list[int] = []
    for seq in range(1, 8):
        outbox.put(frame(seq, 2000 if seq == 4 else 250))
        outbox.when_safe(lambda seq=seq: safe.append(seq))
    wire.pump()
    assert wire.batches == [(1, [1, 2]), (2, [3])]
    outbox.acknowledged(1)
    assert safe == [1, 2]
    wire.pump()
    outbox.acknowledged(2)
    assert safe == [1, 2, 3]
    wire.pump()
    outbox.acknowledged(4)
    assert wire.batches[2:] == [(3, [4]), (4, [5, 6])]
    assert safe == [1, 2, 3, 4, 5, 6]
    wire.pump()
    outbox.acknowledged(5)
    assert safe == [1, 2, 3, 4, 5, 6, 7]


async def test_the_spool_is_sent_in_small_messages(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 1000)
    for seq in range(1, 7):
        outbox.put(frame(seq, 3000 if seq == 3 else 250))
    await outbox.settle(5)
    wire = Wire(outbox)
    await wire.connect()
    assert wire.seqs == [1, 2, 3, 4, 5, 6]
    # A large frame ends its message, and the one before it was less than full.
    assert next(seqs for _, seqs in wire.batches)[-1] <= 3
    assert len(wire.batches) >= 2


async def test_a_full_disk_loses_nothing(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_DISK", 0.01)
    append = Spool.append
    failures = iter([True, True])

    def fail_at_first(self: Spool, frames: list[OpaqueFrame]) -> int:
        if next(failures, False):
            raise OSError(28, "No space left on device")
        return append(self, frames)

    monkeypatch.setattr(Spool, "append", fail_at_first)
    outbox.put(frame(1))
    outbox.put(frame(2))
    await outbox.settle(5)
    spool = Spool(tmp_path / "spool")
    frames, _ = spool.read(0, 1000)
    spool.close(remove=False)
    assert [found.seq for found in frames] == [1, 2]
    assert read_frames(tmp_path / "nothing") == []
