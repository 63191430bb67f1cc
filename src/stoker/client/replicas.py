"""Requests to one of several servers that stand for each other."""

from stoker.client.connection import IDEMPOTENT, Transport, Unanswered, Unreachable
from stoker.domain.addresses import Rotation, addresses_of
from stoker.domain.errors import OutcomeUnknown, Unavailable


class Replicas:
    """Sends each request to the server that answered the last one, or to the next that does.

    A request that may have arrived is sent to another only where it does no harm twice.

    Args:
        url: Comma separated addresses.
        key: See `Transport`.
        timeout: See `Transport`.

    Raises:
        Invalid: One of the addresses is none.
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = 30.0) -> None:
        addresses = addresses_of(url) or [url]
        self._transports = {one: Transport(one, key, timeout) for one in addresses}
        self._rotation = Rotation(addresses)
        self.url = ",".join(addresses)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        hold: float = 0.0,
        repeatable: bool = False,
    ) -> tuple[int, bytes]:
        """See `Transport.send`.

        A server that ends, or whose store cannot be reached, answers 503: it has done nothing. One
        that does not know what became of a request answers 504, which passes for no answer.

        Raises:
            Unreachable: None of the servers can be reached.
            Unanswered: One of them may have got the request, and has not answered it.
        """
        repeatable = repeatable or method in IDEMPOTENT
        rotation = self._rotation
        refused: tuple[int, bytes] | None = None
        problem: Unavailable | None = None
        for _ in self._transports:
            address = rotation.current
            transport = self._transports[address]
            try:
                answer = transport.send(method, path, body, hold=hold, repeatable=repeatable)
            except Unreachable as error:
                problem = error
            except Unanswered as error:
                problem = error
                if not repeatable:
                    rotation.leave(address)
                    raise
            else:
                unknown = answer[0] == OutcomeUnknown.status
                if not (answer[0] == Unavailable.status or (unknown and repeatable)):
                    return answer
                refused = answer
            rotation.leave(address)
        if refused is not None:
            return refused
        raise problem or Unreachable(f"no server at {self.url}")

    def close(self) -> None:
        """Let go of the connections."""
        for transport in self._transports.values():
            transport.close()
