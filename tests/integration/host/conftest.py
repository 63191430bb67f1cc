"""A host, its server, and a project."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from stoker.domain.deployments import Code
from stoker.process_marks import kill_marked
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess

HERE = Path(__file__).parent


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(HERE / "project_flows.py", folder / "flows.py")
    return folder


@pytest.fixture
def code(project: Path) -> Code:
    return Code(path=str(project), file="flows.py")


MakeHost = Callable[..., HostProcess]


@pytest.fixture
async def make_host(api: FakeApi, tmp_path: Path) -> AsyncIterator[MakeHost]:
    """Make hosts whose runs are executed by the stand-in runner; none is left afterwards."""
    hosts: list[HostProcess] = []

    def make(**options: object) -> HostProcess:
        options = {"runner": "standin", "pythonpath": [HERE / "runner"]} | options
        host = HostProcess(api, tmp_path / "home", **options)  # pyright: ignore[reportArgumentType]
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        if host.process is not None:
            await host.stop()
            kill_marked(host.id)


@pytest.fixture
async def host(make_host: MakeHost) -> HostProcess:
    """A host of two slots that is connected."""
    host = make_host()
    await host.start()
    return host
