"""How a route is called, and what paths are made of."""

from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

from stoker.domain.errors import Invalid

T = TypeVar("T")


class Calls(Protocol):
    """What the calls of each subject are made by; see `stoker.client.http.Api`."""

    def _call(
        self,
        answer: type[T],
        method: str,
        path: str,
        body: Any = None,
        hold: float = 0.0,
        *,
        again: bool = False,
    ) -> T: ...

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        hold: float = 0.0,
        *,
        again: bool = False,
    ) -> bytes: ...


def part(text: str) -> str:
    """Quote one part of a path."""
    return quote(text, safe="")


def deployment_path(full_name: str) -> str:
    """Return the path of the deployment ``"flow/name"``; raise `Invalid` where it is no name."""
    flow, slash, name = full_name.partition("/")
    if not (flow and slash and name):
        raise Invalid(f"{full_name!r} is no deployment's name; it has the form FLOW/NAME")
    return f"/api/deployments/{part(flow)}/{part(name)}"


def with_query(path: str, query: list[tuple[str, object]]) -> str:
    """Return a path with its query."""
    return f"{path}?{urlencode(query)}"
