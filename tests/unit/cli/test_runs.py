"""``stoker deploy``, ``stoker deployment`` and ``stoker flow-run``."""

import json
import time

import pytest

from stoker.domain.anatomy import StartAnatomy, StartClass
from stoker.domain.deployments import Deployment, Parameter
from stoker.domain.runs import FlowRun, StoredLogLine, TaskRun
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.wire.http import Problem, RunPage

SCHEDULED = StateRecord(StateType.SCHEDULED, "Scheduled", 100.0)
RUNNING = StateRecord(StateType.RUNNING, "Running", 101.0)
COMPLETED = StateRecord(StateType.COMPLETED, "Completed", 103.0)
FAILED = StateRecord(StateType.FAILED, "Failed", 103.0, "ValueError: no")


def flow_run(state: StateRecord, **more) -> FlowRun:
    return FlowRun(
        id="r1",
        name="amber-heron",
        flow_name="f",
        deployment="f/d",
        state=state,
        created=100.0,
        **more,
    )


ENDED = flow_run(
    COMPLETED,
    started=101.0,
    ended=103.0,
    result=ResultRecord("json", b"42"),
    anatomy=StartAnatomy(
        submitted=100.0,
        claimed=100.0005,
        assigned=100.001,
        received=100.0015,
        handed_over=100.002,
        first_line=100.0042,
        start_class=StartClass.HOT,
    ),
)
DEPLOYMENT = Deployment(
    id="d1",
    name="d",
    flow_name="f",
    entrypoint="a.py:f",
    path="/code",
    pool="p",
    signature=[Parameter(name="n", required=True, type="int"), Parameter(name="x")],
    parameters={"x": 1},
)


def line(number: int, at: float, text: str) -> StoredLogLine:
    return StoredLogLine(id=number, at=at, level=20, logger="stoker.flow_runs", message=text)


@pytest.fixture
def run_of(api):
    """Let the server know a run that goes through states and log lines as it is asked."""

    def play(*, states: list[StateRecord], lines: list[StoredLogLine], run: FlowRun) -> None:
        def logs(request):
            query = dict(pair.split("=") for pair in request.query.split("&"))
            after = int(query["after"])
            return 200, [found for found in lines if found.id > after]

        api.answer("POST /api/flow-runs", flow_run(SCHEDULED), 201)
        api.answer("GET /api/flow-runs/r1", run)
        api.answer("GET /api/flow-runs/r1/wait", run)
        api.answer("GET /api/flow-runs/r1/states", states)
        api.answer("GET /api/flow-runs/r1/task-runs", [])
        api.routes["GET /api/flow-runs/r1/logs"] = logs

    return play


# stoker deployment


def test_run_sends_parameters_as_json_or_text(stoker, api, run_of):
    run_of(states=[], lines=[], run=flow_run(SCHEDULED))
    stoker(
        "deployment", "run", "f/d", "--params", '{"a": 1, "b": 2}', "--param", "b=[3]",
        "--param", "c=text", "--param", "d=a=b", "--name", "mine", "--tag", "t",
        "--job-variable", 'env={"K": "v"}',
    )  # fmt: skip
    sent = api.requests[0].json()
    assert sent["parameters"] == {"a": 1, "b": [3], "c": "text", "d": "a=b"}
    assert (sent["deployment"], sent["name"], sent["tags"]) == ("f/d", "mine", ["t"])
    assert sent["job_variables"] == {"env": {"K": "v"}}
    assert sent.get("timeout", 0) == 0


def test_run_sends_when_it_begins_from_now(stoker, api, run_of):
    run_of(states=[], lines=[], run=flow_run(SCHEDULED))
    before = time.time()
    stoker("deployment", "run", "f/d", "--start-in", "2m")
    assert before + 120 <= api.requests[0].json()["scheduled_time"] <= time.time() + 120


@pytest.mark.parametrize(
    ("arguments", "due"),
    [
        (("--start-at", "1970-01-02"), 86_400.0),
        (("--start-at", "1970-01-02T01:00+01:00"), 86_400.0),
    ],
)
def test_run_sends_when_it_begins_and_its_key(stoker, api, run_of, arguments, due):
    run_of(states=[], lines=[], run=flow_run(SCHEDULED))
    out = stoker("deployment", "run", "f/d", *arguments, "--idempotency-key", "k").out
    sent = api.requests[0].json()
    assert (sent["scheduled_time"], sent["idempotency_key"]) == (due, "k")
    assert "It begins at" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--start-at", "noon"), "--start-at"),
        (("--start-in", "soon"), "--start-in"),
        (("--start-in", "1m", "--start-at", "1970-01-02"), "one of --start-at and --start-in"),
    ],
)
def test_no_time_to_begin_at_is_a_usage_error(stoker, api, arguments, named):
    assert named in stoker("deployment", "run", "f/d", *arguments, code=2).err
    assert not api.requests


@pytest.mark.parametrize("arguments", [("--param", "a"), ("--param", "=1"), ("--params", "[1]")])
def test_parameters_that_are_none_are_usage_errors(stoker, api, arguments):
    stoker("deployment", "run", "f/d", *arguments, code=2)
    assert not api.requests


def test_run_says_how_to_follow(stoker, run_of):
    run_of(states=[], lines=[], run=flow_run(SCHEDULED))
    out = stoker("deployment", "run", "f/d").out
    assert "amber-heron" in out
    assert "stoker flow-run logs r1 --follow" in out


def test_an_unknown_deployment_is_an_error(stoker, api):
    gone = Problem(error="NotFound", detail="there is no deployment 'f/d'")
    api.answer("POST /api/flow-runs", gone, 404)
    assert stoker("deployment", "run", "f/d", code=1).err == "Error: there is no deployment 'f/d'\n"


def test_watch_shows_states_and_lines_in_order_and_the_start(stoker, run_of):
    run_of(
        states=[SCHEDULED, RUNNING, COMPLETED],
        lines=[line(1, 101.5, "one"), line(2, 102.5, "two")],
        run=ENDED,
    )
    out = stoker("deployment", "run", "f/d", "--watch").out
    words = [row.rpartition("| ")[2] for row in out.splitlines()[1:-1]]
    assert words == ["Scheduled", "Running", "one", "two", "Completed"]
    assert out.splitlines()[-1] == "It took 3 s, its hot start 4.2 ms."


def test_watch_exits_with_1_where_the_run_does_not_complete(stoker, run_of):
    run_of(states=[SCHEDULED, FAILED], lines=[], run=flow_run(FAILED, ended=103.0))
    assert "Failed: ValueError: no" in stoker("deployment", "run", "f/d", "--watch", code=1).out


def test_watch_says_why_a_run_waits(stoker, api, run_of):
    run_of(states=[SCHEDULED], lines=[], run=ENDED)
    waiting = flow_run(SCHEDULED, waiting_for="work pool 'p' has no worker")
    answers = iter([waiting] * 3)
    api.routes["GET /api/flow-runs/r1"] = lambda _: (200, next(answers, ENDED))
    out = stoker("deployment", "run", "f/d", "--watch").out
    assert out.count("waits: work pool 'p' has no worker") == 1


def test_watch_explains_a_run_that_has_a_host_where_it_does_not_start_at_once(stoker, api, run_of):
    pending = StateRecord(StateType.PENDING, "Pending", 100.0)
    importing = flow_run(pending, waiting_for="its host is importing its code")
    for looks, said in ((1, 0), (4, 1)):
        run_of(states=[SCHEDULED, pending], lines=[], run=ENDED)
        answers = iter([importing] * looks)
        api.routes["GET /api/flow-runs/r1"] = lambda _, left=answers: (200, next(left, ENDED))
        out = stoker("deployment", "run", "f/d", "--watch").out
        assert out.count("waits: its host is importing its code") == said


@pytest.mark.parametrize("states", [[SCHEDULED, RUNNING], [SCHEDULED, RUNNING, COMPLETED]])
def test_a_run_that_started_since_it_was_read_does_not_wait(stoker, api, run_of, states):
    run_of(states=states, lines=[], run=ENDED)
    answers = iter([flow_run(SCHEDULED, waiting_for="its host is importing its code")])
    api.routes["GET /api/flow-runs/r1"] = lambda _: (200, next(answers, ENDED))
    assert "waits" not in stoker("deployment", "run", "f/d", "--watch").out


def test_watch_outlives_a_restart_of_the_server(stoker, api, run_of):
    run_of(states=[SCHEDULED, COMPLETED], lines=[], run=ENDED)
    away = Problem(error="Unavailable", detail="the server restarts")
    answers = iter([(503, away)])
    api.routes["GET /api/flow-runs/r1"] = lambda _: next(answers, (200, ENDED))
    done = stoker("deployment", "run", "f/d", "--watch")
    assert "the server restarts; waiting for it" in done.err


def test_ctrl_c_ends_the_watching_and_says_that_the_run_goes_on(stoker, run_of, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    run_of(states=[], lines=[], run=flow_run(RUNNING))
    monkeypatch.setattr("stoker.cli.deployment.watch_run", interrupted)
    monkeypatch.setattr("stoker.cli.flow_run.follow_logs", interrupted)
    for arguments in (("deployment", "run", "f/d", "--watch"), ("flow-run", "logs", "r1", "-f")):
        assert "stoker flow-run cancel r1" in stoker(*arguments, code=130).err


@pytest.mark.parametrize(("state", "code"), [(COMPLETED, 0), (FAILED, 1)])
def test_watch_with_json_prints_the_ended_run_alone(stoker, run_of, state, code):
    run_of(states=[SCHEDULED, state], lines=[line(1, 101.0, "x")], run=flow_run(state))
    done = stoker("deployment", "run", "f/d", "--watch", "--json", code=code)
    assert done.json["state"]["type"] == state.type


def test_deployments_are_listed_and_shown(stoker, api):
    api.answer("GET /api/deployments", [DEPLOYMENT])
    api.answer("GET /api/deployments/f/d", DEPLOYMENT)
    api.answer("GET /api/deployments/f/d/schedules", [])
    assert stoker("deployment", "ls").out.splitlines()[2].split()[:4] == [
        "f/d", "p", "default", "a.py:f",
    ]  # fmt: skip
    assert stoker("deployment", "ls", "--json").json[0]["entrypoint"] == "a.py:f"
    out = stoker("deployment", "inspect", "f/d").out
    assert "n: int, x (optional)" in out
    assert stoker("deployment", "inspect", "f/d", "--json").json["parameters"] == {"x": 1}


def test_a_deployment_is_deleted(stoker, api):
    stoker("deployment", "delete", "f/d")
    assert (api.requests[0].method, api.requests[0].path) == ("DELETE", "/api/deployments/f/d")


def test_a_name_without_a_slash_is_an_error(stoker, api):
    assert "FLOW/NAME" in stoker("deployment", "inspect", "f", code=1).err


# stoker deploy


@pytest.fixture
def flow_file(tmp_path, api):
    file = tmp_path / "flows_to_deploy.py"
    file.write_text(
        "from stoker import flow\n\n\n@flow(timeout_seconds=9)\ndef hello(n: int, x: int = 0):\n"
        "    return n\n"
    )
    api.answer("GET /api/work-pools/p", {"pool": {"id": "1", "name": "p"}, "queues": [],
               "workers": [], "hosts": [], "running": 0, "queued": 0})  # fmt: skip
    api.routes["PUT /api/deployments"] = lambda request: (200, request.json())
    return file


def test_deploy_sends_what_was_given(stoker, api, flow_file):
    out = stoker(
        "deploy", f"{flow_file}:hello", "-n", "d", "-p", "p", "-q", "fast", "--param", "x=5",
        "--job-variable", 'env={"K": "v"}', "--tag", "t", "--timeout", "3",
    ).out  # fmt: skip
    sent = api.asked("PUT /api/deployments")[0].json()
    assert (sent["flow_name"], sent["name"], sent["pool"], sent["queue"]) == (
        "hello", "d", "p", "fast",
    )  # fmt: skip
    assert sent["entrypoint"].endswith("flows_to_deploy.py:hello")
    assert sent["parameters"] == {"x": 5}
    assert sent["job_variables"] == {"env": {"K": "v"}}
    assert (sent["tags"], sent["timeout"]) == (["t"], 3.0)
    assert "stoker deployment run hello/d --param n=… --watch" in out


def test_deploy_sends_schedules_where_they_are_given(stoker, api, flow_file):
    deploy = ("deploy", f"{flow_file}:hello", "-n", "d", "-p", "p")
    zone = ("--timezone", "Europe/Berlin", "--anchor", "2026-01-01")
    stoker(*deploy, "--cron", "0 9 * * *", "--interval", "2h", "--rrule", "FREQ=DAILY", *zone)
    stoker(*deploy)
    first, second = (one.json() for one in api.asked("PUT /api/deployments"))
    berlin = {"timezone": "Europe/Berlin", "parameters": {}}
    assert first["schedules"] == [
        {"cron": "0 9 * * *", **berlin},
        {"interval": 7200.0, "anchor_date": "2026-01-01", **berlin},
        {"rrule": "FREQ=DAILY", "anchor_date": "2026-01-01", **berlin},
    ]
    assert second["schedules"] is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--timezone", "UTC"), "--timezone belongs to"),
        (("--cron", "@daily", "--anchor", "2026-01-01"), "--anchor belongs to"),
        (("--interval", "soon"), "--interval"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_a_usage_error(stoker, api, flow_file, arguments, named):
    deploy = ("deploy", f"{flow_file}:hello", "-n", "d", "-p", "p")
    assert named in stoker(*deploy, *arguments, code=2).err
    assert not api.requests


def test_deploy_takes_the_host_s_time_limit_from_the_flow_and_needs_no_function(
    stoker, api, flow_file
):
    shown = stoker("deploy", str(flow_file), "-n", "d", "-p", "p", "--json").json
    assert shown["timeout"] == 9
    assert shown["entrypoint"].endswith(":hello")


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("x = (", ":f"),
        ("raise RuntimeError('boom')", ":f"),
        ("def f(): pass", ":f"),
        ("", ":f"),
        (None, ":f"),
    ],
)
def test_a_file_that_is_no_flow_s_is_one_line(stoker, api, flow_file, tmp_path, text, entry):
    file = tmp_path / "broken_flows.py"
    if text is not None:
        file.write_text(text)
    err = stoker("deploy", f"{file}{entry}", "-n", "d", "-p", "p", code=1).err
    assert err.startswith("Error: ")
    assert "broken_flows.py" in err
    assert "Traceback" not in err
    assert not api.asked("PUT /api/deployments")


def test_deploy_to_an_unknown_pool_imports_nothing(stoker, api, flow_file):
    gone = Problem(error="NotFound", detail="there is no work pool 'p'")
    api.answer("GET /api/work-pools/p", gone, 404)
    flow_file.write_text("raise SystemExit('imported')")
    assert (
        "no work pool" in stoker("deploy", f"{flow_file}:hello", "-n", "d", "-p", "p", code=1).err
    )


# stoker flow-run


def test_ls_sends_its_filters(stoker, api):
    api.answer("GET /api/flow-runs", RunPage(runs=[ENDED], next="r0"))
    out = stoker(
        "flow-run", "ls", "--state", "completed", "--deployment", "f/d", "--limit", "1"
    ).out
    assert api.requests[0].query == "state=COMPLETED&deployment=f%2Fd&limit=1"
    assert "hot 4.2 ms" in out
    assert "2 s" in out
    assert out.endswith("There are more; --before r0 shows the next ones.\n")
    stoker("flow-run", "ls", "--before", "r0")
    assert api.requests[1].query == "before=r0&limit=20"


def test_ls_as_json(stoker, api):
    api.answer("GET /api/flow-runs", RunPage(runs=[ENDED], next=None))
    assert stoker("flow-run", "ls", "--json").json[0]["id"] == "r1"


def test_a_state_is_one_that_exists(stoker):
    assert "'running'" in stoker("flow-run", "ls", "--state", "going", code=2).err


def test_inspect_shows_the_anatomy_of_the_start(stoker, api, run_of):
    run_of(states=[SCHEDULED, RUNNING, COMPLETED], lines=[], run=ENDED)
    task = TaskRun(
        id="t", flow_run_id="r1", task_name="add", name="add-0", state=COMPLETED, run_count=1,
        started=101.0, ended=102.0,
    )  # fmt: skip
    api.answer("GET /api/flow-runs/r1/task-runs", [task])
    out = stoker("flow-run", "inspect", "r1").out
    rows = {row.split()[0]: row for row in out.splitlines() if row.strip()}
    assert "1 ms" in rows["assigned"]
    assert "500" not in rows["assigned"]
    assert "4.2 ms" in rows["first_line"]
    assert "a hot start: 4.2 ms from submission" in out
    assert "add-0" in out
    assert rows["Result"].split() == ["Result", "42"]


def test_inspect_says_why_a_run_waits(stoker, run_of):
    run = flow_run(SCHEDULED, waiting_for="no free slot")
    run_of(states=[SCHEDULED], lines=[], run=run)
    assert "Waits       no free slot" in stoker("flow-run", "inspect", "r1").out


def test_inspect_as_json_is_the_run_with_its_states_and_task_runs(stoker, api, run_of):
    run_of(states=[SCHEDULED, RUNNING, COMPLETED], lines=[], run=ENDED)
    task = TaskRun(id="t", flow_run_id="r1", task_name="add", name="add-0", state=COMPLETED)
    api.answer("GET /api/flow-runs/r1/task-runs", [task])
    shown = stoker("flow-run", "inspect", "r1", "--json").json
    assert shown["anatomy"]["start_class"] == "hot"
    assert shown["state"]["name"] == "Completed"
    assert [state["name"] for state in shown["states"]] == ["Scheduled", "Running", "Completed"]
    assert [task["name"] for task in shown["task_runs"]] == ["add-0"]
    assert shown["result"] == {"format": "json", "value": 42}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, None),
        (ResultRecord("json", file="r1"), {"format": "json", "file": "r1"}),
        (ResultRecord("pickle", b"cos\n"), {"format": "pickle", "data": "Y29zCg=="}),
        (ResultRecord("error", b"{}"), {"format": "error", "data": "e30="}),
    ],
)
def test_inspect_as_json_opens_no_other_result(stoker, run_of, result, expected):
    run_of(states=[], lines=[], run=flow_run(COMPLETED, result=result))
    assert stoker("flow-run", "inspect", "r1", "--json").json["result"] == expected


def test_logs_are_read_page_by_page(stoker, api, run_of, monkeypatch):
    monkeypatch.setattr("stoker.cli.flow_run.TAIL", 2)
    run_of(states=[], lines=[], run=ENDED)
    lines = [line(number, 101.0, f"line {number}") for number in range(1, 6)]

    def page(request):
        query = dict(pair.split("=") for pair in request.query.split("&"))
        later = [found for found in lines if found.id > int(query["after"])]
        return 200, later[: int(query["limit"])]

    api.routes["GET /api/flow-runs/r1/logs"] = page
    out = stoker("flow-run", "logs", "r1").out
    assert [row.rpartition(" ")[2] for row in out.splitlines()] == ["1", "2", "3", "4", "5"]
    assert [row["id"] for row in stoker("flow-run", "logs", "r1", "--json").json] == [1, 2, 3, 4, 5]


def test_logs_of_an_unknown_run_are_an_error(stoker, api):
    api.answer("GET /api/flow-runs/r9/logs", [])
    gone = Problem(error="NotFound", detail="there is no flow run 'r9'")
    api.answer("GET /api/flow-runs/r9", gone, 404)
    assert "no flow run 'r9'" in stoker("flow-run", "logs", "r9", code=1).err


def test_logs_follow_until_the_run_is_over(stoker, api, run_of):
    lines = [line(1, 101.0, "one")]
    run_of(states=[], lines=lines, run=ENDED)
    answers = iter([flow_run(RUNNING), flow_run(RUNNING)])

    def run(_):
        found = next(answers, ENDED)
        if found is ENDED and len(lines) == 1:
            lines.append(line(2, 102.0, "two"))
        return 200, found

    api.routes["GET /api/flow-runs/r1"] = run
    out = stoker("flow-run", "logs", "r1", "--follow", "--json").out
    assert [json.loads(row)["message"] for row in out.splitlines()] == ["one", "two"]


def test_cancel(stoker, api):
    api.answer("POST /api/flow-runs/r1/cancel", flow_run(SCHEDULED))
    assert stoker("flow-run", "cancel", "r1").out == "Flow run 'amber-heron' is Scheduled.\n"
    assert stoker("flow-run", "cancel", "r1", "--json").json["id"] == "r1"
