"""How long HTTP requests take, by their route."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

UNKNOWN = "(none)"
"""The route of requests that fit none: their paths are as many as callers can think of."""


class Timed:
    """An ASGI application that says of another one how long its requests take.

    Args:
        app: The application.
        answered: Called with method, route, status and seconds.
    """

    def __init__(self, app: App, answered: Callable[[str, str, int, float], None]) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = scope.get("path_template") or UNKNOWN
            self._answered(scope["method"], route, status, time.perf_counter() - begun)
