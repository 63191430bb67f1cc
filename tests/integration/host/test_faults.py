"""Hosts whose children, zygotes, agents or servers go away at the worst moment."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from stoker.domain.deployments import Code
from stoker.domain.reports import Finished, HandedOver, Logged
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.host.agent.spool import spool_path
from stoker.process_marks import kill_marked, marked
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess, children_of
from stoker.testing.spools import read_frames
from stoker.wire import host as wire

pytestmark = pytest.mark.anyio


async def begun(api: FakeApi, run_id: str) -> int:
    """Wait until a run says that it waits; return its pid."""

    def pid() -> int:
        for _, message in api.lines_of(run_id):
            word, _, number = message.partition(" ")
            if word == "waiting":
                return int(number)
        return 0

    return await api.wait(pid)


async def gone(pids: list[int], seconds: float = 2.0) -> None:
    """Wait until processes have ended."""
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        loop.add_reader(pidfd, lambda ended=ended: ended.done() or ended.set_result(None))
        try:
            await asyncio.wait_for(ended, seconds)
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the kernel tells nobody: look again and again."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def state_of(pid: int) -> str:
    """The letter of a process's state, as proc_pid_stat(5) has it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def spooled(spool: Path, runs: set[str]) -> None:
    """Wait until the ends of runs are in the spool."""
    async with asyncio.timeout(10):
        while runs > {
            frame.run_id for frame in read_frames(spool) if isinstance(frame.reports[-1], Finished)
        }:
            await asyncio.sleep(0.01)


async def test_killed_child(api: FakeApi, host: HostProcess, code: Code, tmp_path: Path) -> None:
    run_id = await host.assign(code, "wait_with_helpers", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    helpers = children_of(pid)
    assert len(helpers) == 2
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    finished = await api.finished(run_id, 2)
    assert time.monotonic() - killed < 2
    assert finished.state.type is StateType.CRASHED
    assert "SIGKILL" in finished.state.message
    await gone(helpers)
    assert await host.value(code, "hello") == "hello you"


async def test_killed_zygote(api: FakeApi, host: HostProcess, code: Code, tmp_path: Path) -> None:
    runs = [
        await host.assign(code, "wait_with_helpers", parameters={"path": str(tmp_path / "x")})
        for _ in range(2)
    ]
    pids = [await begun(api, run_id) for run_id in runs]
    helpers = [helper for pid in pids for helper in children_of(pid)]
    os.kill(host.zygotes()[0], signal.SIGKILL)
    for run_id in runs:
        finished = await api.finished(run_id, 2)
        assert finished.state.type is StateType.CRASHED
    await gone(pids + helpers)
    assert await host.value(code, "hello") == "hello you"


async def test_a_killed_zygote_is_no_failed_one(api: FakeApi, make_host, code: Code) -> None:
    """Many children that wait end with it, which says nothing of its code."""
    host = make_host(slots=8)
    await host.start()
    await host.value(code, "hello")
    (zygote,) = host.zygotes()
    await until(lambda: len(children_of(zygote)) == 8)
    # One more run: what was forked before it has its agent's ear by now.
    await host.value(code, "hello")
    api.said.clear()
    os.kill(zygote, signal.SIGKILL)
    await api.wait(lambda: api.of_kind(wire.ZygoteChanged))
    assert [one.state for one in api.of_kind(wire.ZygoteChanged)] == ["gone"]
    assert await host.value(code, "hello") == "hello you"


async def test_a_zygote_that_was_stopped_beyond_the_fence_goes_on(
    api: FakeApi, make_host, code: Code, tmp_path: Path
) -> None:
    """Its agent has put the fence off, again and again; it reads the first of that first."""
    api.heartbeat, api.fence_after = 0.2, 2.0
    host = make_host(fence_after=2.0)
    await host.start()
    flag = tmp_path / "x"
    run_id = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, run_id)
    (zygote,) = host.zygotes()
    stopped = time.clock_gettime(time.CLOCK_BOOTTIME)
    os.kill(zygote, signal.SIGSTOP)
    await api.wait(lambda: any(beat.at > stopped + 2.0 for beat in api.of_kind(wire.HostHeartbeat)))
    os.kill(zygote, signal.SIGCONT)
    await host.value(code, "hello")
    flag.touch()
    assert (await api.finished(run_id)).state.name == "Completed"
    assert host.zygotes() == [zygote]


async def test_a_zygote_that_cannot_fork_tries_again(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    running = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, running)
    (zygote,) = host.zygotes()
    await until(lambda: len(children_of(zygote)) == 3)
    before = resource.prlimit(zygote, resource.RLIMIT_NOFILE)
    resource.prlimit(zygote, resource.RLIMIT_NOFILE, (3, before[1]))
    waiting = [await host.assign(code, "wait", parameters={"path": str(flag)}) for _ in range(4)]
    for run_id in waiting[:2]:
        await begun(api, run_id)
    # The children that waited are used up, and there can be no more for now.
    resource.prlimit(zygote, resource.RLIMIT_NOFILE, before)
    for run_id in waiting[2:]:
        await begun(api, run_id)
    flag.touch()
    for run_id in (running, *waiting):
        assert (await api.finished(run_id)).state.name == "Completed"
    assert host.zygotes() == [zygote]


async def test_a_zygote_without_descriptors_ends_what_is_left_later(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = {"path": str(tmp_path / "x")}
    beside = await host.assign(code, "wait", parameters=flag)
    await begun(api, beside)
    ended = await host.assign(code, "wait_with_helpers", parameters=flag)
    pid = await begun(api, ended)
    helpers = children_of(pid)
    # Of the two one leaves the session: it takes a look to find it.
    await until(lambda: any(os.getsid(helper) == helper for helper in helpers))
    (stray,) = [helper for helper in helpers if os.getsid(helper) == helper]
    (zygote,) = host.zygotes()
    await until(lambda: len(children_of(zygote)) == 4)
    before = resource.prlimit(zygote, resource.RLIMIT_NOFILE)
    resource.prlimit(zygote, resource.RLIMIT_NOFILE, (3, before[1]))
    os.kill(pid, signal.SIGKILL)
    assert (await api.finished(ended)).state.name == "Crashed"
    assert state_of(stray) == "S"
    resource.prlimit(zygote, resource.RLIMIT_NOFILE, before)
    await gone(helpers)
    (tmp_path / "x").touch()
    assert (await api.finished(beside)).state.name == "Completed"
    assert host.zygotes() == [zygote]


async def test_an_agent_without_descriptors_goes_on_later(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    await begun(api, await host.assign(code, "wait", parameters={"path": str(flag)}))
    assert host.process is not None
    (zygote,) = host.zygotes()
    before = resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    runs = [await host.assign(code, "wait", parameters={"path": str(flag)}) for _ in range(4)]
    seen: set[int] = set()

    def one_is_gone() -> bool:
        children = set(children_of(zygote))
        seen.update(children)
        return seen != children

    # A child whose descriptors did not arrive is ended.
    await until(one_is_gone)
    resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE, before)
    for run_id in runs:
        await begun(api, run_id)
    flag.touch()
    for run_id in runs:
        assert (await api.finished(run_id)).state.name == "Completed"


async def test_the_zygotes_of_a_killed_agent_clear_up(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    run_id = await host.assign(code, "wait_with_helpers", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    zygotes, helpers = host.zygotes(), children_of(pid)
    assert len(helpers) == 2
    host.signal(signal.SIGKILL)
    await host.ended()
    await gone([*zygotes, pid, *helpers])
    assert host.descendants() == []


async def test_what_a_whole_host_leaves_is_found_by_its_mark(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    run_id = await host.assign(code, "wait_with_helpers", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    (zygote,), helpers = host.zygotes(), children_of(pid)
    os.kill(zygote, signal.SIGSTOP)
    # It may be forking still: a stop takes effect a little later.
    await until(lambda: state_of(zygote) == "T")
    family = {zygote, *children_of(zygote), *helpers}
    host.signal(signal.SIGKILL)
    await host.ended()
    # Of the children one runs, and the others see at once that they are not needed any more.
    assert {zygote, pid, *helpers} <= set(marked(host.id)) <= family
    assert zygote in kill_marked(host.id)
    await gone([*family])
    assert kill_marked(host.id) == []


@pytest.mark.parametrize("code_", [0, 7])
async def test_a_run_that_exits_hard(
    api: FakeApi, host: HostProcess, code: Code, code_: int
) -> None:
    run_id = await host.assign(code, "exit_hard", parameters={"code": code_})
    finished = await api.finished(run_id, 2)
    assert finished.state.type is StateType.CRASHED
    assert f"exit code {code_}" in finished.state.message
    assert api.lines_of(run_id) == [("stdout", "about to leave")]
    assert await host.value(code, "hello") == "hello you"


async def test_a_crash_in_compiled_code(api: FakeApi, host: HostProcess, code: Code) -> None:
    finished = await host.run(code, "segfault")
    assert finished.state.type is StateType.CRASHED
    assert "SIGSEGV" in finished.state.message


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_run_that_writes_into_its_connection(
    api: FakeApi, host: HostProcess, code: Code, number: int
) -> None:
    run_id = await host.assign(code, "write_nonsense", parameters={"number": number})
    finished = await api.finished(run_id, 5)
    assert finished.state.type is StateType.CRASHED
    assert "wrote into its connection" in finished.state.message
    assert await host.value(code, "hello") == "hello you"


@pytest.mark.parametrize("data", [b"\xc1", b"", "text", b"\x81\xa4type\xa4what"])
async def test_what_a_server_says_and_nobody_can_read_is_left_out(
    api: FakeApi, host: HostProcess, code: Code, data: bytes | str
) -> None:
    before = api.connections
    await api.say_raw(data)
    assert await host.value(code, "hello") == "hello you"
    assert api.connections == before


async def test_a_run_that_leaves_processes(host: HostProcess, code: Code) -> None:
    await host.value(code, "hello")
    zygote = host.zygotes()[0]
    assert await host.value(code, "leave_helpers") == "left"
    host.signal(signal.SIGTERM)
    assert await host.ended() == 0
    await gone([zygote])
    assert host.descendants() == []


async def test_a_child_that_does_not_leave_is_ended(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    pid = (await host.value(code, "identity"))[0]
    assert await host.value(code, "linger") == "done"
    assert await host.value(code, "hello") == "hello you"
    zygote = host.zygotes()[0]
    lingering = [child for child in children_of(zygote) if child > pid]
    assert lingering
    host.signal(signal.SIGTERM)
    assert await host.ended() == 0


async def test_timeout(api: FakeApi, host: HostProcess, code: Code, tmp_path: Path) -> None:
    parameters = {"path": str(tmp_path / "x")}
    run_id = await host.assign(code, "wait_deaf", parameters=parameters, timeout=0.3)
    pid = await begun(api, run_id)
    finished = await api.finished(run_id, 5)
    assert (finished.state.type, finished.state.name) == (StateType.FAILED, "TimedOut")
    assert "0.3 s" in finished.state.message
    await gone([pid])


async def test_cancel(api: FakeApi, host: HostProcess, code: Code, tmp_path: Path) -> None:
    run_id = await host.assign(code, "wait", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    await api.say(wire.CancelRun(run_id=run_id, attempt=1))
    finished = await api.finished(run_id, 5)
    assert finished.state.type is StateType.CANCELLED
    await gone([pid])


async def test_cancel_of_a_deaf_run(api: FakeApi, make_host, code: Code, tmp_path: Path) -> None:
    host = make_host(grace=0.3)
    await host.start()
    run_id = await host.assign(code, "wait_deaf", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    await api.say(wire.CancelRun(run_id=run_id, attempt=1))
    finished = await api.finished(run_id, 5)
    assert finished.state.type is StateType.CANCELLED
    await gone([pid])


async def test_a_cancel_that_is_not_heard_is_said_again(
    api: FakeApi, make_host, code: Code
) -> None:
    host = make_host(grace=60)
    await host.start()
    run_id = await host.assign(code, "wait_for_signals", parameters={"count": 3})
    await begun(api, run_id)
    await api.say(wire.CancelRun(run_id=run_id, attempt=1))
    finished = await api.finished(run_id, 10)
    # The run's own word, not the host's.
    assert (finished.state.type, finished.state.message) == (StateType.CANCELLED, "")


async def test_cancel_at_once(api: FakeApi, host: HostProcess, code: Code, tmp_path: Path) -> None:
    run_id = await host.assign(code, "wait_deaf", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    await api.say(wire.CancelRun(run_id=run_id, attempt=1, now=True))
    finished = await api.finished(run_id, 2)
    assert finished.state.type is StateType.CANCELLED
    await gone([pid])


async def test_cancel_before_the_import_is_done(
    api: FakeApi, host: HostProcess, project: Path
) -> None:
    (project / "slow.py").write_text("import time\ntime.sleep(600)\n")
    slow = Code(path=str(project), file="slow.py")
    run_id = await host.assign(slow, "hello")
    await api.wait(lambda: api.of_kind(wire.AssignAck))
    await api.say(wire.CancelRun(run_id=run_id, attempt=1))
    assert (await api.finished(run_id, 2)).state.type is StateType.CANCELLED


async def test_an_older_attempt_is_not_cancelled(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    parameters = {"path": str(tmp_path / "x")}
    run_id = await host.assign(code, "wait", attempt=2, parameters=parameters)
    await begun(api, run_id)
    await api.say(wire.CancelRun(run_id=run_id, attempt=1, now=True))
    (tmp_path / "x").touch()
    assert (await api.finished(run_id)).state.name == "Completed"


async def test_a_file_with_a_syntax_error(
    api: FakeApi, host: HostProcess, project: Path, code: Code
) -> None:
    (project / "broken.py").write_text("def f():\n    return (1,\n")
    broken = Code(path=str(project), file="broken.py")
    run_id = await host.assign(broken, "f")
    finished = await api.finished(run_id)
    assert finished.state.type is StateType.FAILED
    assert finished.state.message.startswith("broken.py could not be imported: SyntaxError: ")
    assert api.lines_of(run_id) == []
    assert "(broken.py, line 2)" in finished.state.message
    assert await host.value(code, "hello") == "hello you"


async def test_an_import_that_fails(api: FakeApi, host: HostProcess, project: Path) -> None:
    (project / "broken.py").write_text("import helper\n")
    (project / "helper.py").write_text("\nimport nothing_of_that_name\n")
    broken = Code(path=str(project), file="broken.py")
    run_id = await host.assign(broken, "f")
    finished = await api.finished(run_id)
    assert finished.state.type is StateType.FAILED
    assert "No module named 'nothing_of_that_name' (helper.py, line 2)" in finished.state.message
    ((_, told),) = api.lines_of(run_id)
    assert told.startswith("Traceback")
    assert told.count("File ") == 2
    (project / "helper.py").write_text("def f():\n    return 1\n")
    (project / "broken.py").write_text("from helper import f\n")
    assert await host.value(broken, "f") == 1


async def test_what_a_failed_import_has_started_is_ended(
    host: HostProcess, project: Path, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    (project / "broken.py").write_text(
        "import subprocess, pathlib\n"
        "helper = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"pathlib.Path({str(note)!r}).write_text(str(helper.pid))\n"
        "raise ValueError\n"
    )
    finished = await host.run(Code(path=str(project), file="broken.py"), "f")
    assert finished.state.type is StateType.FAILED
    await gone([int(note.read_text())])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import sys; sys.exit('no main guard')", "SystemExit: no main guard"),
        ("import os; os._exit(4)", "exit code 4"),
    ],
)
async def test_an_import_that_ends_the_process(
    host: HostProcess, project: Path, line: str, words: str
) -> None:
    (project / "broken.py").write_text(line + "\n")
    finished = await host.run(Code(path=str(project), file="broken.py"), "f")
    assert finished.state.type is StateType.FAILED
    assert words in finished.state.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file": "missing.py"}, "missing.py could not be imported: it is not there"),
        ({"path": "/nowhere"}, "/nowhere"),
        ({"working_dir": "/nowhere"}, "/nowhere"),
        ({"python": "/nowhere/python"}, "/nowhere/python"),
        ({"python": "/bin/false"}, "exit code 1"),
    ],
)
async def test_code_that_is_not_there(
    host: HostProcess, code: Code, changes: dict[str, str], words: str
) -> None:
    finished = await host.run(msgspec.structs.replace(code, **changes), "hello")
    assert finished.state.type is StateType.FAILED
    assert words in finished.state.message
    assert await host.value(code, "hello") == "hello you"


@pytest.mark.parametrize("env", [{"A=B": "1"}, {"": "1"}, {"A": "x\0y"}])
async def test_an_environment_that_no_process_can_have(
    api: FakeApi, host: HostProcess, code: Code, env: dict[str, str]
) -> None:
    bad = msgspec.structs.replace(code, env=env)
    await api.say(wire.Warm(codes=[bad]))
    finished = await host.run(bad, "hello")
    assert finished.state.type is StateType.FAILED
    assert "its process cannot be started: " in finished.state.message
    assert await host.value(code, "hello") == "hello you"


async def test_what_is_reported_meanwhile_arrives_later(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    waiting = await host.assign(code, "wait", parameters={"path": str(flag)})
    lost = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, waiting)
    await begun(api, lost)
    await api.close()
    flag.touch()
    spool = spool_path(host.home, host.id)
    await spooled(spool, {waiting, lost})
    api.said.clear()
    await api.open()
    for run_id in (waiting, lost):
        assert (await api.finished(run_id)).state.name == "Completed"
    await api.wait(lambda: api.of_kind(wire.Holding))
    assert await host.value(code, "hello") == "hello you"
    host.signal(signal.SIGTERM)
    assert await host.ended() == 0
    assert not spool.exists()


async def test_unacknowledged_frames_come_again(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    api.acknowledge = False
    run_id = await host.assign(code, "shout", parameters={"lines": 50})
    await api.reported(run_id, HandedOver)
    api.reports.clear()
    api.forget_seen()
    await api.cut()
    # Not before: what is acknowledged last on the old connection acknowledges all before it.
    api.acknowledge = True
    # The end may have come on the old connection still.
    await api.reported(run_id, HandedOver)
    await api.finished(run_id)
    assert len(api.reports_of(run_id, HandedOver)) == 1
    assert [line for _, line in api.lines_of(run_id)] == [f"line {number}" for number in range(50)]


async def test_a_host_says_what_it_holds(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    run_id = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, run_id)
    api.said.clear()
    await api.cut()
    assert (await api.wait(lambda: api.of_kind(wire.Holding)))[0].runs == [(run_id, 1)]
    flag.touch()
    assert (await api.finished(run_id)).state.name == "Completed"


async def test_a_host_says_which_zygotes_are_ready(
    api: FakeApi, host: HostProcess, code: Code, project: Path
) -> None:
    (project / "slow.py").write_text("import time\ntime.sleep(600)\n")
    await host.value(code, "hello")
    await host.assign(Code(path=str(project), file="slow.py"), "hello")
    await api.wait(lambda: len(api.of_kind(wire.AssignAck)) == 2)
    api.said.clear()
    await api.cut()
    await api.connected()
    told = api.of_kind(wire.ZygoteChanged)
    assert [(changed.key, changed.state) for changed in told] == [(code.key, "ready")]
    assert api.said.index(told[0]) < api.said.index(api.of_kind(wire.Holding)[0])


async def test_a_host_says_which_zygote_is_not_wanted_any_more(
    api: FakeApi, host: HostProcess, code: Code, project: Path
) -> None:
    await host.value(code, "hello")
    path = project / "flows.py"
    path.write_text(path.read_text() + "# changed\n")
    await host.value(code, "hello")
    changes = [(changed.key, changed.state) for changed in api.of_kind(wire.ZygoteChanged)]
    assert changes == [(code.key, "ready"), (code.key, "gone"), (code.key, "ready")]


async def test_requests_survive_a_reconnect(api: FakeApi, host: HostProcess, code: Code) -> None:
    run_id = await host.assign(code, "start_another")
    first = (await api.wait(lambda: api.of_kind(wire.HostRequest)))[0]
    state = StateRecord(StateType.SCHEDULED, "Scheduled", 1.0)
    api.answer = lambda request: FlowRun(id="x", name="late", flow_name="a", state=state)
    await api.cut()
    finished = await api.finished(run_id)
    assert finished.result is not None
    assert finished.result.data == b'"late"'
    again = api.of_kind(wire.HostRequest)[-1]
    assert isinstance(first.body, StartRun)
    assert again == first


async def test_a_request_that_is_given_up_is_taken_back(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    run_id = await host.assign(code, "give_up")
    await api.wait(lambda: len(api.of_kind(wire.HostRequest)) == 2)
    first, second = api.of_kind(wire.HostRequest)
    assert [forgotten.id for forgotten in api.of_kind(wire.ForgetRequest)] == [first.id]
    state = StateRecord(StateType.SCHEDULED, "Scheduled", 1.0)
    api.answer = lambda request: FlowRun(id="x", name="late", flow_name="a", state=state)
    await api.cut()
    finished = await api.finished(run_id)
    assert finished.result is not None
    assert finished.result.data == b'"late"'
    assert api.of_kind(wire.HostRequest) == [first, second, second]


async def test_flushed_is_kept_through_a_crash(api: FakeApi, host: HostProcess, code: Code) -> None:
    await host.value(code, "hello")
    await api.close()
    api.said.clear()
    await api.open()
    await api.connected()
    run_id = await host.assign(code, "flush_then_exit")
    assert (await api.finished(run_id)).state.type is StateType.CRASHED
    assert ("stdout", "kept") in api.lines_of(run_id)


async def test_a_dead_host_leaves_its_spool(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    run_id = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, run_id)
    await api.close()
    flag.touch()
    spool = spool_path(host.home, host.id)
    await spooled(spool, {run_id})
    host.signal(signal.SIGKILL)
    await host.ended()
    assert {frame.run_id for frame in read_frames(spool)} == {run_id}


async def test_fenced(make_host, api: FakeApi, code: Code, tmp_path: Path) -> None:
    api.fence_after = 1.0
    host = make_host(fence_after=1.0)
    await host.start()
    run_id = await host.assign(code, "wait_deaf", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    await api.close()
    assert await host.ended(5) == 1
    await gone([pid])
    assert host.descendants() == []


async def test_a_stopped_agent_is_fenced_by_its_zygotes(
    make_host, api: FakeApi, code: Code, tmp_path: Path
) -> None:
    api.fence_after, api.heartbeat = 1.0, 0.2
    host = make_host()
    await host.start()
    run_id = await host.assign(code, "wait_deaf", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    host.signal(signal.SIGSTOP)
    await gone([pid], 5)
    host.signal(signal.SIGCONT)
    await api.finished(run_id, 5)


async def test_a_final_refusal_ends_a_host(
    make_host, api: FakeApi, code: Code, tmp_path: Path
) -> None:
    host = make_host()
    await host.start()
    run_id = await host.assign(code, "wait_deaf", parameters={"path": str(tmp_path / "x")})
    pid = await begun(api, run_id)
    api.refusal = wire.HostRefused(reason="given up", final=True)
    await api.cut()
    assert await host.ended(5) == 1
    await gone([pid])


async def test_a_host_that_was_never_welcome_leaves_the_files_of_its_name(
    make_host, api: FakeApi
) -> None:
    host = make_host()
    spool, tmp = spool_path(host.home, host.id), host.home / "tmp" / host.id / "1"
    tmp.mkdir(parents=True)
    spool.parent.mkdir(parents=True)
    spool.touch()
    api.refusal = wire.HostRefused(reason="wrong token", final=True)
    await host.start(connected=False)
    assert await host.ended(10) == 1
    assert spool.exists()
    assert tmp.exists()


async def test_an_early_host_tries_again(make_host, api: FakeApi, code: Code) -> None:
    api.refusal = wire.HostRefused(reason="not ordered yet", final=False)
    host = make_host()
    await host.start(connected=False)
    await api.wait(lambda: len(api.of_kind(wire.HostHello)) >= 2)
    api.refusal = None
    await api.connected()
    assert await host.value(code, "hello") == "hello you"


async def test_sigterm_drains(
    api: FakeApi, host: HostProcess, code: Code, project: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    (project / "slow.py").write_text("import time\ntime.sleep(600)\n")
    running = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, running)
    unborn = await host.assign(Code(path=str(project), file="slow.py"), "hello")
    await api.wait(lambda: len(api.of_kind(wire.AssignAck)) == 2)
    host.signal(signal.SIGTERM)
    draining = (await api.wait(lambda: api.of_kind(wire.HostDraining)))[0]
    assert draining.released == [(unborn, 1)]
    late = await host.assign(code, "hello")
    released = (await api.wait(lambda: api.of_kind(wire.Released)))[0]
    assert released.runs == [(late, 1)]
    flag.touch()
    assert (await api.finished(running)).state.name == "Completed"
    assert await host.ended() == 0
    assert host.descendants() == []


async def test_what_the_server_gave_meanwhile_is_handed_back(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    api.dismiss = False
    await host.value(code, "hello")
    host.signal(signal.SIGTERM)
    await api.wait(lambda: api.of_kind(wire.HostDraining))
    first = await host.assign(code, "hello")
    await api.wait(lambda: api.of_kind(wire.Released))
    second = await host.assign(code, "hello")
    await api.say(wire.Drain())
    assert await host.ended() == 0
    released = [key for message in api.of_kind(wire.Released) for key in message.runs]
    assert released == [(first, 1), (second, 1)]


async def test_an_idle_host_does_not_wait_for_a_server_that_is_away(
    api: FakeApi, host: HostProcess
) -> None:
    api.dismiss = False
    host.signal(signal.SIGTERM)
    await api.wait(lambda: api.of_kind(wire.HostDraining))
    await api.close()
    assert await host.ended(5) == 0


async def test_grace_is_not_for_ever(make_host, api: FakeApi, code: Code, tmp_path: Path) -> None:
    host = make_host(grace=0.3)
    await host.start()
    run_id = await host.assign(code, "wait_deaf", parameters={"path": str(tmp_path / "x")})
    await begun(api, run_id)
    host.signal(signal.SIGTERM)
    assert await host.ended(5) == 0
    finished = await api.finished(run_id)
    assert finished.state.type is StateType.CRASHED
    assert "stopped" in finished.state.message
    assert host.descendants() == []


async def test_a_second_signal_stops_at_once(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    run_id = await host.assign(code, "wait_deaf", parameters={"path": str(tmp_path / "x")})
    await begun(api, run_id)
    host.signal(signal.SIGTERM)
    await api.wait(lambda: api.of_kind(wire.HostDraining))
    host.signal(signal.SIGINT)
    assert await host.ended(5) == 0
    assert host.descendants() == []
    assert (await api.finished(run_id)).state.type is StateType.CRASHED


async def test_a_host_that_is_not_wanted_leaves_after_its_last_run(
    api: FakeApi, host: HostProcess, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    run_id = await host.assign(code, "wait", parameters={"path": str(flag)})
    await begun(api, run_id)
    await api.say(wire.Drain())
    await api.wait(lambda: api.of_kind(wire.HostDraining))
    flag.touch()
    assert (await api.finished(run_id)).state.name == "Completed"
    assert await host.ended() == 0
    assert not spool_path(host.home, host.id).exists()


async def test_a_waiting_child_that_is_killed_costs_no_run(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    await host.value(code, "hello")
    zygote = host.zygotes()[0]
    for pid in children_of(zygote):
        os.kill(pid, signal.SIGKILL)
    runs = [await host.assign(code, "hello") for _ in range(4)]
    for run_id in runs:
        assert (await api.finished(run_id)).state.name == "Completed"
    assert all(api.reports_of(run_id, HandedOver) for run_id in runs)
    assert all(api.reports_of(run_id, Logged) for run_id in runs)
