"""The backend of scripts: reports arrive in order and once, whatever the server does."""

import logging
import os
import threading

import pytest

from stoker.client.backend import HttpBackend, open_backend
from stoker.client.http import Api
from stoker.client.outbox import FRAME_REPORTS, Outbox, without_logs
from stoker.domain.deployments import Deployment
from stoker.domain.errors import Invalid, NotFound, Unauthorized, Unavailable
from stoker.domain.reports import Finished, Logged, Started, SubflowCreated
from stoker.domain.requests import AwaitRun, PutDeployment, ReadRun, StartRun
from stoker.domain.runs import FlowRun, LogLine
from stoker.domain.states import StateRecord, StateType
from stoker.process_identity import identify
from stoker.settings import Settings
from stoker.wire.http import Health, Problem

REPORTS = "POST /api/reports"


def flow_run(run_id: str, kind: StateType = StateType.RUNNING) -> FlowRun:
    return FlowRun(
        id=run_id, name="n", flow_name="f", state=StateRecord(kind, kind.title(), 1.0), attempt=1
    )


def created(run_id: str) -> SubflowCreated:
    return SubflowCreated(flow_run(run_id))


def finished() -> Finished:
    return Finished(StateRecord(StateType.COMPLETED, "Completed", 2.0))


def logged(text: str) -> Logged:
    return Logged([LogLine(at=1.0, level=20, logger="x", message=text)])


def frames(server) -> list:
    return [frame for r in server.asked(REPORTS) for frame in r.json()["frames"]]


@pytest.fixture
def backends():
    opened: list[HttpBackend] = []

    def make(url: str, **options) -> HttpBackend:
        opened.append(HttpBackend(Api(url, timeout=5.0), **options))
        return opened[-1]

    yield make
    for backend in opened:
        backend.close()


def test_a_script_registers_as_host_before_its_first_report(server, backends):
    backend = backends(server.url)
    backend.report("r", created("r"), Started(1.0))
    backend.flush()
    me = identify()
    hello = server.requests[0].json()
    assert server.requests[0].path == "/api/scripts"
    assert (hello["pid"], hello["started"]) == (os.getpid(), me.started)
    run = frames(server)[0][3][0]["run"]
    assert run["host_id"] == hello["host_id"]


def test_a_script_that_only_asks_does_not_register(server, backends):
    server.answer("GET /api/flow-runs/r", flow_run("r"))
    assert backends(server.url).ask(ReadRun(run_id="r")).id == "r"
    assert not server.asked("POST /api/scripts")


def test_frames_are_numbered_by_run_and_neighbours_share_one(server, backends):
    backend = backends(server.url)
    backend.report("a", created("a"))
    backend.report("a", Started(1.0))
    backend.report("b", created("b"))
    backend.report("a", finished())
    backend.flush()
    found = [(f[0], f[1], f[2], [r["type"] for r in f[3]]) for f in frames(server)]
    assert [f[:3] for f in found] in (
        [("a", 1, 1), ("b", 1, 1), ("a", 1, 2)],
        # The thread may have been quick enough to send the first ones by themselves.
        [("a", 1, 1), ("a", 1, 2), ("b", 1, 1), ("a", 1, 3)],
    )
    kinds = [kind for f in found if f[0] == "a" for kind in f[3]]
    assert kinds == ["subflow", "started", "finished"]


def test_flush_without_reports_sends_nothing(server, backends):
    backends(server.url).flush()
    assert not server.requests


def test_the_first_report_fails_where_there_is_no_server(free_port, backends):
    backend = backends(f"http://127.0.0.1:{free_port}")
    with pytest.raises(Unavailable, match="stoker up"):
        backend.report("r", created("r"))


def test_the_first_report_fails_with_a_wrong_key(server, backends):
    server.answer("POST /api/scripts", Problem(error="Unauthorized", detail="no key"), 401)
    with pytest.raises(Unauthorized, match="no key"):
        backends(server.url).report("r", created("r"))


def test_reports_outlive_the_absence_of_the_server(server, stub_on, backends, caplog):
    backend = backends(server.url)
    backend.report("r", created("r"))
    backend.flush()
    server.close_all()
    with caplog.at_level(logging.WARNING):
        backend.report("r", Started(1.0))
        back = []
        waiting = threading.Thread(target=lambda: back.append(backend.flush()))
        waiting.start()
        while not caplog.records:
            waiting.join(0.01)
        again = stub_on(server.port)
        waiting.join(20)
    assert back == [None]
    assert [f[2] for f in frames(again)] == [2]
    assert "reports are kept" in caplog.text


def test_flush_gives_up_after_its_patience_and_nothing_is_lost(server, stub_on, backends):
    backend = backends(server.url, patience=0.2)
    backend.report("r", created("r"))
    backend.flush()
    server.close_all()
    backend.report("r", Started(1.0))
    with pytest.raises(Unavailable, match="1 reports of this process have not reached it"):
        backend.flush()
    again = stub_on(server.port)
    again.wait_for(lambda: frames(again))
    assert [f[2] for f in frames(again)] == [2]


def test_a_server_error_is_tried_again_with_the_same_number(server, backends):
    answers = iter([500, 204])
    server.routes[REPORTS] = lambda _: (next(answers), None)
    backend = backends(server.url)
    backend.report("r", created("r"))
    backend.flush()
    assert [f[2] for f in frames(server)] == [1, 1]


def test_a_refused_frame_holds_back_no_other_and_flush_says_why(server, backends):
    def refuse_bad(request):
        if any(f[0] == "bad" for f in request.json()["frames"]):
            return 409, Problem(error="Conflict", detail="bad is over")
        return 204, None

    server.routes[REPORTS] = refuse_bad
    backend = backends(server.url)
    for run_id in ("a", "bad", "c"):
        backend.report(run_id, created(run_id))
    with pytest.raises(Exception, match="bad is over"):
        backend.flush()
    backend.flush()
    sent = [[f[0] for f in r.json()["frames"]] for r in server.asked(REPORTS)]
    assert [run_id for ids in sent if "bad" not in ids for run_id in ids] == ["a", "c"]


def test_what_json_cannot_hold_is_said_and_the_rest_arrives(server, backends):
    backend = backends(server.url)
    broken = flow_run("r")
    broken.parameters = {"x": object()}
    backend.report("r", SubflowCreated(broken), Started(1.0))
    with pytest.raises(Invalid, match="JSON"):
        backend.flush()
    backend.flush()
    assert [r["type"] for r in frames(server)[0][3]] == ["started"]


def test_heartbeats_go_out_while_a_run_is_open_and_stop_after_it(server, backends):
    backend = backends(server.url, heartbeat=0.02)
    backend.report("r", created("r"))
    backend.flush()
    host = server.requests[0].json()["host_id"]
    route = f"POST /api/scripts/{host}/heartbeat"
    server.wait_for(lambda: len(server.asked(route)) >= 2)
    backend.report("r", finished())
    backend.flush()
    assert backend._reporter._until_beat() is None


def test_a_host_that_the_server_forgot_registers_again(server, backends):
    backend = backends(server.url, heartbeat=0.02)
    backend.report("r", created("r"))
    backend.flush()
    host = server.requests[0].json()["host_id"]
    gone = Problem(error="NotFound", detail="no such host")
    server.answer(f"POST /api/scripts/{host}/heartbeat", gone, 404)
    server.wait_for(lambda: len(server.asked("POST /api/scripts")) >= 2)


def test_close_says_goodbye_and_leaves_no_thread(server, backends):
    backend = backends(server.url)
    backend.report("r", created("r"), finished())
    backend.close()
    host = server.requests[0].json()["host_id"]
    assert server.requests[-1].method == "DELETE"
    assert server.requests[-1].path == f"/api/scripts/{host}"
    assert "stoker-reports" not in {t.name for t in threading.enumerate()}


def test_close_without_a_server_says_what_is_lost(server, backends, caplog):
    backend = backends(server.url, patience=0.1)
    backend.report("r", created("r"))
    backend.flush()
    server.close_all()
    backend.report("r", finished())
    backend.close()
    assert "1 reports of this process have not reached it" in caplog.text


def test_a_child_run_starts_after_its_parent_has_been_recorded(server, backends):
    server.answer("POST /api/flow-runs", flow_run("child"), 201)
    backend = backends(server.url)
    backend.report("parent", created("parent"))
    backend.ask(StartRun(deployment="f/d", parent_run_id="parent"))
    paths = [r.path for r in server.requests]
    assert paths.index("/api/reports") < paths.index("/api/flow-runs")


def test_start_and_wait_are_apart_so_that_a_restart_breaks_only_the_wait(server, backends):
    server.answer("POST /api/flow-runs", flow_run("r"), 201)
    answers = iter([(503, Problem(error="Unavailable", detail="restarting"))])
    done = flow_run("r", StateType.COMPLETED)
    server.routes["GET /api/flow-runs/r/wait"] = lambda _: next(answers, (200, done))
    server.answer("GET /api/health", Health(version="1", home="h", database="d"))
    request = StartRun(deployment="f/d", timeout=None)
    assert backends(server.url).ask(request).state.type is StateType.COMPLETED
    assert request.timeout is None
    assert len(server.asked("POST /api/flow-runs")) == 1
    assert server.asked("POST /api/flow-runs")[0].json().get("timeout", 0) == 0


def test_await_run_gives_up_where_the_server_stays_away(server, backends):
    backend = backends(server.url, patience=0.05)
    server.close_all()
    with pytest.raises(Unavailable, match="no server"):
        backend.ask(AwaitRun(run_id="r"))


def test_await_run_of_an_unknown_run_raises_at_once(server, backends):
    gone = Problem(error="NotFound", detail="no run r")
    server.answer("GET /api/flow-runs/r/wait", gone, 404)
    with pytest.raises(NotFound, match="no run r"):
        backends(server.url).ask(AwaitRun(run_id="r"))


def test_put_deployment(server, backends):
    deployment = Deployment(
        id="1", name="d", flow_name="f", entrypoint="a.py:f", path="/p", pool="p"
    )
    server.routes["PUT /api/deployments"] = lambda r: (200, r.json())
    answer = backends(server.url).ask(PutDeployment(deployment=deployment))
    assert answer == deployment


def test_a_forked_child_reports_for_itself(server, backends):
    backend = backends(server.url)
    backend.report("parent", created("parent"))
    backend.flush()
    pid = os.fork()
    if not pid:
        try:
            backend.report("child", created("child"))
            backend.flush()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    backend.report("parent", finished())
    backend.flush()
    hosts = [r.json()["pid"] for r in server.asked("POST /api/scripts")]
    assert hosts == [os.getpid(), pid]
    assert [(f[0], f[2]) for f in frames(server)] == [("parent", 1), ("child", 1), ("parent", 2)]


def test_open_backend_needs_a_url():
    with pytest.raises(Invalid, match="STOKER_API_URL"):
        open_backend(Settings())


def test_a_full_outbox_drops_logs_counts_them_and_keeps_the_rest(server, backends, monkeypatch):
    monkeypatch.setattr("stoker.client.reporting.KEPT_CALLS", 2)
    backend = backends(server.url)
    hold = threading.Event()
    server.routes[REPORTS] = lambda _: (hold.wait(10) and 204, None)
    backend.report("r", created("r"))
    backend.report("r", logged("kept"))
    backend.report("r", logged("dropped"))
    backend.report("r", logged("dropped too"))
    hold.set()
    backend.report("r", finished())
    backend.flush()
    reports = [report for f in frames(server) for report in f[3]]
    lines = [line["message"] for r in reports if r["type"] == "logged" for line in r["lines"]]
    assert lines == ["kept"]
    backend.report("r", logged("later"))
    backend.flush()
    last = frames(server)[-1][3]
    assert "2 log lines were dropped" in last[0]["lines"][0]["message"]
    assert last[1]["lines"][0]["message"] == "later"


def test_a_frame_has_a_largest_size():
    outbox = Outbox("h")
    outbox.pack([("r", (Started(1.0),))] * (FRAME_REPORTS + 1))
    assert len(outbox) == 2
    assert [p.calls for p in outbox.head()] == [FRAME_REPORTS, 1]


def test_requests_are_cut_by_bytes():
    outbox = Outbox("h")
    outbox.pack([(str(n), (logged("x" * 400_000),)) for n in range(4)])
    assert len(outbox.head()) == 2
    outbox.done(2)
    assert [p.run_id for p in outbox.head()] == ["2", "3"]
    outbox.done(2)
    assert outbox.size == 0


def test_without_logs_counts_lines():
    kept, lines = without_logs((logged("a"), Started(1.0), logged("b")))
    assert kept == (Started(1.0),)
    assert lines == 2
