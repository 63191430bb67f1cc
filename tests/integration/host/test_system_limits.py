"""Hosts to which the system gives no process or descriptor any more: runs wait until it does."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stoker.domain.deployments import Code
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess, children_of
from stoker.wire import host as wire

pytestmark = pytest.mark.anyio

USER = 64999
"""An id that nobody has: the kernel counts a user's processes, but not root's."""
RIGHTS = "-all,+dac_override"
"""It may read and write what root may, so that it finds this interpreter."""
AS_USER = (
    *("setpriv", "--reuid", str(USER), "--clear-groups"),
    *(f"--{name}={RIGHTS}" for name in ("inh-caps", "ambient-caps", "bounding-set")),
)


LIMIT = "import resource, sys; resource.prlimit(*map(int, sys.argv[1:3]), eval(sys.argv[3]))"


@asynccontextmanager
async def limited(pid: int, what: int, number: int) -> AsyncIterator[None]:
    """Let a process of the user have no more of something meanwhile."""
    hard = resource.getrlimit(what)[1]

    async def limit(soft: int) -> None:
        command = (*AS_USER, sys.executable, "-c", LIMIT, str(pid), str(what), f"{soft, hard}")
        assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0

    await limit(number)
    try:
        yield
    finally:
        await limit(hard)


@pytest.fixture
async def limited_host(make_host: Callable[..., HostProcess], tmp_path: Path) -> HostProcess:
    """A host of two slots that is not root's."""
    host = make_host(through=AS_USER, log=tmp_path / "log")
    await host.start()
    return host


async def begun(api: FakeApi, run_id: str) -> None:
    """Wait until a run says that it waits."""
    await api.wait(lambda: any(line.startswith("waiting") for _, line in api.lines_of(run_id)))


async def logged(log: Path, text: str) -> None:
    """Wait until a line of a log holds a text."""
    async with asyncio.timeout(10):
        while text not in log.read_text():
            await asyncio.sleep(0.01)


async def test_a_zygote_that_may_start_no_process(
    api: FakeApi, limited_host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = {"path": str(tmp_path / "flag")}
    running = [await limited_host.assign(code, "wait", parameters=flag)]
    await begun(api, running[0])
    (zygote,) = limited_host.zygotes()
    async with asyncio.timeout(10):
        while len(children_of(zygote)) < 3:
            await asyncio.sleep(0.005)
    async with limited(zygote, resource.RLIMIT_NPROC, 1):
        running += [await limited_host.assign(code, "wait", parameters=flag) for _ in range(4)]
        for run_id in running[:3]:
            await begun(api, run_id)
        log = tmp_path / "log"
        await logged(log, "cannot fork, trying again: [Errno 11] Resource temporarily unavailable")
    # The others waited, and go on.
    for run_id in running:
        await begun(api, run_id)
    (tmp_path / "flag").touch()
    for run_id in running:
        assert (await api.finished(run_id)).state.name == "Completed"
    assert limited_host.zygotes() == [zygote]
    assert log.read_text().count("cannot fork") == 1, "it is said once"


@pytest.mark.parametrize("what", ["RLIMIT_NPROC", "RLIMIT_NOFILE"])
async def test_an_agent_that_may_start_no_zygote(
    api: FakeApi, limited_host: HostProcess, code: Code, tmp_path: Path, what: str
) -> None:
    assert limited_host.process is not None
    log = tmp_path / "log"
    async with limited(limited_host.process.pid, getattr(resource, what), 1):
        run_id = await limited_host.assign(code, "hello")
        await logged(log, "cannot start a process for flows.py, trying again: [Errno")
        cancelled = await limited_host.assign(code, "hello")
        await api.say(wire.CancelRun(run_id=cancelled, attempt=1))
        assert (await api.finished(cancelled)).state.name == "Cancelled"
    assert (await api.finished(run_id)).state.name == "Completed"
    await logged(log, "the process for flows.py is started")
    assert log.read_text().count("trying again") == 1


async def test_a_zygote_that_may_start_no_process_once_it_has_imported(
    api: FakeApi, limited_host: HostProcess, project: Path, tmp_path: Path
) -> None:
    """It cannot look yet whether its code can be forked: that is no fault of the code."""
    flag = tmp_path / "flag"
    (project / "late.py").write_text(
        "import os, time\n"
        f"while not os.path.exists({str(flag)!r}):\n"
        "    time.sleep(0.005)\n"
        "def hello():\n"
        "    return 1\n"
    )
    run_id = await limited_host.assign(Code(path=str(project), file="late.py"), "hello")
    async with asyncio.timeout(10):
        while not (zygotes := limited_host.zygotes()):
            await asyncio.sleep(0.005)
    async with limited(zygotes[0], resource.RLIMIT_NPROC, 1):
        flag.touch()
        await logged(tmp_path / "log", "cannot fork, trying again: [Errno 11]")
    assert (await api.finished(run_id)).state.name == "Completed"
    assert limited_host.zygotes() == zygotes


NO_MEMORY = """
import errno, os

fork, refusals = os.fork, 4


def fork_in_need():
    global refusals
    if refusals:
        refusals -= 1
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    return fork()


os.fork = fork_in_need
from flows import *
"""


async def test_no_memory_for_a_fork(
    make_host: Callable[..., HostProcess], code: Code, tmp_path: Path
) -> None:
    """The zygote's own forks are refused a few times, as the kernel does it."""
    (Path(code.path) / "needy.py").write_text(NO_MEMORY)
    host = make_host(log=tmp_path / "log")
    await host.start()
    needy = Code(path=code.path, file="needy.py")
    assert await host.value(needy, "hello") == "hello you"
    log = (tmp_path / "log").read_text()
    assert "trying again: [Errno 12] Cannot allocate memory" in log
