"""Hosts of root, of root in a container, and of somebody else: what their runs can do to others."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.deployments import Code
from stoker.domain.limits import RunLimits
from stoker.host.child.own_user import FIRST
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start hosts as others"),
]

FILES = "+dac_override,+dac_read_search"
SOMEBODY = (
    "setpriv", "--reuid=4242", "--regid=4242", "--clear-groups",
    f"--inh-caps={FILES}", f"--ambient-caps={FILES}",
)  # fmt: skip
"""Another user, who can read the project and the interpreter wherever they are."""
READING = ("sys_ptrace", "perfmon", "sys_admin")
"""Any of these lets root read the memory of others. Containers have none by default."""


def root_without(*capabilities: str) -> tuple[str, ...]:
    """Root that lacks some of its powers, as in a container."""
    return "setpriv", "--bounding-set=" + ",".join(f"-{one}" for one in capabilities)


async def waiting(api: FakeApi, host: HostProcess, code: Code, flag: Path) -> tuple[str, int]:
    """Start a run that waits; return its id and its pid."""
    run_id = await host.assign(code, "wait", parameters={"path": str(flag)})
    lines = await api.wait(lambda: api.lines_of(run_id))
    return run_id, int(lines[0][1].split()[1])


async def start(make_host: Any, prefix: tuple[str, ...]) -> HostProcess:
    host = make_host(through=prefix)
    await host.start()
    return host


async def test_somebody_s_runs_cannot_read_the_agent(
    api: FakeApi, make_host: Any, code: Code, tmp_path: Path
) -> None:
    host = await start(make_host, SOMEBODY)
    _, *ids = await host.value(code, "ids")
    assert ids == [4242] * 3
    assert host.process is not None
    agent = host.process.pid
    (found,) = await host.value(code, "outcomes_of", pids=[agent], signals=[])
    assert found == ["PermissionError"] * 3


async def test_somebody_s_run_that_kills_its_zygote_ends_those_beside_it_and_no_more(
    api: FakeApi, make_host: Any, code: Code, tmp_path: Path
) -> None:
    host = await start(make_host, SOMEBODY)
    beside, _ = await waiting(api, host, code, tmp_path / "flag")
    ended = await host.run(code, "kill_parent")
    assert ended.state.name == "Crashed"
    assert (await api.finished(beside)).state.name == "Crashed"
    assert await host.value(code, "hello") == "hello you"


@pytest.mark.parametrize("lacking", [READING, ("setpcap",), ("sys_resource",)])
async def test_root_s_runs_have_user_ids_of_their_own_in_a_container_too(
    api: FakeApi, make_host: Any, code: Code, tmp_path: Path, lacking: tuple[str, ...]
) -> None:
    host = await start(make_host, root_without(*lacking))
    beside, pid = await waiting(api, host, code, tmp_path / "flag")
    own, *ids = await host.value(code, "ids")
    assert ids == [FIRST + own] * 3
    assert host.process is not None
    others = [host.process.pid, *host.zygotes(), pid]
    found = await host.value(
        code, "outcomes_of", pids=others, signals=[0, signal.SIGTERM, signal.SIGKILL]
    )
    assert found == [["PermissionError"] * 6] * 3
    (tmp_path / "flag").touch()
    assert (await api.finished(beside)).state.name == "Completed"


@pytest.mark.parametrize("lacking", ["setuid", "kill", "dac_override", "fowner"])
async def test_root_that_could_not_clear_up_gives_no_user_ids(
    make_host: Any, code: Code, lacking: str, capfd: pytest.CaptureFixture[str]
) -> None:
    host = await start(make_host, root_without(lacking))
    _, *ids = await host.value(code, "ids")
    assert ids == [0, 0, 0]
    assert capfd.readouterr().err.count("runs have no user ids of their own: this host lacks") == 1


@pytest.mark.parametrize("prefix", [(), root_without(*READING), SOMEBODY])
async def test_memory_is_watched_whoever_the_host_is(
    api: FakeApi, make_host: Any, code: Code, tmp_path: Path, prefix: tuple[str, ...]
) -> None:
    host = await start(make_host, prefix)
    limits = RunLimits(max_memory=200)
    flag = tmp_path / "flag"
    sharing = await host.assign(code, "share", parameters={"path": str(flag)}, limits=limits)
    await api.wait(lambda: api.lines_of(sharing))
    ended = await host.run(code, "grow", limits=limits)
    assert ended.state.name == "OutOfMemory"
    flag.touch()
    assert (await api.finished(sharing)).state.name == "Completed", "what is shared counts once"


async def test_what_imports_its_code_for_itself_has_its_own_user_id_by_then(
    make_host: Any, project: Path
) -> None:
    file = project / "threads.py"
    file.write_text(
        "import os, threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "AT_IMPORT = os.getuid()\n"
        "def ids():\n"
        "    return [os.getpid(), os.getuid(), AT_IMPORT]\n"
    )
    host = await start(make_host, ())
    own, *ids = await host.value(Code(path=str(project), file="threads.py"), "ids")
    assert ids == [FIRST + own] * 2
