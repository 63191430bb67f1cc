"""Record what a server, a worker and a host say to each other in one run of a flow.

Tests replay it against servers of later versions: they must answer as this one does. Run it where
the wire has changed: ``python scripts/record_conversation.py FILE``.
"""

import asyncio
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from stoker.testing import harness

FLOW = """
from stoker import flow, get_run_logger, task


@task
def double(n: int) -> int:
    return 2 * n


@flow
def recorded(n: int = 1) -> int:
    get_run_logger().info("doubling")
    return double(n)
"""

Said = tuple[int, str, bool, bytes]
"""Number of the connection, its path, whether the server said it, and what."""


class Tap:
    """Passes WebSockets on to a server, and notes what goes by."""

    def __init__(self, url: str) -> None:
        self.said: list[Said] = []
        self.port = 0
        self._url = url.replace("http", "ws", 1)
        self._connections = 0
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True).start()
        self._ready.wait(10)

    def is_quiet(self) -> bool:
        """Whether every report so far has been acknowledged."""
        tags = [msgspec.msgpack.decode(data)["type"] for *_, data in list(self.said)]
        return tags.count("frames") == tags.count("frames_ack")

    async def _run(self) -> None:
        async with serve(self._pass_on, "127.0.0.1", 0, max_size=None, compression=None) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._ready.set()
            await asyncio.Event().wait()

    async def _pass_on(self, caller: ServerConnection) -> None:
        request = caller.request
        assert request is not None
        self._connections += 1
        number, path = self._connections, request.path
        key = {"Authorization": request.headers.get("Authorization", "")}
        async with connect(
            self._url + path, additional_headers=key, max_size=None, compression=None
        ) as server:

            async def copy(source: object, to: object, by_server: bool) -> None:
                try:
                    async for data in source:  # pyright: ignore
                        self.said.append((number, path, by_server, bytes(data)))
                        await to.send(data)  # pyright: ignore
                except ConnectionClosed:
                    pass

            await asyncio.wait(
                [
                    asyncio.create_task(copy(caller, server, False)),
                    asyncio.create_task(copy(server, caller, True)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )


def main(target: Path) -> None:
    """Record into a file."""
    with tempfile.TemporaryDirectory() as folder, harness(Path(folder) / "home", pool=None) as one:
        (Path(folder) / "flows.py").write_text(FLOW)
        one.create_pool("pool")
        one.deploy(Path(folder) / "flows.py", name="d", pool="pool")
        tap = Tap(one.url)
        one.environ["STOKER_API_URL"] = f"http://127.0.0.1:{tap.port}"
        one.start_worker("pool")
        one.run("recorded/d")
        while not tap.is_quiet():
            time.sleep(0.01)
        said = list(tap.said)
    target.write_bytes(msgspec.msgpack.encode(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
