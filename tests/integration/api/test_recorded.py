"""A conversation that was recorded with an earlier version is answered as it was then.

`scripts/record_conversation.py` records one, of a worker, its host and one run.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.msgpack"))
PATIENCE = 20.0
NEW = frozenset({"host_id", "run_id"})
"""Fields whose values are a server's own."""


def ids_of(value: Any, into: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """All ids in a message, in order, with the names of their fields."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in NEW and isinstance(inner, str):
                into.append((name, inner))
            else:
                ids_of(inner, into)
    elif isinstance(value, list):
        for inner in value:
            ids_of(inner, into)
    return into


def is_like(then: Any, now: Any) -> bool:
    """Whether all that was said then is said now, with the same kinds of values."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(
            name in now and is_like(inner, now[name]) for name, inner in then.items()
        )
    if isinstance(then, list):
        pairs = zip(then, now, strict=False)
        return isinstance(now, list) and all(is_like(one, other) for one, other in pairs)
    return then is None or type(then) is type(now)


class Replay:
    """Says what was said to a server then, with the ids that it gives now."""

    def __init__(self, server: Any, sockets: ExitStack) -> None:
        self._server = server
        self._sockets = sockets
        self._open: dict[int, Any] = {}
        self._ids: dict[bytes, bytes] = {}

    def step(self, number: int, path: str, by_server: bool, data: bytes) -> None:
        if number not in self._open:
            self._open[number] = self._sockets.enter_context(self._server.socket(path))
        socket = self._open[number]
        if not by_server:
            for old, new in self._ids.items():
                data = data.replace(old, new)
            socket.send(data)
            return
        then = msgspec.msgpack.decode(data)
        if then["type"] == "assign":
            self._server.run("recorded/d")
        while True:
            now = msgspec.msgpack.decode(socket.recv(PATIENCE, decode=False))
            # Word of what else has changed comes when it likes.
            if now["type"] == then["type"] and is_like(then, now):
                break
            assert now["type"] in {"orders", "warm"}, (then, now)
        for (_, old), (_, new) in zip(ids_of(then, []), ids_of(now, []), strict=True):
            self._ids[old.encode()] = new.encode()


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_conversation_is_answered_as_then(server, file: Path):
    server.make("PATCH", "/api/work-pools/pool", {"warm": {"min": 1}})
    server.deploy(flow_name="recorded", entrypoint="flows.py:recorded")
    said = msgspec.msgpack.decode(file.read_bytes())
    assert len(said) > 15
    with ExitStack() as sockets:
        replay = Replay(server, sockets)
        for number, path, by_server, data in said:
            replay.step(number, path, by_server, data)
        (run,) = server.get("/api/flow-runs?flow=recorded")["runs"]
        assert run["state"]["type"] == "COMPLETED"


def test_there_is_one_of_the_oldest_version_that_is_spoken():
    assert "wire-1" in {file.stem for file in RECORDED}
