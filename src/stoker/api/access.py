"""Access: every route declares a scope, and every caller shows the key where one is set."""

import hmac
import ipaddress
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import HTTPRoute, WebSocketRoute

from stoker.domain.errors import Forbidden, Unauthorized

Connection = ASGIConnection[Any, Any, Any, Any]

SCOPES = frozenset(
    {
        "server:read",
        "metrics:read",
        "runs:read",
        "runs:write",
        "deployments:read",
        "deployments:write",
        "pools:read",
        "pools:write",
        "limits:read",
        "limits:write",
        "reports:write",
        "events:read",
        "events:write",
        "automations:read",
        "automations:write",
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
    """Lets a connection in that shows the API key; every program where no key is set.

    A server without a key is reached from its own machine alone. Browsers are there too, and do
    what any website tells them: they name the website as the origin, or (where its name was made
    to point to this machine) as the host that they mean.

    A host has no API key: it names itself here, and shows its join token in its first message,
    before which its route does nothing for it.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key

    async def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Litestar's guard protocol. A coroutine: any other guard is called in a thread.

        Raises:
            Unauthorized: The key is missing or wrong.
            Forbidden: There is no key, and a website asks.
        """
        if self._key is None:
            _refuse_websites(connection)
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


def _refuse_websites(connection: Connection) -> None:
    if "origin" in connection.headers:
        raise Forbidden(
            "a server without an API key takes nothing from websites: start it with STOKER_API_KEY"
        )
    host = connection.headers.get("host", "")
    if not _is_loopback(host):
        raise Forbidden(
            f"a server without an API key answers to localhost and 127.0.0.1, not to {host!r}: "
            "start it with STOKER_API_KEY"
        )


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
