"""Access: every route declares a scope, and every caller shows the key where one is set."""

import hmac
from collections.abc import Iterable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import HTTPRoute, WebSocketRoute

from stoker.domain.errors import Unauthorized

Connection = ASGIConnection[Any, Any, Any, Any]

SCOPES = frozenset(
    {
        "server:read",
        "runs:read",
        "runs:write",
        "deployments:read",
        "deployments:write",
        "pools:read",
        "pools:write",
        "reports:write",
        "hosts:connect",
        "workers:connect",
    }
)
"""What a route may be for. Roles will be sets of these."""


def scope(name: str) -> dict[str, str]:
    """Return what a route handler declares: ``@get(..., opt=scope("runs:read"))``."""
    return {"scope": name}


class MissingScope(RuntimeError):
    """A route declares no scope, or an unknown one: the server does not start."""


def check_scopes(routes: Iterable[object]) -> None:
    """Refuse routes without a scope.

    Raises:
        MissingScope: Names the first such route.
    """
    for route in routes:
        if isinstance(route, HTTPRoute):
            # Litestar answers OPTIONS by itself, for every route.
            for handler in route.route_handlers:
                if handler.http_methods != {"OPTIONS"}:
                    _check(handler, route.path)
        elif isinstance(route, WebSocketRoute):
            _check(route.route_handler, route.path)


def _check(handler: BaseRouteHandler, path: str) -> None:
    if handler.opt.get("scope") not in SCOPES:
        raise MissingScope(f"the route {path} declares no scope")


class KeyGuard:
    """Lets a connection in that shows the API key; everybody where no key is set.

    A host has no API key: it names itself here, and shows its join token in its first message,
    before which its route does nothing for it.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key

    async def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Litestar's guard protocol. A coroutine: any other guard is called in a thread.

        Raises:
            Unauthorized: The key is missing or wrong.
        """
        if self._key is None:
            return
        shown = connection.headers.get("authorization", "")
        if hmac.compare_digest(shown.encode(), f"Bearer {self._key}".encode()):
            return
        if handler.opt.get("scope") == "hosts:connect" and shown.startswith("Host "):
            return
        raise Unauthorized(
            "this server asks for its API key: set STOKER_API_KEY to the key that it was started "
            "with"
        )
