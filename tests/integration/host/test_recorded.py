"""A host does what a server of an earlier version says, in the words of then.

The conversation is the one that is replayed against servers (`tests/integration/api/recorded`).
"""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from stoker.process_marks import kill_marked
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess

RECORDED = sorted((Path(__file__).parent.parent / "api" / "recorded").glob("*.msgpack"))
PATIENCE = 30.0
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


class OldServer:
    """Says to a host what was said to one then; its batches are acknowledged as they come."""

    def __init__(self, file: Path, project: Path) -> None:
        said = msgspec.msgpack.decode(file.read_bytes())
        of_host = [one for one in said if one[1] == "/api/hosts/connect"]
        self.then: list[dict[str, Any]] = [msgspec.msgpack.decode(one[3]) for one in of_host]
        self.by_server = [one[2] for one in of_host]
        self._project = str(project)
        self.heard: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.done = asyncio.Event()

    def words(self, kind: str) -> bytes:
        """What was said then, on this project's folder."""
        message = next(
            one
            for one, by_server in zip(self.then, self.by_server, strict=True)
            if by_server and one["type"] == kind
        )
        for code in [*message.get("warm", []), *(job["code"] for job in message.get("jobs", []))]:
            code["path"] = self._project
        return msgspec.msgpack.encode(message)

    async def converse(self, host: ServerConnection) -> None:
        async for data in host:
            message = msgspec.msgpack.decode(cast(bytes, data))
            self.heard.append(message)
            match message["type"]:
                case "hello":
                    await host.send(self.words("welcome"))
                case "heartbeat":
                    await host.send(self.words("heartbeat_ack"))
                case "holding":
                    await host.send(self.words("assign"))
                case "frames":
                    ack = msgspec.msgpack.decode(self.words("frames_ack"))
                    await host.send(msgspec.msgpack.encode(ack | {"batch": message["batch"]}))
                    for frame in message["frames"]:
                        self.reports += frame[3]
            if any(report["type"] == "finished" for report in self.reports):
                self.done.set()


@pytest.mark.anyio
@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_host_understands_a_server_of_then(file: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "flows.py").write_text(FLOW)
    server = OldServer(file, project)
    async with serve(server.converse, "127.0.0.1", 0, compression=None) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        api = cast(FakeApi, SimpleNamespace(url=f"http://127.0.0.1:{port}"))
        host = HostProcess(api, tmp_path / "home")
        await host.start(connected=False)
        try:
            async with asyncio.timeout(PATIENCE):
                await server.done.wait()
        finally:
            await host.stop()
            kill_marked(host.id)
    (finished,) = (report for report in server.reports if report["type"] == "finished")
    assert finished["state"]["type"] == "COMPLETED"
    assert msgspec.json.decode(finished["result"]["data"]) == 2
    # It says no less than a host of then, of the same run.
    then = {one["type"] for one, by in zip(server.then, server.by_server, strict=True) if not by}
    assert then <= {message["type"] for message in server.heard}
    (assigned,) = (one for one in server.then if one["type"] == "assign")
    ack = next(message for message in server.heard if message["type"] == "assign_ack")
    assert ack["runs"] == [[assigned["jobs"][0]["run_id"], assigned["jobs"][0]["attempt"]]]
    reported = {
        report["type"]
        for one in server.then
        if one["type"] == "frames"
        for frame in one["frames"]
        for report in frame[3]
    }
    assert reported <= {report["type"] for report in server.reports}
