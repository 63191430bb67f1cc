"""A host that says when it is worn, and one that is used once."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from stoker.domain.deployments import Code
from stoker.domain.pools import HostTerms
from stoker.domain.states import StateType
from stoker.host.agent.spool import spool_path
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess, children_of
from stoker.testing.spools import read_frames
from stoker.wire import host as wire

pytestmark = pytest.mark.anyio


async def begun(api: FakeApi, run_id: str) -> None:
    """Wait until a run says that it waits."""
    await api.wait(lambda: any("waiting" in text for _, text in api.lines_of(run_id)))


async def worn(api: FakeApi) -> str:
    return (await api.wait(lambda: api.of_kind(wire.HostWorn)))[0].reason


async def test_worn_by_its_runs_it_goes_on(api: FakeApi, make_host, code: Code) -> None:
    api.limits = {"max_runs": 3}
    host = make_host()
    await host.start()
    for number in range(5):
        assert len(api.of_kind(wire.HostWorn)) == (number >= 3)
        await host.value(code, "hello")
    assert "max_runs is 3" in await worn(api)
    assert len(api.of_kind(wire.HostWorn)) == 1


async def test_it_says_so_again_on_a_new_connection(api: FakeApi, make_host, code: Code) -> None:
    api.limits = {"max_runs": 1}
    host = make_host()
    await host.start()
    await host.value(code, "hello")
    await worn(api)
    api.said.clear()
    await api.cut()
    assert "max_runs is 1" in await worn(api)


async def test_worn_by_its_age_as_it_is_told_later(api: FakeApi, host: HostProcess) -> None:
    taken = api.of_kind(wire.TermsTaken)[0]
    assert taken.fence_after == 600.0
    terms = HostTerms(fence_after=77.0, max_age=0.001)
    await api.say(wire.NewTerms(terms=terms))
    assert "max_age is 0.001 s" in await worn(api)
    assert [one.fence_after for one in api.of_kind(wire.TermsTaken)] == [600.0, 77.0]


async def test_worn_by_the_memory_of_a_zygote(
    api: FakeApi, host: HostProcess, code: Code, project: Path
) -> None:
    """The zygote's memory grows by what a signal handler of the code's keeps."""
    (project / "grows.py").write_text(
        "import signal\n"
        "kept = []\n"
        "signal.signal(signal.SIGUSR1, lambda *_: kept.append(b'x' * 30_000_000))\n"
        "def pid(): import os; return os.getppid()\n"
    )
    grows = Code(path=str(project), file="grows.py")
    await host.value(code, "hello")
    zygote = await host.value(grows, "pid")
    # Each message that changes the terms has it look, the first time to see how much there is.
    terms = HostTerms(fence_after=600.0, max_memory_growth=20.0)
    await api.say(wire.NewTerms(terms=terms))
    await api.wait(lambda: len(api.of_kind(wire.TermsTaken)) == 2)
    assert api.of_kind(wire.HostWorn) == []
    os.kill(zygote, signal.SIGUSR1)
    async with asyncio.timeout(20):
        while not api.of_kind(wire.HostWorn):
            await api.say(wire.NewTerms(terms=terms))
            await asyncio.sleep(0.05)
    assert "grown by" in await worn(api)


async def test_a_lower_fence_holds_at_once(
    make_host, api: FakeApi, code: Code, tmp_path: Path
) -> None:
    api.heartbeat = 0.2
    host = make_host()
    await host.start()
    run_id = await host.assign(code, "wait_deaf", parameters={"path": str(tmp_path / "x")})
    await begun(api, run_id)
    await api.say(wire.NewTerms(terms=HostTerms(fence_after=1.0)))
    await api.wait(lambda: len(api.of_kind(wire.TermsTaken)) == 2)
    await api.close()
    assert await host.ended(8) == 1
    assert host.descendants() == []


# Used once.


@pytest.fixture
async def once(make_host) -> HostProcess:
    host = make_host(slots=1, once=True)
    await host.start()
    return host


async def test_it_leaves_by_itself_after_its_run(
    api: FakeApi, once: HostProcess, code: Code
) -> None:
    run_id = await once.assign(code, "hello")
    assert (await api.finished(run_id)).state.name == "Completed"
    assert await once.ended() == 0
    assert once.descendants() == []
    assert api.of_kind(wire.HostDraining) == []


async def test_it_hands_back_what_else_it_is_given(
    api: FakeApi, once: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    jobs = [
        once.job(code, "wait", parameters={"path": str(flag)}),
        once.job(code, "hello"),
    ]
    await api.say(wire.Assign(jobs=jobs))
    released = (await api.wait(lambda: api.of_kind(wire.Released)))[0]
    assert released.runs == [(jobs[1].run_id, 1)]
    await begun(api, jobs[0].run_id)
    third = await once.assign(code, "hello")
    await api.wait(lambda: len(api.of_kind(wire.Released)) == 2)
    assert api.of_kind(wire.Released)[1].runs == [(third, 1)]
    flag.touch()
    assert (await api.finished(jobs[0].run_id)).state.name == "Completed"
    assert await once.ended() == 0


async def test_its_run_is_not_handed_back_while_its_code_is_imported(
    api: FakeApi, once: HostProcess, project: Path, tmp_path: Path
) -> None:
    """The connection is lost meanwhile: the host still has its run when it is back."""
    flag = tmp_path / "x"
    (project / "slow.py").write_text(
        "import os, time\n"
        f"while not os.path.exists({str(flag)!r}):\n"
        "    time.sleep(0.01)\n"
        "def hello(): return 'hello'\n"
    )
    run_id = await once.assign(Code(path=str(project), file="slow.py"), "hello")
    await api.wait(lambda: api.of_kind(wire.AssignAck))
    api.said.clear()
    await api.cut()
    holding = (await api.wait(lambda: api.of_kind(wire.Holding)))[0]
    assert holding.runs == [(run_id, 1)]
    flag.touch()
    assert (await api.finished(run_id)).state.name == "Completed"
    assert await once.ended() == 0


async def test_a_run_that_is_cancelled_before_it_began_was_its_run(
    api: FakeApi, once: HostProcess, project: Path
) -> None:
    (project / "slow.py").write_text("import time\ntime.sleep(600)\n")
    run_id = await once.assign(Code(path=str(project), file="slow.py"), "hello")
    await api.wait(lambda: api.of_kind(wire.AssignAck))
    await api.say(wire.CancelRun(run_id=run_id, attempt=1))
    assert (await api.finished(run_id)).state.type is StateType.CANCELLED
    assert await once.ended() == 0
    assert once.descendants() == []


async def test_a_child_that_dies_while_it_waits_costs_no_run(
    api: FakeApi, once: HostProcess, code: Code
) -> None:
    await api.say(wire.Warm(codes=[code]))
    (zygote,) = await api.wait(lambda: once.zygotes() if api.of_kind(wire.ZygoteChanged) else [])
    (child,) = await api.wait(lambda: children_of(zygote))
    os.kill(child, signal.SIGSTOP)
    run_id = await once.assign(code, "hello")
    await api.wait(lambda: api.of_kind(wire.AssignAck))
    os.kill(child, signal.SIGKILL)
    assert (await api.finished(run_id)).state.name == "Completed"
    assert await once.ended() == 0


async def test_its_end_reaches_a_server_that_was_away(
    api: FakeApi, once: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    run_id = await once.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, run_id)
    await api.close()
    flag.touch()
    assert await once.ended() == 0
    assert {frame.run_id for frame in read_frames(spool_path(once.home, once.id))} == {run_id}
