"""A host's log: bounded, and in nobody's way."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.host.agent import host_log
from stoker.host.agent.host_log import HostLog


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "host.log"


@pytest.fixture
def log(file: Path) -> Iterator[HostLog]:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield HostLog(fd)
    os.close(fd)


def test_it_keeps_its_newest_lines(
    log: HostLog, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_log, "LIMIT", 1000)
    monkeypatch.setattr(host_log, "KEPT", 300)
    for number in range(1000):
        log.write(f"line {number}\n")
        assert file.stat().st_size <= 1000
    first, *rest = file.read_text().splitlines()
    assert first == host_log.CUT.decode().strip()
    assert rest == [f"line {number}" for number in range(1000 - len(rest), 1000)]
    assert len(rest) > 20


def test_a_full_disk_costs_lines_only() -> None:
    fd = os.open("/dev/full", os.O_RDWR)
    try:
        HostLog(fd).write("nothing of this\n")
    finally:
        os.close(fd)


def test_what_cannot_be_read_is_not_shortened(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_log, "LIMIT", 10)
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        log = HostLog(fd)
        for _ in range(3):
            log.write("a whole line\n")
    finally:
        os.close(fd)
    assert file.read_text() == "a whole line\n" * 3


def test_what_zygotes_print_is_in_it(log: HostLog, file: Path) -> None:
    async def main() -> None:
        log.open()
        os.write(log.writer, b"printed\n")
        while not file.read_text():
            await asyncio.sleep(0)
        log.write("logged\n")
        os.write(log.writer, b"last\n")
        log.close()

    asyncio.run(main())
    assert file.read_text() == "printed\nlogged\nlast\n"
