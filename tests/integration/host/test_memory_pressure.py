"""A host in a control group whose memory runs out: the run that took it is ended, and no other."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.deployments import Code
from stoker.testing.fake_api import FakeApi

pytestmark = pytest.mark.anyio

LIMIT = 250_000_000
"""Bytes that the group may have; a host without runs takes less than a third."""
JOIN = "import os, sys; open(sys.argv[1], 'w').write('0'); os.execv(sys.argv[2], sys.argv[2:])"


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with little memory."""
    root = Path("/sys/fs/cgroup")
    first = root / "memory"
    folder = (first if first.is_dir() else root) / f"stoker-test-{os.getpid()}"
    try:
        folder.mkdir()
        name = "memory.limit_in_bytes" if first.is_dir() else "memory.max"
        (folder / name).write_text(str(LIMIT))
    except OSError as error:
        if folder.is_dir():
            folder.rmdir()
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    # What is left in it goes back, so that it can be removed.
    while pids := (folder / "cgroup.procs").read_text().split():
        for pid in pids:
            with suppress(ProcessLookupError):  # It has ended meanwhile.
                (folder.parent / "cgroup.procs").write_text(pid)
    folder.rmdir()


async def test_the_run_that_takes_it_all_is_ended(
    api: FakeApi, make_host: Any, code: Code, tmp_path: Path, group: Path
) -> None:
    host = make_host(slots=3, through=(sys.executable, "-c", JOIN, f"{group}/cgroup.procs"))
    await host.start()
    flag = tmp_path / "flag"
    beside = await host.assign(code, "wait", parameters={"path": str(flag)})
    await api.wait(lambda: api.lines_of(beside))
    ended = await host.run(code, "grow", parameters={"first": 90, "by": 1, "pause": 0.03})
    assert ended.state.name == "OutOfMemory", ended.state
    assert "ended by its host, where memory was running out: of 250 MB only" in ended.state.message
    assert "more than the share of one of 3 slots" in ended.state.message
    flag.touch()
    assert (await api.finished(beside)).state.name == "Completed"
