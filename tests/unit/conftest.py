"""A stand-in for the server, for tests of its callers."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

Answer = Callable[["Request"], tuple[int, Any]]


class Request:
    """What a caller sent."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


class StubServer:
    """Answers what a test tells it to, and remembers what it was asked.

    ``routes`` maps ``"METHOD /path"`` to a function of the request that returns status and
    answer; a path that no route has is answered 204.
    """

    def __init__(self, port: int = 0) -> None:
        self.routes: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self._closed = False
        self._changed = threading.Condition()
        self._sockets: list[socket.socket] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                stub.connections += 1
                stub._sockets.append(self.connection)

            def handle_any(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(size))
                with stub._changed:
                    stub.requests.append(request)
                    stub._changed.notify_all()
                route = stub.routes.get(f"{request.method} {request.path}")
                status, answer = route(request) if route else (204, None)
                content = b"" if answer is None else msgspec.json.encode(answer)
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, route: str, answer: Any, status: int = 200) -> None:
        """Answer a route always the same."""
        self.routes[route] = lambda _: (status, answer)

    def wait_for(self, ready: Callable[[], Any], seconds: float = 10.0) -> None:
        """Return once ``ready`` holds after some request; fail after a deadline."""
        with self._changed:
            assert self._changed.wait_for(ready, seconds), [r.path for r in self.requests]

    def asked(self, route: str) -> list[Request]:
        """The requests to one route so far."""
        return [r for r in self.requests if f"{r.method} {r.path}" == route]

    def close_all(self) -> None:
        """Go away like a server that was killed: the connections break."""
        self.close()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[StubServer]:
    """A `StubServer` on a free port."""
    stub = StubServer()
    yield stub
    stub.close()


@pytest.fixture
def stub_on() -> Iterator[Callable[[int], StubServer]]:
    """Start a `StubServer` on a given port."""
    started: list[StubServer] = []

    def start(port: int) -> StubServer:
        started.append(StubServer(port))
        return started[-1]

    yield start
    for stub in started:
        stub.close()


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
