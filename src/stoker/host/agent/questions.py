"""The questions of runs, on their way to the server and back."""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from stoker.host.agent.child_link import ChildLink
from stoker.wire import host as wire
from stoker.wire import pipe


class OpaqueChildRequest(Struct, array_like=True):
    """A `ChildRequest` as the agent reads it."""

    id: int
    body: Raw


class OpaqueHostRequest(Struct, tag="request", kw_only=True):
    """A `HostRequest` as the agent writes it."""

    id: int
    run_id: str
    attempt: int
    body: Raw


class Asked(Struct):
    """A question without an answer yet.

    Attributes:
        child: Who asked.
        id: The child's own number of it.
        message: What the server was sent, and is sent again on a new connection.
    """

    child: ChildLink
    id: int
    message: bytes


class Questions:
    """See the module.

    Args:
        send: Sends a message to the server.
    """

    def __init__(self, send: Callable[[wire.FromHost | bytes], None]) -> None:
        self._send = send
        self._asked: dict[int, Asked] = {}
        self._last = 0

    def open(self) -> list[bytes]:
        """Return what a new connection has to be told."""
        return [asked.message for asked in self._asked.values()]

    def ask(self, child: ChildLink, body: bytes) -> None:
        """Pass a `ChildRequest` on, unread, under the rights of the child's run."""
        if child.attempt is None:
            return
        request = msgspec.msgpack.decode(body, type=OpaqueChildRequest)
        self._last += 1
        run_id, attempt = child.attempt.key
        message = wire.encode(
            OpaqueHostRequest(id=self._last, run_id=run_id, attempt=attempt, body=request.body)
        )
        self._asked[self._last] = Asked(child, request.id, message)
        self._send(message)

    def take_back(self, child: ChildLink, id: int) -> None:
        """Its child does not wait any more: while the server answers it, its run would lend."""
        for number, asked in self._asked.items():
            if asked.child is child and asked.id == id:
                del self._asked[number]
                self._send(wire.ForgetRequest(id=number))
                return

    def answer(self, reply: wire.Reply) -> None:
        """Pass the server's answer on to the child that asked."""
        asked = self._asked.pop(reply.id, None)
        if asked is not None:
            answer = wire.Reply(id=asked.id, body=reply.body, error=reply.error)
            asked.child.send(pipe.KIND_REPLY, pipe.encode(answer))

    def drop(self, child: ChildLink) -> None:
        """A child has ended: nobody waits for its answers."""
        self._asked = {id: asked for id, asked in self._asked.items() if asked.child is not child}
