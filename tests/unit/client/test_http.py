"""The API client: what it sends, what it makes of answers, and its connections."""

import socket
import threading
from collections.abc import Callable

import pytest

from stoker.client.connection import Transport, Unanswered
from stoker.client.http import Api
from stoker.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    StokerError,
    Unauthorized,
    Unavailable,
)
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.wire.http import Health, Problem, RunPage

RUNNING = FlowRun(
    id="r1", name="n", flow_name="f", state=StateRecord(StateType.RUNNING, "Running", 1.0)
)
DONE = FlowRun(
    id="r1", name="n", flow_name="f", state=StateRecord(StateType.COMPLETED, "Completed", 2.0)
)
HEALTH = Health(version="1", home="/h", database="ok")


@pytest.fixture
def api(server):
    with Api(server.url, timeout=5.0) as found:
        yield found


def test_start_run_sends_a_key_of_its_own_each_time(server, api):
    server.answer("POST /api/flow-runs", RUNNING, 201)
    api.start_run(StartRun(deployment="f/d"))
    api.start_run(StartRun(deployment="f/d"))
    keys = [r.json()["idempotency_key"] for r in server.asked("POST /api/flow-runs")]
    assert len(set(keys)) == 2


def test_start_run_keeps_the_caller_s_key(server, api):
    server.answer("POST /api/flow-runs", RUNNING, 201)
    api.start_run(StartRun(deployment="f/d", idempotency_key="mine"))
    assert server.requests[0].json()["idempotency_key"] == "mine"


def test_start_run_that_waits_for_ever_asks_again_until_the_end(server, api):
    server.answer("POST /api/flow-runs", RUNNING, 201)
    answers = iter([RUNNING, DONE])
    server.routes["GET /api/flow-runs/r1/wait"] = lambda _: (200, next(answers))
    run = api.start_run(StartRun(deployment="f/d", timeout=None))
    assert run.state.type is StateType.COMPLETED
    assert len(server.asked("GET /api/flow-runs/r1/wait")) == 2


def test_a_wait_that_runs_out_returns_the_run_as_it_is(server, api):
    server.answer("GET /api/flow-runs/r1/wait", RUNNING)
    assert api.wait_run("r1", 0.01).state.type is StateType.RUNNING


def test_names_are_quoted(server, api):
    server.answer("GET /api/deployments/a%20b/c%2Fd", None, 404)
    with pytest.raises(NotFound):
        api.deployment("a b/c/d")


def test_a_deployment_s_name_needs_both_parts(api):
    with pytest.raises(Invalid, match="FLOW/NAME"):
        api.deployment("only")


def test_filters_go_into_the_query(server, api):
    server.answer("GET /api/flow-runs", RunPage(runs=[RUNNING], next=None))
    api.runs(states=["RUNNING", "FAILED"], deployment="f/d", limit=3)
    assert server.requests[0].query == "state=RUNNING&state=FAILED&deployment=f%2Fd&limit=3"


def test_the_key_is_sent_as_bearer_token(server):
    server.answer("GET /api/health", HEALTH)
    with Api(server.url, "secret") as api:
        api.health()
    assert server.requests[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("kind", [NotFound, Conflict, Invalid, Unauthorized, Unavailable])
def test_a_problem_becomes_the_error_that_it_names(server, api, kind):
    server.answer("GET /api/health", Problem(error=kind.__name__, detail="do this"), kind.status)
    with pytest.raises(kind, match=r"^do this$"):
        api.health()


def test_an_error_of_something_else_is_said_with_its_status(server, api):
    server.answer("GET /api/health", "nope", 404)
    with pytest.raises(NotFound, match=r"status 404.*nope.*is this a Stoker server"):
        api.health()


def test_an_answer_that_makes_no_sense_is_said(server, api):
    server.answer("GET /api/health", {"a": 1})
    with pytest.raises(StokerError, match="same version"):
        api.health()


def test_without_a_server_the_error_says_how_to_start_one(free_port):
    with Api(f"http://127.0.0.1:{free_port}") as api, pytest.raises(Unavailable, match="stoker up"):
        api.health()


@pytest.mark.parametrize("url", ["", "127.0.0.1:1", "ftp://x", "http://", "http://x:y"])
def test_a_wrong_url_is_said(url):
    with pytest.raises(Invalid, match="is no server's address"):
        Api(url)


def test_requests_one_after_the_other_share_a_connection(server, api):
    server.answer("GET /api/health", HEALTH)
    for _ in range(3):
        api.health()
    assert server.connections == 1


def test_threads_at_once_have_a_connection_each(server, api):
    together = threading.Barrier(2)

    def slow(_):
        together.wait(10)
        return 200, HEALTH

    server.routes["GET /api/health"] = slow
    threads = [threading.Thread(target=api.health) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.connections == 2


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class RawServer:
    """Accepts connections and plays a script on each: ``script[n]`` gets the n-th socket."""

    def __init__(self, script: list[Callable[[socket.socket], None]]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self._run, args=(script,))
        self._thread.start()

    def _run(self, script):
        for play in script:
            connection, _ = self._listener.accept()
            with connection:
                play(connection)

    def read(self, connection: socket.socket) -> None:
        self.received.append(connection.recv(65536))

    def stop(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def close(self):
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def raw():
    servers: list[RawServer] = []

    def start(script):
        servers.append(RawServer(script))
        return servers[-1]

    yield start
    for one in servers:
        one.close()


def test_a_request_is_one_segment(raw):
    def answer(connection):
        server.read(connection)
        connection.sendall(OK)

    server = raw([answer])
    with Api(server.url) as api:
        api.report([b'["r",1,1,[]]'])
    head, _, body = server.received[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/reports HTTP/1.1\r\n")
    assert body == b'{"frames":[["r",1,1,[]]]}'


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(raw):
    closed = threading.Event()

    def answer_and_close(connection):
        server.read(connection)
        connection.sendall(OK)
        connection.close()
        closed.set()

    server = raw([answer_and_close, answer_and_close])
    with Api(server.url) as api:
        api.report([])
        assert closed.wait(10)
        api.report([])
    assert len(server.received) == 2


def test_a_kept_connection_that_breaks_before_the_answer_is_tried_once_more(raw):
    def answer_then_break(connection):
        server.read(connection)
        connection.sendall(OK)
        server.read(connection)

    def answer(connection):
        server.read(connection)
        connection.sendall(OK)

    server = raw([answer_then_break, answer])
    with Api(server.url) as api:
        api.report([b"1"])
        api.report([b"2"])
    assert [b'"frames":[2]' in text for text in server.received] == [False, True, True]


def test_a_fresh_connection_that_breaks_is_no_reason_to_try_again(raw):
    server = raw([lambda connection: RawServer.read(server, connection)])
    with Api(server.url) as api, pytest.raises(Unavailable, match="before it answered"):
        api.report([])
    assert len(server.received) == 1


def test_what_a_server_got_before_it_was_killed_may_have_arrived(raw):
    def answer_then_end(connection):
        server.read(connection)
        connection.sendall(OK)
        server.read(connection)
        server.stop()

    server = raw([answer_then_end])
    transport = Transport(server.url)
    transport.send("POST", "/first")
    with pytest.raises(Unanswered):
        transport.send("POST", "/second")
    transport.close()
    assert len(server.received) == 2


def test_a_broken_answer_to_a_post_is_not_sent_again(raw):
    def answer_then_half(connection):
        server.read(connection)
        connection.sendall(OK)
        server.read(connection)
        connection.sendall(OK[:-1])

    server = raw([answer_then_half])
    with Api(server.url) as api:
        api.report([])
        with pytest.raises(Unavailable, match="broke off its answer"):
            api.cancel_run("x")
    assert len(server.received) == 2


def test_a_server_that_does_not_answer_in_time_is_said(raw):
    done = threading.Event()
    server = raw([lambda _: done.wait(10)])
    with Api(server.url, timeout=0.05) as api:
        with pytest.raises(Unavailable, match="did not answer within"):
            api.health()
        done.set()
