"""What the server says to workers and hosts over their WebSockets."""

import threading

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

import stoker
from stoker.domain.deployments import Deployment
from stoker.domain.hosts import ProcessIdentity
from stoker.domain.pools import Machine
from stoker.domain.reports import Finished, Frame, HandedOver, Logged, Started, TaskRunChanged
from stoker.domain.requests import AwaitRun, PutDeployment, ReadRun, StartRun
from stoker.domain.runs import FlowRun, LogLine, TaskRun
from stoker.domain.states import StateRecord, StateType
from stoker.wire import host as wire
from stoker.wire import worker as worker_wire
from stoker.wire.versions import OLDEST_VERSION, WIRE_VERSION


def line(text: str) -> Logged:
    return Logged([LogLine(at=1.0, level=20, logger="x", message=text)])


def waited(server, run_id: str) -> str:
    return server.get(f"/api/flow-runs/{run_id}/wait?timeout=20")["state"]["type"]


def ask(host, run_id: str, body, number: int = 1, attempt: int = 1) -> None:
    host.say(wire.HostRequest(id=number, run_id=run_id, attempt=attempt, body=body))


def reply(host, number: int = 1, kind: type = FlowRun):
    answer = host.hear(wire.Reply)
    assert answer.id == number
    assert answer.error is None, answer.error
    return msgspec.msgpack.decode(bytes(answer.body), type=kind)


def error(host) -> tuple[str, str]:
    answer = host.hear(wire.Reply)
    assert answer.error is not None
    return answer.error


def closes(party) -> None:
    """The server says no more, and closes the connection."""
    with pytest.raises(ConnectionClosed):
        party.hear(type(None))


# A host from its order to its first run


def test_a_run_from_order_to_completion(server, worker, host):
    run = server.run(parameters={"x": 1})
    first = worker()
    assert first.hear(worker_wire.WorkerWelcome).pool_type == "process"
    (order,) = first.orders(1)
    assert (order.process, order.slots) == (None, 8)
    assert server.get(f"/api/flow-runs/{run['id']}")["waiting_for"].startswith(
        "a host has been launching for"
    )
    first.launched(order.host_id, "token")
    up = host(order.host_id)
    (code,) = up.hear(wire.HostWelcome).warm
    assert code.file == "flows.py"
    up.say(wire.Holding(runs=[]))
    job = up.job()
    assert (job.run_id, job.attempt, job.parameters) == (run["id"], 1, {"x": 1})
    assert server.state(run["id"]) == "PENDING"
    up.report(job.run_id, HandedOver(received=1.0, handed_over=2.0), Started(3.0, name="mine"))
    assert server.state(run["id"]) == "RUNNING"
    task = TaskRun(
        id="t",
        flow_run_id=run["id"],
        task_name="add",
        name="add-1",
        state=StateRecord(StateType.COMPLETED, "Completed", 1.0),
    )
    up.report(job.run_id, TaskRunChanged(task), line("hello"))
    up.finish(job.run_id)
    found = server.get(f"/api/flow-runs/{run['id']}")
    assert (found["state"]["type"], found["name"]) == ("COMPLETED", "mine")
    assert found["anatomy"]["start_class"] == "cold"
    states = [state["name"] for state in server.get(f"/api/flow-runs/{run['id']}/states")]
    assert states == ["Scheduled", "Pending", "Running", "Completed"]
    assert server.get(f"/api/flow-runs/{run['id']}/task-runs")[0]["name"] == "add-1"
    assert server.get(f"/api/flow-runs/{run['id']}/logs")[0]["message"] == "hello"
    detail = server.get("/api/work-pools/pool")
    assert (detail["running"], detail["queued"], len(detail["workers"])) == (0, 0, 1)
    assert detail["hosts"][0]["state"] == "up"


def test_a_host_that_is_faster_than_its_workers_word_may_try_again(server, worker, host):
    server.run()
    first = worker()
    (order,) = first.orders(1)
    refused = host(order.host_id).hear(wire.HostRefused)
    assert not refused.final
    first.launched(order.host_id, "token")
    host(order.host_id).welcome()


def test_a_wrong_token_or_an_unknown_host_is_refused_for_good(server, worker, host):
    server.run()
    first = worker()
    (order,) = first.orders(1)
    first.launched(order.host_id, "token")
    server.get("/api/health")
    for host_id, token, reason in (
        (order.host_id, "guess", "wrong join token"),
        ("unknown", "token", "not ordered"),
    ):
        caller = host(host_id, token=token)
        refused = caller.hear(wire.HostRefused)
        if not refused.final:
            # The word of the worker is on its way on another connection.
            caller = host(host_id, token=token)
            refused = caller.hear(wire.HostRefused)
        assert refused.final
        assert reason in refused.reason
        closes(caller)


@pytest.mark.parametrize("version", [0, WIRE_VERSION + 1])
def test_who_speaks_another_version_is_told(server, worker, host, version):
    refused = host("h", wire_version=version).hear(wire.HostRefused)
    assert refused.final
    assert f"version {version}" in refused.reason
    assert (
        f"version {version}" in worker(wire_version=version).hear(worker_wire.WorkerRefused).reason
    )


def test_who_speaks_newer_versions_too_is_spoken_to_in_the_newest_that_both_know(up, host, worker):
    newer = {"wire_version": WIRE_VERSION + 5, "wire_oldest": OLDEST_VERSION}
    _, before = up
    assert host(before.id, **newer).hear(wire.HostWelcome).wire_version == WIRE_VERSION
    welcome = worker("newer", **newer).hear(worker_wire.WorkerWelcome)
    assert welcome.wire_version == WIRE_VERSION


def test_what_only_a_newer_peer_knows_is_passed_over(up):
    _, before = up
    before.socket.send(msgspec.msgpack.encode({"type": "sing", "song": [1, 2]}))
    before.say(wire.HostHeartbeat(at=7.0))
    assert before.hear(wire.HeartbeatAck).at == 7.0


def test_a_host_from_before_an_upgrade_of_the_wire_may_end_its_runs(server, up, host):
    worker, before = up
    refused = host(before.id, wire_version=0).hear(wire.HostRefused)
    assert (refused.final, refused.drain) == (False, True)
    # It takes no run any more: another is launched at once.
    worker.orders(2)
    states = {one["id"]: one["state"] for one in server.get("/api/work-pools/pool")["hosts"]}
    assert states[before.id] == "draining"
    # Who does not have its token may have it drain as little as end it.
    refused = host(before.id, token="other", wire_version=0).hear(wire.HostRefused)
    assert (refused.final, refused.drain) == (True, False)
    # One that was given up may not.
    worker.say(worker_wire.HostLost(host_id=before.id, reason="killed"))
    worker.orders(1)
    refused = host(before.id, wire_version=0).hear(wire.HostRefused)
    assert (refused.final, refused.drain) == (True, False)


def test_a_host_of_another_stoker_is_to_be_replaced(server, up, host):
    _, before = up
    host(before.id, version=stoker.__version__).welcome()
    assert server.get("/api/work-pools/pool")["hosts"][0]["worn"] == ""
    host(before.id, version="0.0.1").welcome()
    worn = server.get("/api/work-pools/pool")["hosts"][0]["worn"]
    assert worn == f"it runs Stoker 0.0.1, the server {stoker.__version__}"


def test_a_worker_of_no_pool_is_told_what_to_do(server, worker):
    refused = worker(pool="none").hear(worker_wire.WorkerRefused)
    assert "no work pool 'none'; make it with `stoker work-pool create none" in refused.reason


@pytest.mark.parametrize("path", ["/api/hosts/connect", "/api/workers/connect"])
@pytest.mark.parametrize(
    "message",
    [b"\xc1", b"", "text", wire.encode(wire.HostHeartbeat(at=1.0)), msgspec.msgpack.encode([1])],
)
def test_who_says_what_cannot_be_read_or_no_hello_is_hung_up_on(shared, path, message):
    with shared.socket(path) as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed):
            socket.recv(20)
    assert shared.get("/api/health")
    assert not [text for text in shared.lines if "Traceback" in text]


# While it is up


def test_a_heartbeat_is_answered_and_renews_the_lease(server, up):
    _, host = up
    before = server.get("/api/work-pools/pool")["hosts"][0]["lease_until"]
    host.say(wire.HostHeartbeat(at=12.5))
    assert host.hear(wire.HeartbeatAck).at == 12.5
    assert server.get("/api/work-pools/pool")["hosts"][0]["lease_until"] > before


def test_a_host_that_was_given_up_is_told_at_its_next_heartbeat(server, up):
    worker, host = up
    worker.say(worker_wire.HostLost(host_id=host.id, reason="killed"))
    worker.orders(1)
    host.say(wire.HostHeartbeat(at=1.0))
    refused = host.hear(wire.HostRefused)
    assert refused.final
    assert "given up" in refused.reason


def test_a_lost_hosts_runs_crash_after_what_it_had_spooled(server, up):
    worker, host = up
    run = server.run()
    job = host.job()
    spooled = [Frame(job.run_id, 1, 1, [Started(1.0), line("last words")])]
    worker.say(worker_wire.SpooledFrames(host_id=host.id, frames=spooled))
    worker.say(worker_wire.HostLost(host_id=host.id, reason="killed by signal 9"))
    assert waited(server, run["id"]) == "CRASHED"
    found = server.get(f"/api/flow-runs/{run['id']}")
    assert found["state"]["message"] == "its host ended: killed by signal 9"
    assert server.get(f"/api/flow-runs/{run['id']}/logs")[0]["message"] == "last words"


def test_a_lost_hosts_place_is_taken_by_another(server, up):
    worker, host = up
    worker.say(worker_wire.HostLost(host_id=host.id, reason="killed"))
    while True:
        (order,) = worker.orders(1)
        if order.host_id != host.id:
            break
    assert order.process is None


def test_cancelling_reaches_the_host(server, up):
    _, host = up
    run = server.run()
    job = host.job()
    server.make("POST", f"/api/flow-runs/{run['id']}/cancel")
    order = host.hear(wire.CancelRun)
    assert (order.run_id, order.attempt, order.now) == (job.run_id, 1, False)
    assert server.state(run["id"]) == "CANCELLING"
    host.finish(job.run_id, StateType.CANCELLED)
    assert server.state(run["id"]) == "CANCELLED"


TOO_LARGE = 2**63
"""A number that msgpack carries and the database does not take."""


def bad_end(run_id: str, seq: int) -> Frame:
    return Frame(run_id, 1, seq, [Started(1.0, run_count=TOO_LARGE), Finished(ended_at(1.0))])


def ended_at(at: float) -> StateRecord:
    return StateRecord(StateType.COMPLETED, "Completed", at)


def test_a_frame_that_cannot_be_stored_is_dropped_and_the_others_are_not(server, up):
    _, host = up
    one, two = server.run()["id"], server.run()["id"]
    host.job()
    host.job()
    host.frames(
        Frame(one, 1, 1, [Started(1.0)]),
        Frame(one, 1, 2, [Started(1.0, run_count=TOO_LARGE)]),
        bad_end(two, 1),
        Frame(one, 1, 3, [Finished(ended_at(2.0))]),
    )
    assert server.state(one) == "COMPLETED"
    found = server.get(f"/api/flow-runs/{two}")
    assert found["state"]["type"] == "CRASHED"
    assert "could not take in how it ended" in found["state"]["message"]
    server.wait_for_line(f"frame 1 of attempt 1 of flow run {two} was dropped")


def test_a_spooled_frame_that_cannot_be_stored_is_dropped(server, up):
    worker, host = up
    run = server.run()["id"]
    host.job()
    worker.say(worker_wire.SpooledFrames(host_id=host.id, frames=[bad_end(run, 1)]))
    assert server.get(f"/api/flow-runs/{run}/wait?timeout=20")["state"]["type"] == "CRASHED"


def test_frames_that_come_twice_count_once(server, up):
    _, host = up
    run = server.run()
    host.job()
    frame = Frame(run["id"], 1, 1, [Started(1.0), line("once")])
    host.frames(frame, frame)
    host.frames(frame)
    assert len(server.get(f"/api/flow-runs/{run['id']}/logs")) == 1


def test_new_deployments_are_warmed(server, up):
    _, host = up
    server.deploy("e", entrypoint="other.py:f")
    files = [code.file for code in host.hear(wire.Warm).codes]
    assert sorted(files) == ["flows.py", "other.py"]


def test_a_host_that_drains_hands_back_and_gets_no_more(server, up):
    worker, host = up
    run = server.run()
    job = host.job()
    host.say(wire.HostDraining(released=[(job.run_id, 1)]))
    host.hear(wire.Drain)
    assert server.state(run["id"]) == "SCHEDULED"
    assert [order.process is None for order in worker.orders(2)] == [False, True]


def test_a_worker_that_drains_is_ordered_nothing_more(server, worker):
    first = worker()
    run = server.run()
    (order,) = first.orders(1)
    first.say(worker_wire.WorkerDraining())
    first.say(worker_wire.HostLost(host_id=order.host_id, reason="it left"))
    first.orders(0)
    second = worker("v", name="other")
    (order,) = second.orders(1)
    assert order.process is None
    assert server.state(run["id"]) == "SCHEDULED"


def test_a_host_that_connects_anew_takes_over_from_its_old_socket(server, up, host):
    _, old = up
    run = server.run()
    job = old.job()
    new = host(old.id).welcome((job.run_id, 1))
    new.report(job.run_id, Started(1.0))
    old.close()
    assert server.state(run["id"]) == "RUNNING"
    second = server.run()
    assert new.job().run_id == second["id"]


def test_a_host_that_never_got_its_run_gets_it_again(server, up, host):
    _, old = up
    run = server.run()
    old.hear(wire.Assign)
    old.close()
    new = host(old.id).welcome()
    job = new.job()
    assert (job.run_id, job.attempt) == (run["id"], 2)


def test_a_host_ends_what_it_holds_beyond_its_due(server, up, host):
    _, old = up
    run = server.run()
    job = old.job()
    old.finish(job.run_id)
    new = host(old.id).welcome((job.run_id, 1))
    order = new.hear(wire.CancelRun)
    assert (order.run_id, order.now) == (run["id"], True)


# What runs ask for


def running(server, host) -> str:
    run = server.run()
    job = host.job()
    host.report(job.run_id, Started(1.0))
    return run["id"]


def test_a_run_starts_another_and_is_answered_at_its_end(server, up):
    _, host = up
    parent = running(server, host)
    ask(host, parent, StartRun(deployment="f/d", timeout=None))
    job = host.job()
    assert job.parent_run_id == parent
    host.finish(job.run_id)
    child = reply(host)
    assert (child.id, child.state.type, child.parent_run_id) == (
        job.run_id,
        StateType.COMPLETED,
        parent,
    )


def test_a_run_that_does_not_wait_is_answered_at_once(server, up):
    _, host = up
    parent = running(server, host)
    ask(host, parent, StartRun(deployment="f/d", timeout=0))
    assert reply(host).id == host.job().run_id


def test_a_run_that_waits_for_a_time_gets_the_run_as_it_is(server, up):
    _, host = up
    parent = running(server, host)
    other = server.run()["id"]
    host.job()
    ask(host, parent, AwaitRun(run_id=other, timeout=0.05))
    assert reply(host).state.type is StateType.PENDING


def test_runs_read_runs_and_make_deployments(server, up):
    _, host = up
    run = running(server, host)
    ask(host, run, ReadRun(run_id=run))
    assert reply(host).id == run
    deployment = msgspec.convert(server.get("/api/deployments/f/d"), Deployment)
    deployment.name = "made"
    ask(host, run, PutDeployment(deployment=deployment), 2)
    made = reply(host, 2, Deployment)
    assert server.get("/api/deployments/f/made")["id"] == made.id != deployment.id


def test_what_a_run_asks_in_vain_is_answered_with_the_reason(server, up):
    _, host = up
    run = running(server, host)
    ask(host, run, StartRun(deployment="f/x"))
    assert error(host)[0] == "NotFound"
    ask(host, run, ReadRun(run_id="nobody"))
    assert error(host)[0] == "NotFound"
    ask(host, run, ReadRun(run_id=run), attempt=7)
    assert error(host) == ("Conflict", f"attempt 7 of flow run {run} is over")
    ask(host, "nobody", ReadRun(run_id=run))
    assert error(host)[0] == "NotFound"


def test_a_request_that_breaks_the_server_is_answered_too(server, up):
    _, host = up
    run = running(server, host)
    ask(host, run, StartRun(deployment="f/d", parameters={"x": msgspec.msgpack.Ext(5, b"?")}))
    kind, text = error(host)
    assert kind == "StokerError"
    assert "its log says more" in text
    server.wait_for_line("a request of flow run")
    assert server.get("/api/health")


def test_a_parent_on_one_slot_waits_for_its_child(server, worker, host):
    server.make(
        "PATCH",
        "/api/work-pools/pool",
        {"warm": {"min": 1, "max": 1, "slots_per_host": 1}, "concurrency_limit": 1},
    )
    first = worker()
    (order,) = first.orders(1)
    first.launched(order.host_id, "token")
    up = host(order.host_id, slots=1).welcome()
    parent = running(server, up)
    ask(up, parent, StartRun(deployment="f/d", timeout=None))
    job = up.job()
    up.finish(job.run_id)
    assert reply(up).state.type is StateType.COMPLETED
    up.finish(parent)
    assert server.state(parent) == "COMPLETED"


# Logs


def test_log_lines_are_pushed_to_who_waits_for_them(server, up):
    _, host = up
    run = running(server, host)
    path = f"/api/flow-runs/{run}/logs?wait=60"
    answers = []
    follower = threading.Thread(target=lambda: answers.append(server.get(path)))
    follower.start()
    host.report(run, line("first"))
    follower.join(20)
    (first,) = answers[0]
    assert first["message"] == "first"
    follower = threading.Thread(
        target=lambda: answers.append(server.get(f"{path}&after={first['id']}"))
    )
    follower.start()
    host.report(run, line("second"))
    follower.join(20)
    assert [one["message"] for one in answers[1]] == ["second"]


def test_who_follows_a_log_is_answered_at_the_end_of_the_run(server, up):
    _, host = up
    run = running(server, host)
    answers = []
    path = f"/api/flow-runs/{run}/logs?wait=60"
    follower = threading.Thread(target=lambda: answers.append(server.get(path)))
    follower.start()
    host.finish(run)
    follower.join(20)
    assert answers == [[]]
    assert server.get(path) == []


def test_a_wait_for_lines_ends_after_its_time(server, up):
    _, host = up
    run = running(server, host)
    assert server.get(f"/api/flow-runs/{run}/logs?wait=0.05") == []


def test_a_process_of_another_machine_is_taken_at_the_workers_word(server, worker, host):
    server.run()
    first = worker()
    (order,) = first.orders(1)
    elsewhere = ProcessIdentity(1, 2, Machine("elsewhere", "boot"))
    first.launched(order.host_id, "token", elsewhere)
    host(order.host_id, process=elsewhere).welcome().job()
