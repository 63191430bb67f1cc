"""The spool of a host."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.reports import Frame, Started
from stoker.host.agent.spool import RECORD, Spool, spool_path
from stoker.testing.spools import read_frames
from stoker.wire.host import OpaqueFrame


def frame(run_id: str, seq: int) -> OpaqueFrame:
    return OpaqueFrame(run_id, 1, seq, msgspec.Raw(msgspec.msgpack.encode([Started(1.0)])))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(spool_path(tmp_path, "host"))


def test_what_was_written_is_read(spool: Spool) -> None:
    spool.append([frame("a", 1), frame("b", 1)])
    spool.append([frame("a", 2)])
    expected = [Frame("a", 1, 1, [Started(1.0)]), Frame("b", 1, 1, [Started(1.0)])]
    assert read_frames(spool.path) == [*expected, Frame("a", 1, 2, [Started(1.0)])]


def test_it_is_read_in_parts(spool: Spool) -> None:
    frames = [frame("a", seq) for seq in range(100)]
    spool.append(frames)
    found: list[OpaqueFrame] = []
    offset = parts = 0
    while True:
        part, offset = spool.read(offset, 300)
        if not part:
            break
        parts += 1
        found += part
    assert found == frames
    assert parts > 10


def test_cleared_is_empty(spool: Spool) -> None:
    spool.append([frame("a", 1)])
    spool.clear()
    assert read_frames(spool.path) == []
    spool.append([frame("a", 2)])
    assert [found.seq for found in read_frames(spool.path)] == [2]


def test_no_file_is_empty(tmp_path: Path) -> None:
    assert read_frames(tmp_path / "nothing") == []


def test_it_goes_when_it_is_not_needed(spool: Spool) -> None:
    spool.close(remove=True)
    assert not spool.path.exists()


@given(cut=st.integers(0, 200), junk=st.binary(max_size=40))
def test_a_torn_tail_costs_only_itself(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool") / "torn")
    spool.append([frame("a", seq) for seq in range(5)])
    size = os.path.getsize(spool.path)
    each = size // 5
    kept = max(0, size - cut)
    os.truncate(spool.path, kept)
    with spool.path.open("ab") as file:
        file.write(junk)
    whole = [found.seq for found in read_frames(spool.path)]
    assert whole[: kept // each] == list(range(kept // each))
    assert len(whole) <= 5
    spool.close(remove=True)


def test_zeros_behind_it_are_no_records(spool: Spool) -> None:
    spool.append([frame("a", 1)])
    with spool.path.open("ab") as file:
        file.write(bytes(4096))
    assert len(read_frames(spool.path)) == 1


def test_a_flipped_bit_is_seen(spool: Spool) -> None:
    spool.append([frame("a", 1), frame("a", 2)])
    data = bytearray(spool.path.read_bytes())
    data[len(data) // 2 + RECORD.size + 2] ^= 1
    spool.path.write_bytes(data)
    assert [found.seq for found in read_frames(spool.path)] == [1]


def test_a_failed_write_leaves_nothing_half_done(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append([frame("a", 1)])

    def fail(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="No space"):
        spool.append([frame("a", 2)])
    monkeypatch.undo()
    spool.append([frame("a", 3)])
    assert [found.seq for found in read_frames(spool.path)] == [1, 3]
