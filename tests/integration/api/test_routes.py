"""The routes over HTTP: what they answer, and how they refuse."""

import json
import threading

import msgspec
import pytest

from stoker.domain.pools import WarmKnobs
from stoker.wire.http import Health, KnobChanges, PoolDetail, Problem, RunPage


def problem(answer) -> tuple[int, str, str]:
    found = msgspec.json.decode(answer.content, type=Problem)
    return answer.status, found.error, found.detail


def test_health(shared):
    found = msgspec.convert(shared.get("/api/health"), Health)
    assert found.home == str(shared.home)
    assert found.database == f"sqlite:///{shared.home}/stoker.db"


def test_pools(server):
    made = server.call("POST", "/api/work-pools", {"name": "other", "concurrency_limit": 3})
    assert made.status == 201
    assert made.json["base_job_template"]["job_configuration"]
    assert [one["pool"]["name"] for one in server.get("/api/work-pools")] == ["other", "pool"]
    changes = {"paused": True, "concurrency_limit": None}
    changed = server.make("PATCH", "/api/work-pools/other", changes)
    assert (changed["paused"], changed["concurrency_limit"]) == (True, None)
    queue = {"priority": 3, "concurrency_limit": 1}
    put = server.make("PUT", "/api/work-pools/other/queues/fast", queue)
    assert (put["name"], put["priority"], put["concurrency_limit"]) == ("fast", 3, 1)
    found = msgspec.convert(server.get("/api/work-pools/other"), PoolDetail)
    assert [one.name for one in found.queues] == ["fast", "default"]
    assert (found.running, found.queued, found.hosts, found.workers) == (0, 0, [], [])
    assert server.call("DELETE", "/api/work-pools/other").status == 204
    assert server.call("GET", "/api/work-pools/other").status == 404


def test_deployments(server):
    put = server.deploy("e", parameters={"x": 1})
    assert put["id"]
    assert put["lane"]
    assert put["code"]["file"] == "flows.py"
    assert server.get("/api/deployments/f/e") == put
    assert [one["name"] for one in server.get("/api/deployments")] == ["e", "d"]
    assert server.call("DELETE", "/api/deployments/f/e").status == 204
    assert problem(server.call("GET", "/api/deployments/f/e"))[:2] == (404, "NotFound")


def test_a_run_from_its_start_to_its_cancellation(server):
    made = server.call("POST", "/api/flow-runs", {"deployment": "f/d", "parameters": {"x": 1}})
    assert made.status == 201
    run_id = made.json["id"]
    found = server.get(f"/api/flow-runs/{run_id}")
    assert found["parameters"] == {"x": 1}
    assert found["waiting_for"].startswith("no worker serves work pool pool")
    assert [one["name"] for one in server.get(f"/api/flow-runs/{run_id}/states")] == ["Scheduled"]
    assert server.get(f"/api/flow-runs/{run_id}/task-runs") == []
    assert server.get(f"/api/flow-runs/{run_id}/logs") == []
    assert server.get("/api/work-pools/pool")["queued"] == 1
    cancelled = server.call("POST", f"/api/flow-runs/{run_id}/cancel")
    assert (cancelled.status, cancelled.json["state"]["type"]) == (200, "CANCELLED")
    states = server.get(f"/api/flow-runs/{run_id}/states")
    assert [state["type"] for state in states] == ["SCHEDULED", "CANCELLED"]


def test_many_runs_are_accepted_together_or_not_at_all(server):
    runs = [{"deployment": "f/d", "name": f"run-{n}"} for n in range(500)]
    made = server.call("POST", "/api/flow-runs/batch", {"runs": runs})
    assert made.status == 201
    ids = made.json["ids"]
    assert len(set(ids)) == 500
    assert server.get(f"/api/flow-runs/{ids[7]}")["name"] == "run-7"
    refused = server.call("POST", "/api/flow-runs/batch", {"runs": [*runs, {"deployment": "f/x"}]})
    assert problem(refused)[:2] == (404, "NotFound")
    assert server.get("/api/work-pools/pool")["queued"] == 500


def test_runs_are_listed_by_page_and_filter(server):
    server.deploy("e")
    made = [server.run("f/d")["id"] for _ in range(3)] + [server.run("f/e")["id"]]
    first = msgspec.convert(server.get("/api/flow-runs?limit=3"), RunPage)
    assert [run.id for run in first.runs] == made[:0:-1]
    rest = msgspec.convert(server.get(f"/api/flow-runs?limit=3&before={first.next}"), RunPage)
    assert ([run.id for run in rest.runs], rest.next) == (made[:1], None)
    server.make("POST", f"/api/flow-runs/{made[0]}/cancel")

    def ids(query: str) -> list[str]:
        return [run["id"] for run in server.get(f"/api/flow-runs?{query}")["runs"]]

    assert ids("deployment=f/e") == made[3:]
    assert ids("state=CANCELLED") == made[:1]
    assert ids("state=CANCELLED&state=SCHEDULED&pool=pool&flow=f") == made[::-1]
    assert ids("flow=other") == []


def test_the_same_key_starts_one_run(server):
    one, two = (server.run(idempotency_key="k") for _ in range(2))
    assert one["id"] == two["id"]


def test_waiting_ends_by_push_when_the_run_does(server):
    run_id = server.run()["id"]
    answers = []
    waiters = [
        threading.Thread(target=lambda p=path: answers.append(server.get(p)))
        for path in (f"/api/flow-runs/{run_id}/wait?timeout=60",) * 3
    ]
    for waiter in waiters:
        waiter.start()
    server.make("POST", f"/api/flow-runs/{run_id}/cancel")
    for waiter in waiters:
        waiter.join(20)
    assert [one["state"]["type"] for one in answers] == ["CANCELLED"] * 3


def test_waiting_answers_with_the_run_as_it_is_after_the_time(server):
    run_id = server.run(timeout=0.05)["id"]
    assert server.get(f"/api/flow-runs/{run_id}/wait?timeout=0.05")["state"]["type"] == "SCHEDULED"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error", "detail"),
    [
        ("GET", "/api/nowhere", None, 404, "NotFound", ""),
        ("PUT", "/api/health", None, 405, "StokerError", "Method Not Allowed"),
        ("GET", "/api/flow-runs/x", None, 404, "NotFound", "no flow run 'x'"),
        ("GET", "/api/flow-runs/x/wait", None, 404, "NotFound", "no flow run 'x'"),
        ("GET", "/api/flow-runs/x/states", None, 404, "NotFound", "no flow run 'x'"),
        ("GET", "/api/flow-runs/x/task-runs", None, 404, "NotFound", "no flow run 'x'"),
        ("GET", "/api/flow-runs/x/logs", None, 404, "NotFound", "no flow run 'x'"),
        ("POST", "/api/flow-runs/x/cancel", None, 404, "NotFound", "no flow run 'x'"),
        ("POST", "/api/flow-runs", {"deployment": "f/x"}, 404, "NotFound", "no deployment 'f/x'"),
        ("POST", "/api/flow-runs", {}, 422, "Invalid", "deployment"),
        ("POST", "/api/flow-runs", {"deployment": 5}, 422, "Invalid", "Expected `str`"),
        ("POST", "/api/flow-runs", [], 422, "Invalid", "Expected `object`"),
        ("GET", "/api/flow-runs?limit=0", None, 422, "Invalid", "limit"),
        ("GET", "/api/flow-runs?limit=1001", None, 422, "Invalid", "limit"),
        ("GET", "/api/flow-runs?state=ODD", None, 422, "Invalid", "state"),
        ("GET", "/api/flow-runs/x/wait?timeout=-1", None, 422, "Invalid", "timeout"),
        ("GET", "/api/flow-runs/x/logs?after=x", None, 422, "Invalid", "after"),
        ("GET", "/api/work-pools/x", None, 404, "NotFound", "no work pool 'x'"),
        ("PATCH", "/api/work-pools/x", {}, 404, "NotFound", "no work pool 'x'"),
        ("DELETE", "/api/work-pools/pool", None, 409, "Conflict", "has deployments"),
        ("POST", "/api/work-pools", {"name": "pool"}, 409, "Conflict", "already"),
        ("POST", "/api/work-pools", {"name": "a/b"}, 422, "Invalid", "cannot name"),
        ("POST", "/api/work-pools", {"name": "a", "warm": {"max": 0}}, 422, "Invalid", "max"),
        ("PATCH", "/api/work-pools/pool", {"warm": {"min": "x"}}, 422, "Invalid", "warm"),
        ("PATCH", "/api/work-pools/pool", {"fence_after": 1}, 422, "Invalid", "15 seconds or more"),
        ("PUT", "/api/work-pools/x/queues/q", {}, 404, "NotFound", "no work pool 'x'"),
        ("PUT", "/api/work-pools/pool/queues/q", {"priority": 0}, 422, "Invalid", "priority"),
        ("GET", "/api/deployments/f/x", None, 404, "NotFound", "no deployment 'f/x'"),
        ("DELETE", "/api/deployments/f/x", None, 404, "NotFound", "no deployment 'f/x'"),
        ("PUT", "/api/deployments", {"name": "d"}, 422, "Invalid", "missing"),
        ("POST", "/api/scripts/x/heartbeat", None, 404, "NotFound", "x is not known"),
        ("POST", "/api/reports", {"frames": [["r", 1, 1]]}, 422, "Invalid", "length"),
    ],
)
def test_what_is_refused_says_why(shared, method, path, body, status, error, detail):
    found = problem(shared.call(method, path, body))
    assert found[:2] == (status, error)
    assert detail in found[2]


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused_and_harms_nothing(shared, raw):
    answer = shared.call("POST", "/api/flow-runs", raw=raw)
    assert answer.status in (400, 422), answer.content
    assert problem(answer)[1] == "Invalid"
    assert shared.get("/api/health")


def test_a_body_that_is_too_large_is_refused(shared):
    runs = {"runs": [{"deployment": "f/d", "parameters": {"x": "y" * (65 << 20)}}]}
    answer = shared.call("POST", "/api/flow-runs/batch", runs)
    assert answer.status == 413
    assert problem(answer)[0] == 413


def test_parameters_of_any_json_come_back_as_they_were(shared):
    parameters = {"ü": ["\x00", 1.5, 2**53, -0.0, None, {"a": {"b": []}}], "": "😀"}
    run = shared.run(parameters=parameters)
    assert shared.get(f"/api/flow-runs/{run['id']}")["parameters"] == parameters


def test_the_api_describes_itself(shared):
    document = shared.get("/api/docs/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert "/api/flow-runs/{run_id}/logs" in document["paths"]
    assert "StartRun" in json.dumps(document["components"]["schemas"])


def test_a_change_of_some_knobs_leaves_the_others(shared):
    shared.call("POST", "/api/work-pools", {"name": "knobs", "warm": {"min": 1, "max": 7}})
    changed = shared.call("PATCH", "/api/work-pools/knobs", {"warm": {"max_runs": 20}}).json
    assert (changed["warm"]["min"], changed["warm"]["max"]) == (1, 7)
    assert changed["warm"]["max_runs"] == 20
    changed = shared.call("PATCH", "/api/work-pools/knobs", {"warm": {"max_runs": None}}).json
    assert (changed["warm"]["max"], changed["warm"]["max_runs"]) == (7, None)


def test_every_knob_can_be_changed():
    assert KnobChanges.__struct_fields__ == WarmKnobs.__struct_fields__
