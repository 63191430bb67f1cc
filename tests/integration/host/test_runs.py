"""One run after the other on a warm host."""

import resource
from pathlib import Path

import msgspec
import pytest

from stoker.domain.deployments import Code
from stoker.domain.errors import NotFound
from stoker.domain.reports import HandedOver, Started
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess
from stoker.wire import host as wire

pytestmark = pytest.mark.anyio


async def test_the_second_run_is_hot(api: FakeApi, host: HostProcess, code: Code) -> None:
    first = await host.assign(code, "hello", parameters={"name": "me"})
    finished = await api.finished(first)
    assert finished.result is not None
    assert msgspec.json.decode(finished.result.data) == "hello me"
    assert api.lines_of(first) == [("stdout", "hello me"), ("stderr", "to stderr")]
    cold = await api.reported(first, HandedOver)
    assert cold.imported is not None
    assert cold.import_seconds is not None
    second = await host.assign(code, "hello")
    await api.finished(second)
    warm = await api.reported(second, HandedOver)
    assert warm.imported is None
    started = await api.reported(second, Started)
    assert warm.received <= warm.handed_over <= started.at
    assert [ack.runs for ack in api.of_kind(wire.AssignAck)] == [[(first, 1)], [(second, 1)]]


async def test_reports_of_a_run_come_in_order(api: FakeApi, host: HostProcess, code: Code) -> None:
    run_id = await host.assign(code, "shout", parameters={"lines": 2000})
    await api.finished(run_id)
    lines = [message for _, message in api.lines_of(run_id)]
    assert lines == [f"line {number}" for number in range(2000)]


async def test_nothing_of_a_run_is_seen_by_the_next(
    api: FakeApi, host: HostProcess, project: Path
) -> None:
    (project / "with_numpy.py").write_text("import numpy\nfrom flows import *\n")
    code = Code(path=str(project), file="with_numpy.py")
    found = [await host.value(code, "touch_everything") for _ in range(4)]
    for counter, states, left, exists, _, tmp, cwd, _, _ in found:
        assert [counter, states, left, exists] == [1, 1, None, False]
        assert cwd == str(project)
        assert tmp.startswith(str(host.home))
    for index in (4, 5, 8):
        values = [run[index] for run in found]
        assert len(set(values)) == len(values)


async def test_temporary_folders_go_with_their_runs(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    tmp = Path((await host.value(code, "touch_everything"))[5])
    host.signal(15)
    assert await host.ended() == 0
    assert not tmp.exists()
    assert not tmp.parent.exists()


async def test_run_environment_reaches_the_run_alone(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    finished = await host.run(code, "environment", env={"COLOUR": "red", "TZ": "Asia/Tokyo"})
    assert finished.result is not None
    environ = msgspec.json.decode(finished.result.data)
    assert environ["COLOUR"] == "red"
    finished = await host.run(code, "touch_everything", env={"TZ": "Asia/Tokyo"})
    assert finished.result is not None
    assert msgspec.json.decode(finished.result.data)[7] == "JST"
    assert "COLOUR" not in await host.value(code, "environment")


async def test_children_hold_no_secret(
    monkeypatch: pytest.MonkeyPatch, make_host, code: Code
) -> None:
    monkeypatch.setenv("STOKER_API_KEY", "hunter2")
    monkeypatch.setenv("STOKER_API_URL", "http://nowhere")
    host = make_host()
    await host.start()
    environ = await host.value(code, "environment")
    ours = {name for name in environ if name.startswith("STOKER_")}
    assert ours == {"STOKER_HOME", "STOKER_HOST_ID"}
    for pid in host.descendants():
        assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()


async def test_two_import_environments_share_a_host(host: HostProcess, project: Path) -> None:
    red, blue = (
        Code(path=str(project), file="flows.py", env={"COLOUR": colour})
        for colour in ("red", "blue")
    )
    for _ in range(2):
        assert await host.value(red, "colours") == ["red", "red"]
        assert await host.value(blue, "colours") == ["blue", "blue"]
    finished = await host.run(red, "colours", env={"COLOUR": "green"})
    assert finished.result is not None
    assert msgspec.json.decode(finished.result.data) == ["red", "green"]


async def test_a_run_leads_its_own_session(host: HostProcess, code: Code) -> None:
    pid, parent, session, group = await host.value(code, "identity")
    assert pid == session == group
    assert parent in host.zygotes()


async def test_output_below_python_is_captured(api: FakeApi, host: HostProcess, code: Code) -> None:
    run_id = await host.assign(code, "below_python")
    await api.finished(run_id)
    await api.wait(lambda: len(api.lines_of(run_id)) >= 4)
    lines = api.lines_of(run_id)
    out = [message for name, message in lines if name == "stdout"]
    assert out == ["from C", "from sh", "end"]
    assert ("stderr", "oops") in lines


async def test_a_forked_process_prints_into_the_log(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    run_id = await host.assign(code, "forked")
    await api.finished(run_id)
    await api.wait(lambda: api.lines_of(run_id))
    assert api.lines_of(run_id) == [("stdout", "from the fork")]


async def test_exit_handlers_and_threads_end_properly(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    run_id = await host.assign(code, "exit_handlers")
    await api.finished(run_id)
    await api.wait(lambda: len(api.lines_of(run_id)) == 2)
    assert [line for _, line in api.lines_of(run_id)] == ["the thread ran", "the exit handler ran"]


async def test_a_run_asks_through_the_agent(api: FakeApi, host: HostProcess, code: Code) -> None:
    def answer(request: wire.HostRequest) -> FlowRun | Exception:
        assert isinstance(request.body, StartRun)
        assert request.body.idempotency_key
        if request.run_id == "asks":
            state = StateRecord(StateType.SCHEDULED, "Scheduled", 1.0)
            return FlowRun(id="x", name="brave-otter", flow_name="a", state=state)
        return NotFound("no deployment is called 'a/b'")

    api.answer = answer
    finished = await host.run(code, "start_another", run_id="asks")
    assert finished.result is not None
    assert msgspec.json.decode(finished.result.data) == "brave-otter"
    assert await host.value(code, "start_unknown") == "NotFound: no deployment is called 'a/b'"


async def test_codes_are_warmed_ahead(api: FakeApi, make_host, code: Code) -> None:
    host = make_host(runner="stoker")
    api.warm = [code]
    await host.start()
    changed = (await api.wait(lambda: api.of_kind(wire.ZygoteChanged)))[0]
    assert (changed.key, changed.state) == (code.key, "ready")


async def test_more_runs_than_slots(api: FakeApi, host: HostProcess, code: Code) -> None:
    runs = [await host.assign(code, "hello") for _ in range(40)]
    for run_id in runs:
        assert (await api.finished(run_id)).state.name == "Completed"


async def test_an_assignment_that_comes_twice_runs_once(
    api: FakeApi, host: HostProcess, code: Code
) -> None:
    job = host.job(code, "hello")
    for _ in range(2):
        await api.say(wire.Assign(jobs=[job, job]))
        await api.finished(job.run_id)
    await host.value(code, "hello")
    assert len(api.reports_of(job.run_id, Started)) == 1


async def test_the_bound_of_zygotes_holds(api: FakeApi, host: HostProcess, project: Path) -> None:
    for number in range(20):
        code = Code(path=str(project), file="flows.py", env={"COLOUR": str(number)})
        assert (await host.value(code, "colours"))[0] == str(number)
    assert len(host.zygotes()) <= 17  # one may be about to leave


async def test_nothing_is_inherited(api: FakeApi, host: HostProcess, code: Code) -> None:
    await host.value(code, "hello")
    other = Code(path=code.path, file=code.file, env={"COLOUR": "red"})
    for which in (other, code):
        names = await host.value(which, "descriptors")
        # Standard streams, and the connection to the agent.
        assert [names[0], len(names)] == ["/dev/null", 4]
        assert [name.partition(":")[0] for name in names[1:]] == ["pipe", "pipe", "socket"]


async def test_the_agent_alone_may_open_many_files(api: FakeApi, make_host, code: Code) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, before[1]))
    try:
        host = make_host()
        await host.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    agent = resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE)
    assert agent == (before[1], before[1])
    assert await host.value(code, "file_limit") == [500, before[1]]
