"""A receiver of webhooks and notifications, that answers as a test says."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Receiver:
    """Takes what is POSTed to it, on loopback.

    Attributes:
        url: Its address.
        port: Its port.
        got: ``(path, headers, body)`` of what it was sent.
        answer: Writes the answer, with the handler.
    """

    def __init__(self) -> None:
        self.got: list[tuple[str, Any, bytes]] = []
        self.answer: Callable[[Any], None] = lambda handler: _answer(handler, 204)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((self.path, self.headers, body))
                receiver.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def says(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so from now on."""
        self.answer = lambda handler: _answer(handler, status, body, **headers)

    def await_messages(self, count: int, timeout: float = 15.0) -> list[Any]:
        """Return the bodies as JSON, once there are so many.

        Raises:
            AssertionError: There are fewer when the time has passed.
        """
        deadline = time.monotonic() + timeout
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.got) >= count, f"{len(self.got)} messages, not {count}"
        return [msgspec.json.decode(body) for _, _, body in self.got]

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _answer(handler: Any, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
