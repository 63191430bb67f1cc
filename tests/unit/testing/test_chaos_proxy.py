"""The proxy of the chaos harness hides no connection that was lost."""

import socket
import struct
from contextlib import suppress

from stoker.testing.chaos.proxy import Proxy


def test_a_reset_is_passed_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            client.sendall(b"question")
            served, _ = listener.accept()
            assert served.recv(100) == b"question"
            served.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            served.close()
            with suppress(ConnectionResetError):
                assert client.recv(100) == b""
