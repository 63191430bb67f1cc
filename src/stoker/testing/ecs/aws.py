"""What is not about tasks: moto, beside the emulator."""

from types import TracebackType
from typing import Any


class Moto:
    """moto's server on a port of loopback: EC2, IAM, ECR, Secrets Manager, SSM, STS and so on.

    It runs in this process, in a thread, with a state that all servers of this process share;
    `start` empties it.

    Raises:
        RuntimeError: moto or what its server needs is not installed (at `start`).
    """

    def __init__(self) -> None:
        self._server: Any = None
        self.url = ""

    def start(self) -> "Moto":
        """Listen."""
        try:
            from moto.server import ThreadedMotoServer
        except ImportError as error:
            raise RuntimeError(
                "AWS beside ECS is played by moto: pip install moto flask flask-cors"
            ) from error
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        return self

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> "Moto":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
