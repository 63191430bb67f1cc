"""Deploying flows, and starting runs of deployments."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest

from stoker import arun_deployment, deploy, flow, run_deployment, task
from stoker.deployments import deployment_of, project_of
from stoker.domain.deployments import Deployment, Parameter
from stoker.domain.errors import Invalid, NotFound
from stoker.domain.requests import AwaitRun, PutDeployment, ReadRun, StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.engine.parameters import ParameterError
from stoker.testing.recording import RecordingBackend

DEADLINE = 10


def run_in(kind: StateType, result: ResultRecord | None = None) -> FlowRun:
    return FlowRun(
        id="the-run",
        name="amber-heron",
        flow_name="etl",
        deployment="etl/nightly",
        parameters={"x": 1},
        tags=["t"],
        state=StateRecord(kind, kind.value.capitalize(), 5.0),
        result=result,
    )


def server(request: Any) -> Any:
    if isinstance(request, PutDeployment):
        return request.deployment
    if isinstance(request, StartRun) and request.timeout == 0:
        return run_in(StateType.SCHEDULED)
    return run_in(StateType.COMPLETED, ResultRecord("json", b"[1,2]"))


@pytest.fixture(autouse=True)
def answers(backend: RecordingBackend) -> None:
    backend.answer = server


@pytest.fixture
def write(tmp_path: Path) -> Generator[Callable[..., Path]]:
    """Write a file of flows into a project of its own."""
    before = list(sys.path), set(sys.modules)

    def write(text: str, file: str = "flows/etl.py", marker: str | None = "pyproject.toml"):
        project = tmp_path / "project"
        path = project / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if marker:
            (project / marker).touch()
        return path

    yield write
    sys.path[:] = before[0]
    for name in set(sys.modules) - before[1]:
        del sys.modules[name]


ETL = """
from datetime import UTC, date, datetime, timedelta, timezone
from stoker import flow

@flow(timeout_seconds=60)
def etl(day: date, n: int = 1):
    pass

@flow
def other(**anything):
    pass

def plain():
    pass
"""


def test_a_run_is_asked_for_and_waited_for_in_one_request(backend: RecordingBackend) -> None:
    run = run_deployment("etl/nightly", {"day": date(2026, 1, 2)}, tags=["a"])
    (request,) = backend.asked
    assert request == StartRun(
        deployment="etl/nightly", parameters={"day": "2026-01-02"}, tags=["a"], timeout=None
    )
    assert (run.id, run.name, run.deployment) == ("the-run", "amber-heron", "etl/nightly")
    assert (run.flow_name, dict(run.parameters), run.tags) == ("etl", {"x": 1}, ["t"])
    assert run.state.is_completed()
    assert run.state.result() == run.result() == [1, 2]


@pytest.mark.parametrize(
    "given",
    [
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        datetime(2026, 1, 1, 12, tzinfo=UTC).replace(tzinfo=None),
        datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=["utc", "naive", "ahead"],
)
def test_a_run_for_later_is_asked_for(backend: RecordingBackend, given: datetime) -> None:
    run_deployment("etl/nightly", scheduled_time=given, timeout=0)
    asyncio.run(_later(given))
    requests = [one for one in backend.asked if isinstance(one, StartRun)]
    assert [one.scheduled_time for one in requests] == [1767268800.0] * 2


async def _later(given: datetime) -> None:
    await arun_deployment("etl/nightly", scheduled_time=given, timeout=0)


def test_a_time_is_a_datetime(backend: RecordingBackend) -> None:
    noon: Any = "12:00"
    with pytest.raises(TypeError, match="scheduled_time is a datetime"):
        run_deployment("etl/nightly", scheduled_time=noon)


def test_all_options_reach_the_request(backend: RecordingBackend) -> None:
    run_deployment(
        name="etl/nightly",
        timeout=5,
        flow_run_name="mine",
        job_variables={"env": {"A": "1"}},
        idempotency_key="k",
    )
    assert backend.asked == [
        StartRun(
            deployment="etl/nightly",
            timeout=5,
            name="mine",
            job_variables={"env": {"A": "1"}},
            idempotency_key="k",
        )
    ]


def test_a_run_is_linked_to_the_flow_that_starts_it(backend: RecordingBackend) -> None:
    @task
    def start():
        run_deployment("etl/nightly", timeout=0)

    @flow
    def parent():
        start()
        start.submit()
        run_deployment("etl/nightly", timeout=0)

    @flow
    def stranger():
        run_deployment("etl/nightly", timeout=0, as_subflow=False)

    parent()
    stranger()
    me = backend.run("parent").id
    assert [request.parent_run_id for request in backend.asked] == [me, me, me, None]


def test_a_run_can_be_waited_for_later(backend: RecordingBackend) -> None:
    @flow
    def parent():
        run = run_deployment("etl/nightly", timeout=0)
        assert run.state.is_scheduled()
        assert run.wait(7).state.is_completed()
        run.wait()
        return run.refresh().result()

    assert parent() == [1, 2]
    _, waited, read = backend.asked
    me = backend.run("parent").id
    assert waited == AwaitRun(run_id="the-run", waiter_run_id=me, timeout=7)
    assert read == ReadRun(run_id="the-run")


def test_in_a_coroutine_it_can_be_awaited(backend: RecordingBackend) -> None:
    @flow
    async def parent():
        one = await run_deployment("etl/nightly")  # type: ignore[misc]
        two = await arun_deployment("etl/nightly")
        three = await (await arun_deployment("etl/nightly", timeout=0)).wait_async()
        return [run.result() for run in (one, two, three)]

    assert asyncio.run(parent()) == [[1, 2]] * 3
    assert {request.parent_run_id for request in backend.asked[:3]} == {backend.run("parent").id}


def test_a_plain_flow_under_an_event_loop_blocks(backend: RecordingBackend) -> None:
    @flow
    def plain():
        return run_deployment("etl/nightly").result()

    async def main():
        return plain()

    assert asyncio.run(main()) == [1, 2]


def test_many_waits_go_side_by_side(backend: RecordingBackend) -> None:
    together = threading.Barrier(50, timeout=DEADLINE)

    def answer(request: Any) -> Any:
        together.wait()
        return server(request)

    backend.answer = answer

    @flow
    async def parent():
        runs = await asyncio.gather(*(arun_deployment("etl/nightly") for _ in range(50)))
        return len(runs)

    assert asyncio.run(parent()) == 50


def test_futures_are_resolved_first(backend: RecordingBackend) -> None:
    @task
    def one():
        return 1

    @flow
    def parent():
        run_deployment("etl/nightly", {"x": [one.submit()]})

    parent()
    assert backend.asked[0].parameters == {"x": [1]}


def test_what_cannot_be_sent_is_named() -> None:
    with pytest.raises(ParameterError, match=r"run_deployment\('etl/nightly'\): parameter 'x'"):
        run_deployment("etl/nightly", {"x": object()})
    with pytest.raises(ValueError, match="0 or more seconds"):
        run_deployment("etl/nightly", timeout=-1)


def test_the_servers_refusal_is_raised(backend: RecordingBackend) -> None:
    def refuse(request: Any) -> Any:
        raise NotFound("there is no deployment 'etl/nightly'")

    backend.answer = refuse
    with pytest.raises(NotFound, match="no deployment"):
        run_deployment("etl/nightly")


def test_a_flow_of_a_file_is_described(write) -> None:
    file = write(ETL)
    known = deployment_of(
        file,
        "etl",
        name="nightly",
        pool="p",
        queue="q",
        parameters={"n": 2},
        job_variables={"env": {"A": "1"}},
        tags=["t"],
    )
    assert known.full_name == "etl/nightly"
    assert known.entrypoint == "flows/etl.py:etl"
    assert known.path == str(file.parent.parent)
    assert (known.pool, known.queue, known.tags, known.timeout) == ("p", "q", ["t"], 60)
    assert known.parameters == {"n": 2}
    assert known.job_variables == {"env": {"A": "1"}}
    assert known.signature == [
        Parameter(name="day", required=True, type="datetime.date"),
        Parameter(name="n", type="int"),
    ]


def test_modules_are_found_beside_the_file_too_as_hosts_find_them(write) -> None:
    write("N = 1\n", "flows/beside_it.py")
    write("N = 2\n", "on_top_of_it.py")
    file = write("import beside_it, on_top_of_it\n" + ETL)
    assert deployment_of(file, "etl", name="d").entrypoint == "flows/etl.py:etl"


def test_a_flow_that_takes_anything_has_no_signature(write) -> None:
    assert deployment_of(write(ETL), "other", name="d").signature is None


def test_the_only_flow_need_not_be_named(write) -> None:
    text = "from stoker import flow\n@flow\ndef one(): pass\n"
    assert deployment_of(write(text), None, name="d").entrypoint == "flows/etl.py:one"


@pytest.mark.parametrize(
    ("text", "function", "says"),
    [
        (ETL, "nope", "has no flow 'nope'; its flows are: etl, other"),
        (ETL, "plain", "'plain' in .* is a function and no flow; put @flow on it"),
        (ETL, None, "say which flow .* it has: etl, other"),
        ("x = 1", "x", "it has no flow at all"),
        ("def broken(:\n  pass", "x", "etl.py, line 1 is no valid Python: "),
        ("x = 1\nimport not_there_at_all", "x", "failed in line 2: ModuleNotFoundError: .*not_th"),
        ("x = 1\n1 / 0", "x", "failed in line 2: ZeroDivisionError"),
        ("raise SystemExit(3)", "x", "failed in line 1: SystemExit: 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(write, text: str, function: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        deployment_of(write(text), function, name="d")


def test_other_mistakes_are_told(write, tmp_path: Path) -> None:
    file = write(ETL)
    with pytest.raises(Invalid, match="there is no file"):
        deployment_of(tmp_path / "nope.py", "x", name="d")
    with pytest.raises(Invalid, match="no '/' in it"):
        deployment_of(file, "etl", name="a/b")
    with pytest.raises(ParameterError, match="etl/d has no parameter 'nn'; it takes: day, n"):
        deployment_of(file, "etl", name="d", parameters={"nn": 1})
    with pytest.raises(Invalid, match="not in the project folder"):
        deployment_of(file, "etl", name="d", project=tmp_path / "elsewhere")


@pytest.mark.parametrize("marker", ["pyproject.toml", "stoker.toml", ".git"])
def test_the_nearest_marker_makes_the_project(write, marker: str) -> None:
    file = write(ETL, "a/b/etl.py", marker)
    assert project_of(file) == file.parents[2]


def test_without_a_marker_it_is_the_working_directory(
    write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write(ETL, "a/b/etl.py", None)
    monkeypatch.chdir(file.parents[1])
    assert project_of(file) == file.parents[1]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert project_of(file) == file.parent


@flow
def at_the_top(x: int, y="z"):
    pass


renamed = flow(name="renamed")(lambda: None)


def test_deploy_sends_the_deployment(backend: RecordingBackend) -> None:
    stored = at_the_top.deploy("daily", "p", parameters={"y": "w"}, tags=("a",))
    (request,) = backend.asked
    assert isinstance(stored, Deployment)
    assert stored is request.deployment
    assert stored.full_name == "at-the-top/daily"
    file, _, function = stored.entrypoint.partition(":")
    assert (Path(stored.path) / file).resolve() == Path(__file__).resolve()
    assert function == "at_the_top"
    assert (stored.pool, stored.queue) == ("p", "default")


def test_deploy_finds_a_flow_under_another_name(backend: RecordingBackend) -> None:
    assert renamed.deploy("d").entrypoint.endswith(":renamed")


def test_a_flow_inside_of_a_function_cannot_be_deployed() -> None:
    @flow
    def inside():
        pass

    with pytest.raises(Invalid, match="no top-level name"):
        inside.deploy("d")


@pytest.mark.parametrize(
    ("options", "timeout"),
    [
        ({}, None),
        ({"retries": 3, "retry_delay_seconds": 5}, None),
        ({"timeout_seconds": 10}, 10),
        ({"timeout_seconds": 10, "retries": 2, "retry_delay_seconds": [1, 5]}, 36),
    ],
)
def test_the_hosts_time_limit_leaves_room_for_all_attempts(write, options, timeout) -> None:
    file = write(f"from stoker import flow\n@flow(**{options!r})\ndef one(): pass\n")
    assert deployment_of(file, "one", name="d").timeout == timeout


def test_default_parameters_must_fit_their_type_hints(write) -> None:
    file = write(ETL)
    assert deployment_of(file, "etl", name="d", parameters={"n": 3}).parameters == {"n": 3}
    with pytest.raises(ParameterError, match=r"flow 'etl': parameter 'n' \(int\): .*not 'many'"):
        deployment_of(file, "etl", name="d", parameters={"n": "many"})
    known = deployment_of(file, "other", name="d", parameters={"anything": 1})
    assert known.parameters == {"anything": 1}


SCRIPT = """
from stoker import flow
from stoker.domain.errors import Invalid
from stoker.testing.recording import recording

@flow
def outside():
    pass

if __name__ == "__main__":
    @flow
    def inside():
        pass

    with recording(lambda request: request.deployment):
        print(outside.deploy("d").full_name)
        try:
            inside.deploy("d")
        except Invalid as error:
            print(error)
"""


def test_a_flow_of_a_script_alone_cannot_be_deployed(write) -> None:
    file = write(SCRIPT, "script.py")
    done = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, timeout=60, check=True
    )
    first, second = done.stdout.splitlines()
    assert first == "outside/d"
    assert second.startswith("flow 'inside' is there only where")
    assert "move it out" in second


def test_one_text_is_no_list_of_tags(write) -> None:
    with pytest.raises(TypeError, match="tags must be a list of texts, not 'abc'"):
        run_deployment("etl/nightly", tags="abc")
    with pytest.raises(TypeError, match="tags must be a list of texts, not 'abc'"):
        at_the_top.deploy("d", tags="abc")


@flow
def first() -> None: ...


@flow
def second() -> None: ...


def test_several_are_deployed_at_once(backend: RecordingBackend):
    given = [first.to_deployment("a"), second.to_deployment("b")]
    assert [one.full_name for one in deploy(*given, work_pool_name="gpu")] == [
        "first/a",
        "second/b",
    ]
    put = [one.deployment for one in backend.asked if isinstance(one, PutDeployment)]
    assert [(one.full_name, one.pool) for one in put] == [("first/a", "gpu"), ("second/b", "gpu")]
    assert deploy(first.to_deployment("a"))[0].pool == "default"


def test_what_is_no_deployment_is_not_deployed(backend: RecordingBackend):
    with pytest.raises(ValueError, match="needs a deployment"):
        deploy()
    with pytest.raises(TypeError, match="takes what"):
        deploy(first.to_deployment("a"), *cast(Any, [first]))
    assert not backend.asked
