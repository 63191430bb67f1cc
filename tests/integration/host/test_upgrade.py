"""A host whose Stoker is replaced on disk, or whose server speaks another version."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import stoker
from stoker.domain.deployments import Code
from stoker.domain.reports import Finished, Started
from stoker.host.agent.spool import spool_path
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess
from stoker.testing.spools import read_frames
from stoker.wire import host as wire

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent
FATAL = """
import os, pathlib, time
pathlib.Path({begun!r}).touch()
while not pathlib.Path({replaced!r}).exists():
    time.sleep(0.005)
os._exit(3)
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with a Stoker of its own."""
    folder = tmp_path / "lib"
    shutil.copytree(Path(stoker.__file__).parent, folder / "stoker")
    return folder


@pytest.fixture
async def host(make_host: Callable[..., HostProcess], library: Path) -> HostProcess:
    """A host of that Stoker."""
    made = make_host(pythonpath=[library, HERE / "runner"])
    await made.start()
    return made


def replace(library: Path) -> None:
    """Put another version in its place."""
    file = library / "stoker" / "host" / "control.py"
    text = file.read_text()
    file.unlink()
    file.write_text(text.replace("tag=True", "tag=str.upper"))


async def there(path: Path) -> None:
    """Wait until a file is there."""
    async with asyncio.timeout(10):
        while not path.exists():
            await asyncio.sleep(0.005)


async def begun(api: FakeApi, run_id: str) -> None:
    """Wait until a run says that it waits."""
    await api.wait(lambda: any(line.startswith("waiting") for _, line in api.lines_of(run_id)))


async def test_a_run_that_needs_a_new_zygote_is_handed_back(
    api: FakeApi, host: HostProcess, code: Code, project: Path, tmp_path: Path, library: Path
) -> None:
    flag = tmp_path / "flag"
    running = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, running)
    replace(library)
    hot = await host.assign(code, "hello")
    assert (await api.finished(hot)).state.name == "Completed", "its zygote is loaded"
    shutil.copy(project / "flows.py", project / "others.py")
    cold = await host.assign(Code(path=str(project), file="others.py"), "hello")
    (worn,) = await api.wait(lambda: api.of_kind(wire.HostWorn))
    assert worn.reason == "Stoker was upgraded, or its Python was"
    (draining,) = await api.wait(lambda: api.of_kind(wire.HostDraining))
    assert draining.released == [(cold, 1)]
    late = await host.assign(code, "hello")
    await api.wait(lambda: any((late, 1) in one.runs for one in api.of_kind(wire.Released)))
    flag.touch()
    assert (await api.finished(running)).state.name == "Completed"
    assert await host.ended() == 0


async def test_a_zygote_that_fails_since_its_stoker_was_replaced_meanwhile(
    api: FakeApi, host: HostProcess, project: Path, tmp_path: Path, library: Path
) -> None:
    marks = {name: str(tmp_path / name) for name in ("begun", "replaced")}
    (project / "fatal.py").write_text(FATAL.format(**marks))
    runs = [await host.assign(Code(path=str(project), file="fatal.py"), "hello") for _ in range(2)]
    await there(tmp_path / "begun")
    replace(library)
    (tmp_path / "replaced").touch()

    def handed_back() -> bool:
        back = [key for one in api.of_kind(wire.HostDraining) for key in one.released]
        back += [key for one in api.of_kind(wire.Released) for key in one.runs]
        return sorted(back) == sorted((run_id, 1) for run_id in runs)

    await api.wait(handed_back)
    assert await host.ended() == 0
    assert not any(api.reports_of(run_id, Finished) for run_id in runs)


async def test_a_server_of_another_version_lets_runs_end(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    running = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, running)
    api.refusal = wire.HostRefused(reason="version 1", final=False, drain=True)
    await api.cut()
    await api.wait(lambda: len(api.of_kind(wire.HostHello)) >= 3)
    flag.touch()
    assert await host.ended() == 0
    frames = read_frames(spool_path(host.home, host.id))
    assert {frame.run_id for frame in frames} == {running}
    assert isinstance(frames[-1].reports[-1], Finished)
    assert not any(isinstance(report, Started) for frame in frames for report in frame.reports)
