"""Hosts and workers that say what they should not: it is dropped, and nothing else is harmed."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from stoker.api.sockets import HELLO_LIMIT, converse
from stoker.domain.reports import Finished, Frame, Logged, Started
from stoker.domain.requests import ReadRun
from stoker.domain.runs import LogLine
from stoker.domain.states import StateRecord, StateType
from stoker.wire import host as wire
from stoker.wire import worker as worker_wire

COMPLETED = Finished(StateRecord(StateType.COMPLETED, "Completed", 2.0))
ENCODE = msgspec.msgpack.encode


def said(text: str) -> Logged:
    return Logged([LogLine(at=1.0, level=20, logger="test", message=text)])


def messages(server, run_id):
    return [line["message"] for line in server.get(f"/api/flow-runs/{run_id}/logs")]


@pytest.fixture
def second(server, up, worker, host):
    """Another host, beside the one of ``up``."""
    server.make("PATCH", "/api/work-pools/pool", {"warm": {"min": 2, "max": 2}})
    first, one = up
    orders = first.orders(2)
    (order,) = [order for order in orders if order.host_id != one.id]
    first.launched(order.host_id, "token")
    return host(order.host_id).welcome()


@pytest.mark.parametrize(
    "data",
    [b"\xc1", b"", b"\xa1\xff", ENCODE({"type": "holding"}), "text"],
)
def test_what_cannot_be_read_is_dropped_and_the_host_stays(server, up, data):
    _, host = up
    run = server.run()["id"]
    host.job()
    host.socket.send(data)
    host.report(run, Started(1.0), said("after it"), COMPLETED)
    assert server.state(run) == "COMPLETED"
    assert messages(server, run) == ["after it"]
    server.wait_for_line(f"host {host.id} said what cannot be read")
    host.say(wire.HostHeartbeat(at=1.0))
    host.hear(wire.HeartbeatAck)


def test_of_a_batch_only_the_frames_that_cannot_be_read_are_dropped(server, up):
    _, host = up
    one, two = server.run()["id"], server.run()["id"]
    host.job()
    host.job()
    frames = [
        [one, 1, 1, [Started(1.0), said("first")]],
        [one, 1, 2, [{"type": "of a later version"}]],
        [two, 1, 1, [{"type": "started", "at": "no number"}]],
        [two, 1, 2, [{"type": "finished", "state": "none"}]],
        [None, "x"],
        5,
        [one, 1, 3, [said("last"), COMPLETED]],
    ]
    host.socket.send(ENCODE({"type": "frames", "batch": 7, "frames": frames}))
    assert host.hear(wire.FramesAck).batch == 7
    assert server.state(one) == "COMPLETED"
    assert messages(server, one) == ["first", "last"]
    found = server.get(f"/api/flow-runs/{two}")
    assert found["state"]["type"] == "CRASHED"
    assert "could not take in how it ended" in found["state"]["message"]
    server.wait_for_line(f"frame 2 of attempt 1 of flow run {one} was dropped")


def test_of_a_spool_only_the_frames_that_cannot_be_read_are_dropped(server, up):
    worker, host = up
    run = server.run()["id"]
    host.job()
    frames = [[run, 1, 1, [{"type": "?"}]], [run, 1, 2, [Started(1.0), COMPLETED]]]
    worker.socket.send(ENCODE({"type": "spooled", "host_id": host.id, "frames": frames}))
    worker.socket.send(b"\xc1")
    worker.say(worker_wire.HostLost(host_id=host.id, reason="killed"))
    assert server.get(f"/api/flow-runs/{run}/wait?timeout=20")["state"]["type"] == "COMPLETED"


def test_a_request_that_cannot_be_read_is_answered(server, up):
    _, host = up
    run = server.run()["id"]
    host.job()
    body = {"type": "request", "id": 9, "run_id": run, "attempt": 1, "body": {"type": "dance"}}
    host.socket.send(ENCODE(body))
    reply = host.hear(wire.Reply)
    assert reply.id == 9
    assert reply.error is not None
    assert reply.error[0] == "Invalid"
    assert "cannot read" in reply.error[1]


def test_a_host_cannot_report_another_hosts_run(server, up, second):
    _, first = up
    run = server.run()["id"]
    owner, other = (first, second)
    if server.get(f"/api/flow-runs/{run}")["host_id"] == second.id:
        owner, other = second, first
    owner.job()
    other.frames(Frame(run, 1, 1, [Started(1.0), said("a lie"), COMPLETED]))
    assert server.state(run) == "PENDING"
    owner.report(run, Started(1.0), said("true"))
    assert server.state(run) == "RUNNING"
    assert messages(server, run) == ["true"]

    other.say(wire.Released(runs=[(run, 1)]))
    other.say(wire.HostRequest(id=1, run_id=run, attempt=1, body=ReadRun(run_id=run)))
    reply = other.hear(wire.Reply)
    assert reply.error == ("Conflict", f"flow run {run} is not one of this host")
    assert server.state(run) == "RUNNING"
    owner.finish(run)
    assert server.state(run) == "COMPLETED"


def test_a_second_hello_ends_the_connection(server, up, second):
    _, first = up
    hello = {"type": "hello", "host_id": second.id, "token": "token", "slots": 1}
    hello["process"] = {"pid": 1, "started": 1, "machine": {"name": "m", "boot_id": "b"}}
    first.socket.send(ENCODE(hello))
    with pytest.raises(ConnectionClosed):
        first.hear(wire.HostRefused)
    second.say(wire.HostHeartbeat(at=1.0))
    second.hear(wire.HeartbeatAck)


@pytest.mark.parametrize("path", ["/api/hosts/connect", "/api/workers/connect"])
def test_a_long_hello_is_hung_up_on(shared, path):
    with shared.socket(path) as caller:
        hello = {"type": "hello", "host_id": "h" * HELLO_LIMIT, "token": "", "slots": 1}
        caller.send(ENCODE(hello))
        with pytest.raises(ConnectionClosed):
            caller.recv(20)


class Silent:
    """A socket on which nothing comes."""

    def __init__(self) -> None:
        self.closed = False

    async def accept(self) -> None: ...

    async def receive_bytes(self) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def close(self) -> None:
        self.closed = True


def test_who_says_nothing_is_hung_up_on(monkeypatch):
    monkeypatch.setattr("stoker.api.sockets.HELLO_TIME", 0.01)
    ended = []
    silent: Any = Silent()

    async def talk() -> None:
        conversation: Any = SimpleNamespace(end=lambda: ended.append(True))
        await converse(silent, lambda data: data, frozenset(), lambda outgoing: conversation)

    asyncio.run(asyncio.wait_for(talk(), 5))
    assert silent.closed
    assert ended == [True]


def test_a_host_that_dies_before_it_has_acknowledged_a_run(server, up):
    """Nobody can say whether the run had begun: it has one end, and others have its slot."""
    worker, host = up
    run = server.run()["id"]
    host.hear(wire.Assign)
    host.close()
    worker.say(worker_wire.HostLost(host_id=host.id, reason="killed"))
    found = server.get(f"/api/flow-runs/{run}/wait?timeout=20")
    assert found["state"]["type"] == "CRASHED"
    assert "its host ended: killed" in found["state"]["message"]
    (order,) = worker.orders(1)
    assert order.host_id != host.id
