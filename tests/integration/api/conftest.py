"""A real server process, and hosts and workers that say what a test tells them to."""

import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from websockets.sync.client import ClientConnection, connect

from stoker.client.discovery import read_server_file
from stoker.domain.hosts import ProcessIdentity
from stoker.domain.reports import Finished, Frame, Report
from stoker.domain.states import StateRecord, StateType
from stoker.process_identity import identify, this_machine
from stoker.wire import host as host_wire
from stoker.wire import worker as worker_wire

PATIENCE = 20.0
"""Seconds that anything may take here before a test fails."""


class Answer:
    """An answer of the API."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.content = content

    @property
    def json(self) -> Any:
        return json.loads(self.content) if self.content else None


class Server:
    """A server process on a home of its own.

    Attributes:
        home: Its folder.
        lines: What it has written to standard error.
    """

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.lines: list[str] = []
        self._settings = {f"STOKER_{name.upper()}": value for name, value in settings.items()}
        self._changed = threading.Condition()
        self._over = False
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read)

    @property
    def process(self) -> "subprocess.Popen[str]":
        assert self._process is not None
        return self._process

    @property
    def key(self) -> str | None:
        return self._settings.get("STOKER_API_KEY")

    @property
    def url(self) -> str:
        """Where it listens."""
        found = read_server_file(self.home)
        assert found is not None
        return found.url

    def launch(self, *options: str) -> None:
        """Start the process; with warnings as errors, like the tests."""
        environment = {name: v for name, v in os.environ.items() if not name.startswith("STOKER_")}
        environment |= {"STOKER_HOME": str(self.home), **self._settings}
        command = [sys.executable, "-W", "error", "-m", "stoker", "server", "start"]
        self._process = subprocess.Popen(
            [*command, *(options or ("--port", "0"))],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def start(self, *options: str) -> "Server":
        """Start it, and return when it serves."""
        self.launch(*options)
        self.wait_for_line("serving http")
        return self

    def wait_for_line(self, text: str) -> str:
        """Return once it has written a line with a text."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._over, PATIENCE)
            line = found()
        assert line is not None, self.lines
        return line

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it has written."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code, "".join(self.lines)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it with a signal, if it lives."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.ended()

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.ended()
            assert self.process.stderr is not None
            self.process.stderr.close()

    # What its callers do.

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "",
        raw: bytes | None = None,
    ) -> Answer:
        """Send a request. The key is the server's own by default; None sends none."""
        target = urlsplit(self.url)
        connection = http.client.HTTPConnection(target.hostname or "", target.port, PATIENCE)
        headers = {"Content-Type": "application/json"}
        key = self.key if key == "" else key
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        content = raw if raw is not None else None if body is None else msgspec.json.encode(body)
        try:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, answer.content
        return answer.json

    def make(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that must succeed."""
        answer = self.call(method, path, body)
        assert answer.status in (200, 201, 204), answer.content
        return answer.json

    def socket(self, path: str, **headers: str) -> ClientConnection:
        if self.key is not None and not headers:
            headers = {"Authorization": f"Bearer {self.key}"}
        return connect(
            self.url.replace("http", "ws", 1) + path,
            additional_headers=headers,
            open_timeout=PATIENCE,
            close_timeout=5,
            compression=None,
            max_size=None,
            proxy=None,
        )

    def pool(self, **warm: Any) -> None:
        """Make a pool named ``pool`` and a deployment ``f/d``."""
        self.make("POST", "/api/work-pools", {"name": "pool", "warm": warm})
        self.deploy()

    def deploy(self, name: str = "d", **fields: Any) -> Any:
        body = {"id": "", "name": name, "flow_name": "f", "entrypoint": "flows.py:f"}
        body |= {"path": "/p", "pool": "pool", **fields}
        return self.make("PUT", "/api/deployments", body)

    def run(self, deployment: str = "f/d", **fields: Any) -> Any:
        return self.make("POST", "/api/flow-runs", {"deployment": deployment, **fields})

    def state(self, run_id: str) -> str:
        return self.get(f"/api/flow-runs/{run_id}")["state"]["type"]


class Party:
    """One side of a WebSocket conversation with the server."""

    def __init__(self, socket: ClientConnection, encode: Callable[..., bytes], told: Any) -> None:
        self._open = ExitStack()
        self.socket = self._open.enter_context(socket)
        self._unread: list[Any] = []
        self._encode = encode
        self._decode = msgspec.msgpack.Decoder(told).decode

    def say(self, message: Any) -> None:
        self.socket.send(self._encode(message))

    def hear(self, kind: type) -> Any:
        """Return the server's next message of a kind; others are left for later."""
        for message in self._unread:
            if isinstance(message, kind):
                self._unread.remove(message)
                return message
        while True:
            message = self._decode(self.socket.recv(PATIENCE, decode=False))
            if isinstance(message, kind):
                return message
            self._unread.append(message)

    def heard(self, *kinds: type) -> bool:
        """Whether it was told something of these kinds before what was heard last."""
        return any(isinstance(message, kinds) for message in self._unread)

    def close(self) -> None:
        self._open.close()


class FakeWorker(Party):
    """A worker that launches nothing: it says that it has."""

    def __init__(self, server: Server, worker_id: str = "w", **fields: Any) -> None:
        socket = server.socket("/api/workers/connect")
        super().__init__(socket, worker_wire.encode, worker_wire.ToWorker)
        hello = {"name": "bold-oak", "pool": "pool", "queues": [], "limit": None, **fields}
        hello.setdefault("machine", this_machine())
        # No process of this test: once it is not connected it is proved dead.
        hello.setdefault("process", ProcessIdentity(1, 0, this_machine()))
        self.say(worker_wire.WorkerHello(worker_id=worker_id, **hello))

    def orders(self, number: int) -> list[Any]:
        """Wait until it is ordered to have a number of hosts."""
        while True:
            orders = self.hear(worker_wire.Orders)
            if len(orders.hosts) == number:
                return orders.hosts

    def launched(self, host_id: str, token: str, process: ProcessIdentity | None = None) -> None:
        token_hash = hashlib.sha256(token.encode()).hexdigest()
        process = process or identify()
        self.say(worker_wire.HostLaunched(host_id=host_id, process=process, token_hash=token_hash))


class FakeHost(Party):
    """A host that executes nothing: it reports what a test tells it to."""

    def __init__(self, server: Server, host_id: str, token: str = "token", **fields: Any) -> None:
        socket = server.socket("/api/hosts/connect", Authorization=f"Host {host_id}")
        super().__init__(socket, host_wire.encode, host_wire.ToHost)
        self.id = host_id
        self._batch = 0
        self._seq = 0
        hello = {"process": identify(), "slots": 8, **fields}
        self.say(host_wire.HostHello(host_id=host_id, token=token, **hello))

    def welcome(self, *held: tuple[str, int]) -> "FakeHost":
        """Be taken in, and say what it holds."""
        self.hear(host_wire.HostWelcome)
        self.say(host_wire.Holding(runs=list(held)))
        return self

    def job(self) -> Any:
        """Take the next assignment, which has one job, and acknowledge it."""
        (job,) = self.hear(host_wire.Assign).jobs
        self.say(host_wire.AssignAck(runs=[(job.run_id, job.attempt)]))
        return job

    def report(self, run_id: str, *reports: Report, attempt: int = 1) -> None:
        """Report, and return when that is safe."""
        self._seq += 1
        self.frames(Frame(run_id, attempt, self._seq, list(reports)))

    def frames(self, *frames: Frame) -> None:
        self._batch += 1
        self.say(host_wire.Frames(batch=self._batch, frames=list(frames)))
        assert self.hear(host_wire.FramesAck).batch == self._batch

    def finish(self, run_id: str, kind: StateType = StateType.COMPLETED, attempt: int = 1) -> None:
        state = StateRecord(kind, kind.title(), 1.0)
        self.report(run_id, Finished(state), attempt=attempt)


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Make servers, by default on one home; all have ended afterwards."""
    made: list[Server] = []

    def make(home: str = "home", **settings: str) -> Server:
        made.append(Server(tmp_path / home, **settings))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    """A server that serves, with a pool ``pool`` and a deployment ``f/d``."""
    started = new_server().start()
    started.pool()
    return started


@pytest.fixture(scope="module")
def new_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers for a whole module of tests."""
    made: list[Server] = []

    def make(**settings: str) -> Server:
        made.append(Server(tmp_path_factory.mktemp("shared") / "home", **settings).start())
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def shared(new_shared: Callable[..., Server]) -> Server:
    """The same as ``server``, for tests that leave nothing which others could notice."""
    started = new_shared()
    started.pool()
    return started


@pytest.fixture
def worker(server: Server) -> Iterator[Callable[..., FakeWorker]]:
    """Connect fake workers."""
    made: list[FakeWorker] = []

    def make(worker_id: str = "w", to: Server | None = None, **fields: Any) -> FakeWorker:
        made.append(FakeWorker(to or server, worker_id, **fields))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def host(server: Server) -> Iterator[Callable[..., FakeHost]]:
    """Connect fake hosts."""
    made: list[FakeHost] = []

    def make(host_id: str, to: Server | None = None, **fields: Any) -> FakeHost:
        made.append(FakeHost(to or server, host_id, **fields))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def up(
    server: Server, worker: Callable[..., FakeWorker], host: Callable[..., FakeHost]
) -> tuple[FakeWorker, FakeHost]:
    """A worker and a host that is up and may be given runs."""
    server.make("PATCH", "/api/work-pools/pool", {"warm": {"min": 1, "max": 1}})
    first = worker()
    (order,) = first.orders(1)
    first.launched(order.host_id, "token")
    return first, host(order.host_id).welcome()
