"""How many children wait: as many as there are slots, where they are likely to be needed."""

import asyncio
from pathlib import Path

import pytest

from stoker.domain.deployments import Code
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess, children_of
from stoker.wire import host as wire

pytestmark = pytest.mark.anyio

SHORT = """
from stoker.host.agent import reserve
reserve.LATELY = 0.3
"""
"""Makes a code count as used for a moment alone: every process imports it by itself."""


FLOW = """
from stoker import flow
@flow
def hello() -> int:
    return 1
"""


@pytest.fixture
def code(project: Path) -> Code:
    """A code of Stoker's own runner, whose codes alone are kept warm."""
    (project / "hello.py").write_text(FLOW)
    return Code(path=str(project), file="hello.py")


async def waiting(host: HostProcess, number: int) -> list[int]:
    """Wait until so many children are there, over all zygotes; return their pids."""
    async with asyncio.timeout(20):
        while True:
            found = [pid for zygote in host.zygotes() for pid in children_of(zygote)]
            if len(found) == number:
                return found
            await asyncio.sleep(0.01)


async def test_few_wait_for_a_code_that_is_only_kept_warm(
    make_host, api: FakeApi, code: Code, project: Path
) -> None:
    (project / "other.py").write_text(FLOW)
    other = Code(path=str(project), file="other.py")
    host = make_host(slots=5, runner="stoker")
    await host.start()
    await api.say(wire.Warm(codes=[code, other]))
    await waiting(host, 4)
    await host.value(code, "hello")
    await waiting(host, 7)
    await host.value(other, "hello")
    await waiting(host, 10)


async def test_a_burst_of_a_code_that_is_only_kept_warm_is_served(
    make_host, api: FakeApi, code: Code
) -> None:
    host = make_host(slots=5, runner="stoker")
    await host.start()
    await api.say(wire.Warm(codes=[code]))
    await waiting(host, 2)
    jobs = [host.job(code, "hello") for _ in range(5)]
    await api.say(wire.Assign(jobs=jobs))
    for job in jobs:
        assert (await api.finished(job.run_id)).state.name == "Completed"
    await waiting(host, 5)


async def test_children_go_when_their_code_has_not_been_used_for_long(
    make_host, api: FakeApi, code: Code, tmp_path: Path
) -> None:
    """And their zygote does not count that as a failure: again and again."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SHORT)
    host = make_host(slots=9, runner="stoker", pythonpath=[folder])
    await host.start()
    for _ in range(2):
        await host.value(code, "hello")
        left = await waiting(host, 2)
    # Their folders go a moment after them.
    async with asyncio.timeout(20):
        while {one.name for one in (host.home / "tmp" / host.id).iterdir()} - set(map(str, left)):
            await asyncio.sleep(0.01)
    assert [one.state for one in api.of_kind(wire.ZygoteChanged)] == ["ready"]


async def test_a_code_is_ready_when_a_child_waits(make_host, api: FakeApi, code: Code) -> None:
    host = make_host(slots=3, runner="stoker")
    await host.start()
    await api.say(wire.Warm(codes=[code]))
    await api.wait(lambda: api.of_kind(wire.ZygoteChanged))
    (zygote,) = host.zygotes()
    assert children_of(zygote)
