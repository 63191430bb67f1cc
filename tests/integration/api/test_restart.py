"""A server that is killed in the middle: hosts and their runs go on, nothing accepted is lost."""

import signal
import threading

import pytest

from stoker.domain.reports import Finished, Frame, Logged, Started, SubflowCreated
from stoker.domain.requests import AwaitRun, StartRun
from stoker.domain.runs import FlowRun, LogLine
from stoker.domain.states import StateRecord, StateType
from stoker.wire import host as wire
from stoker.wire import worker as worker_wire


def line(text: str) -> Logged:
    return Logged([LogLine(at=1.0, level=20, logger="x", message=text)])


def ended(kind: StateType = StateType.COMPLETED) -> Finished:
    return Finished(StateRecord(kind, kind.title(), 2.0))


def messages(server, run_id: str) -> list[str]:
    return [one["message"] for one in server.get(f"/api/flow-runs/{run_id}/logs")]


def test_a_host_comes_back_with_its_runs_and_the_queue_goes_on(
    server, new_server, worker, host, up
):
    _, before = up
    running, unstarted = server.run(), server.run()
    for _ in range(2):
        before.job()
    before.report(running["id"], Started(1.0), line("one"))
    server.make("PATCH", "/api/work-pools/pool", {"concurrency_limit": 2})
    queued = server.run()
    server.stop(signal.SIGKILL)

    again = new_server().start()
    assert again.state(running["id"]) == "RUNNING"
    assert again.state(queued["id"]) == "SCHEDULED"
    adopter = worker("w2", to=again)
    (order,) = adopter.orders(1)
    assert (order.host_id, order.process is None) == (before.id, False)
    back = host(before.id, to=again)
    back.hear(wire.HostWelcome)
    # What was not acknowledged is sent again before the host says what it holds.
    seen = Frame(running["id"], 1, 1, [Started(1.0), line("one")])
    back.frames(seen, Frame(running["id"], 1, 2, [line("two")]))
    back.say(wire.Holding(runs=[(running["id"], 1), (unstarted["id"], 1)]))
    back.frames(Frame(running["id"], 1, 3, [ended()]))
    assert back.job().run_id == queued["id"]
    assert messages(again, running["id"]) == ["one", "two"]
    assert again.state(running["id"]) == "COMPLETED"
    back.finish(unstarted["id"])
    back.finish(queued["id"])
    assert again.state(unstarted["id"]) == "COMPLETED"


def test_a_run_that_ended_while_the_server_was_away_has_ended(server, new_server, host, up):
    _, before = up
    run = server.run()
    before.job()
    before.report(run["id"], Started(1.0))
    server.stop(signal.SIGKILL)
    again = new_server().start()
    back = host(before.id, to=again)
    back.hear(wire.HostWelcome)
    back.frames(Frame(run["id"], 1, 2, [ended(StateType.FAILED)]))
    back.say(wire.Holding(runs=[]))
    assert again.state(run["id"]) == "FAILED"


def test_a_run_that_was_on_its_way_to_the_host_is_given_again(server, new_server, host, up):
    _, before = up
    run = server.run()
    before.hear(wire.Assign)
    server.stop(signal.SIGKILL)
    again = new_server().start()
    back = host(before.id, to=again).welcome()
    job = back.job()
    assert (job.run_id, job.attempt) == (run["id"], 2)


def test_a_parent_goes_on_waiting_with_the_next_server(server, new_server, host, up):
    _, before = up
    server.make("PATCH", "/api/work-pools/pool", {"concurrency_limit": 1})
    parent = server.run()["id"]
    before.job()
    before.report(parent, Started(1.0))
    request = StartRun(deployment="f/d", timeout=None)
    before.say(wire.HostRequest(id=1, run_id=parent, attempt=1, body=request))
    child = before.job().run_id
    server.stop(signal.SIGKILL)
    again = new_server().start()
    back = host(before.id, to=again).welcome((parent, 1), (child, 1))
    other = again.run()["id"]
    body = AwaitRun(run_id=child)
    back.say(wire.HostRequest(id=2, run_id=parent, attempt=1, body=body))
    back.finish(child)
    assert back.hear(wire.Reply).id == 2
    assert again.state(other) == "SCHEDULED", "the parent has its key back"
    back.finish(parent)
    assert back.job().run_id == other


def test_a_host_that_does_not_come_back_is_proved_dead_by_the_next_worker(
    server, new_server, worker, up
):
    _, before = up
    run = server.run()
    before.job()
    before.report(run["id"], Started(1.0))
    server.stop(signal.SIGKILL)
    again = new_server().start()
    adopter = worker("w2", to=again)
    adopter.orders(1)
    adopter.say(worker_wire.HostLost(host_id=before.id, reason="it is gone"))
    found = again.get(f"/api/flow-runs/{run['id']}/wait?timeout=20")
    assert found["state"]["type"] == "CRASHED"


def test_every_run_that_was_accepted_is_there(server, new_server):
    """The server dies while callers are answered."""
    accepted: list[str] = []
    enough = threading.Event()

    def submit() -> None:
        while True:
            try:
                answer = server.call("POST", "/api/flow-runs", {"deployment": "f/d"})
            except (OSError, AssertionError, ValueError):
                return
            except Exception as error:
                if "http.client" not in type(error).__module__:
                    raise
                return
            assert answer.status == 201
            accepted.append(answer.json["id"])
            if len(accepted) >= 300:
                enough.set()

    callers = [threading.Thread(target=submit) for _ in range(4)]
    for caller in callers:
        caller.start()
    assert enough.wait(30)
    server.stop(signal.SIGKILL)
    for caller in callers:
        caller.join(30)
    again = new_server().start()
    found: set[str] = set()
    path = "/api/flow-runs?limit=1000"
    while True:
        page = again.get(path)
        found |= {run["id"] for run in page["runs"]}
        if page["next"] is None:
            break
        path = f"/api/flow-runs?limit=1000&before={page['next']}"
    assert set(accepted) <= found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_runs_in_a_hosts_process_outlive_the_server(server, new_server, host, up, number):
    _, before = up
    run = server.run()["id"]
    before.job()
    state = StateRecord(StateType.RUNNING, "Running", 1.0)
    inner = FlowRun(id="s", name="i", flow_name="g", state=state, attempt=1, parent_run_id=run)
    before.report(run, Started(1.0))
    before.frames(Frame("s", 1, 1, [SubflowCreated(inner), Started(1.0)]))
    server.stop(number)
    again = new_server().start()
    assert again.state("s") == "RUNNING"
    back = host(before.id, to=again).welcome((run, 1))
    back.frames(Frame("s", 1, 2, [ended()]), Frame(run, 1, 2, [ended()]))
    assert (again.state("s"), again.state(run)) == ("COMPLETED", "COMPLETED")
