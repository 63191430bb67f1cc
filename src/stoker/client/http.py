"""The API as typed methods: the one caller of its routes."""

from functools import cache
from typing import Any, TypeVar

import msgspec

from stoker.client.calls.deployments import DeploymentCalls
from stoker.client.calls.events import EventCalls
from stoker.client.calls.limits import LimitCalls
from stoker.client.calls.pools import PoolCalls
from stoker.client.calls.runs import RunCalls
from stoker.client.calls.scripts import ScriptCalls
from stoker.client.replicas import Replicas
from stoker.domain import errors
from stoker.domain.errors import StokerError
from stoker.wire.http import (
    Health,
    Problem,
)

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Api(RunCalls, DeploymentCalls, PoolCalls, LimitCalls, EventCalls, ScriptCalls):
    """The server's API. May be used from many threads; see `Transport` for its connections.

    Of several addresses the next one is asked where one does not answer; see `Replicas`.

    Every method raises the `StokerError` that the server answers with, and `Unavailable`
    where there is no answer.

    Args:
        url: The server, for example ``"http://127.0.0.1:4200"``; or several, comma separated.
        key: The server's API key, where it has one.
        timeout: Seconds to wait for an answer that the server does not hold on purpose.

    Example:
        >>> api = Api("http://127.0.0.1:4200")
        >>> api.close()
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = 30.0) -> None:
        self._transport = Replicas(url, key, timeout)
        self.url = self._transport.url

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def health(self) -> Health:
        """Return the server's version, home and database."""
        return self._call(Health, "GET", "/api/health")

    def _call(
        self,
        answer: type[T],
        method: str,
        path: str,
        body: Any = None,
        hold: float = 0.0,
        *,
        again: bool = False,
    ) -> T:
        content = self._send(method, path, body, hold, again=again)
        try:
            return _decoder(answer).decode(content)
        except msgspec.MsgspecError as error:
            raise StokerError(
                f"{self.url} answered {method} {path} with what this version of Stoker does not "
                f"understand ({error}); do server and client have the same version?"
            ) from None

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        hold: float = 0.0,
        *,
        again: bool = False,
    ) -> bytes:
        """Send a request; ``again`` says that it does no harm where it arrives twice."""
        encoded = body if body is None or isinstance(body, bytes) else _encode(body)
        status, content = self._transport.send(method, path, encoded, hold=hold, repeatable=again)
        if status >= 300:
            raise _error(f"{method} {self.url}{path}", status, content)
        return content


@cache
def _decoder(answer: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(answer)


def _error(request: str, status: int, content: bytes) -> StokerError:
    """The error that an answer names, or the one that its status means."""
    try:
        problem = _decoder(Problem).decode(content)
    except msgspec.MsgspecError:
        text = content[:200].decode(errors="replace").strip()
        problem = Problem(
            error="",
            detail=f"{request} was answered with status {status}: {text or 'no text'}; "
            "is this a Stoker server?",
        )
    kinds = [*StokerError.__subclasses__(), errors.OutcomeUnknown]
    known = {kind.__name__: kind for kind in kinds}
    kind = known.get(problem.error)
    if kind is None:
        by_status = {kind.status: kind for kind in known.values()}
        kind = by_status.get(status, errors.StokerError)
    return kind(problem.detail)
