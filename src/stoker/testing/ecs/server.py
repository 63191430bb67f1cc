"""The emulator's HTTP side: AWS's JSON 1.1 protocol, and the endpoints of containers."""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

import msgspec

from stoker.testing.ecs import endpoints
from stoker.testing.ecs.errors import AnswerLost, AwsError, server_error
from stoker.testing.ecs.model.ecs import Ecs
from stoker.testing.ecs.model.records import Json

_ECS, _LOGS = "AmazonEC2ContainerServiceV20141113", "Logs_20140328"
_JSON_11 = "application/x-amz-json-1.1"


class EcsServer:
    """Serves an `Ecs` on a port of loopback. The port is taken at once, and served from `start`.

    Attributes:
        url: Its address.
        ecs: What it serves; set it before `start`.
        closing: Set as it closes.
    """

    ecs: Ecs

    def __init__(self) -> None:
        server = self
        self.closing = Event()

        class Handler(_Handler):
            @property
            def ecs(self) -> Ecs:
                return server.ecs

            @property
            def closing(self) -> Event:
                return server.closing

        self._http = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Listen no more, and end the connections."""
        self.closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()
        self._http.end_connections()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Let the threads see the end of what they wait for."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def ecs(self) -> Ecs:
        raise NotImplementedError

    @property
    def closing(self) -> Event:
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the calls are in `Ecs.calls`."""

    def do_GET(self) -> None:
        if self.path.startswith("/api/"):
            self._plain(endpoints.protection(self.ecs, self.path, None))
        else:
            self._plain(endpoints.metadata(self.ecs, self.path))

    def do_PUT(self) -> None:
        self._plain(endpoints.protection(self.ecs, self.path, self._body()))

    def do_POST(self) -> None:
        service, _, action = (self.headers["x-amz-target"] or "").rpartition(".")
        body = self._body()
        try:
            if service == _ECS:
                answer = self.ecs.call(action, body)
            elif service == _LOGS:
                answer = self.ecs.logs.call(action, body)
            else:
                raise AwsError("UnknownOperationException", f"no service {service!r} is emulated")
        except AwsError as error:
            self._refuse(error)
        except AnswerLost:
            # The client sees its connection end, as it does when a load balancer drops it.
            self.closing.wait(self.ecs.world.settings.lost_after)
            self.close_connection = True
        except (KeyError, TypeError, ValueError) as error:
            # A request of another shape than the API's: boto3 sends none, a bare client may.
            self._refuse(AwsError("SerializationException", f"{type(error).__name__}: {error}"))
        except Exception as error:
            # Whatever else fails is the emulator's own fault, and its caller must hear of it.
            self._refuse(server_error(f"emulator: {type(error).__name__}: {error}"))
            raise
        else:
            self._send(200, msgspec.json.encode(answer), _JSON_11)

    def _body(self) -> Json:
        sent = self.rfile.read(int(self.headers["content-length"] or 0))
        return msgspec.json.decode(sent or b"{}", type=dict[str, Any])

    def _refuse(self, error: AwsError) -> None:
        body = {"__type": error.code, "message": error.message, **error.fields}
        self._send(error.status, msgspec.json.encode(body), _JSON_11)

    def _plain(self, answer: Json | None) -> None:
        if answer is None:
            self._send(404, b"404 page not found", "text/plain")
        else:
            self._send(200, msgspec.json.encode(answer), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", self.ecs.world.new_uuid())
        self.end_headers()
        self.wfile.write(body)
