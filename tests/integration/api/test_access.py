"""Who is let in: every route declares a scope, and asks for the key where one is set."""

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from litestar import Litestar, get, websocket
from litestar.routes import HTTPRoute, WebSocketRoute
from websockets.exceptions import InvalidStatus

from stoker.api.access import MissingScope, scope
from stoker.api.app import ROUTES, create_app
from stoker.api.sockets import Socket
from stoker.wire.http import Problem

KEY = "schlüssel-7"
CONTEXT = cast(Any, SimpleNamespace(version="0"))


def the_app(routes: tuple[Any, ...] = ROUTES) -> Litestar:
    return create_app(CONTEXT, KEY, routes)


def path_of(route: HTTPRoute | WebSocketRoute) -> str:
    """A path of a route, with something for every parameter."""
    parts = [part if isinstance(part, str) else "x" for part in route.path_components]
    return "/" + "/".join(parts)


def http_routes() -> list[tuple[str, str]]:
    return [
        (method, path_of(route))
        for route in the_app().routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in sorted(handler.http_methods - {"OPTIONS"})
    ]


def socket_routes() -> list[str]:
    return [path_of(route) for route in the_app().routes if isinstance(route, WebSocketRoute)]


@pytest.fixture(scope="module")
def locked(new_shared):
    return new_shared(api_key=KEY)


def test_there_are_routes_to_look_at():
    assert len(http_routes()) >= 25
    assert ("GET", "/api/flow-runs/x/logs") in http_routes()
    assert ("GET", "/api/docs/openapi.json") in http_routes()
    assert socket_routes() == ["/api/hosts/connect", "/api/workers/connect"]


@pytest.mark.parametrize("shown", [None, " ", "wrong", KEY + "x", KEY.upper()])
def test_no_route_answers_without_the_key(locked, shown):
    for method, path in http_routes():
        answer = locked.call(method, path, {}, key=shown)
        assert answer.status == 401, (method, path, answer.content)
        found = msgspec.json.decode(answer.content, type=Problem)
        assert found.error == "Unauthorized"
        assert "set STOKER_API_KEY" in found.detail


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}])
def test_no_socket_opens_without_the_key(locked, shown):
    for path in socket_routes():
        with (
            pytest.raises(InvalidStatus) as caught,
            locked.socket(path, **(shown or {"X-Nothing": "1"})),
        ):
            pass
        assert caught.value.response.status_code in (401, 403)


def test_a_host_names_itself_at_its_own_door_alone(locked):
    with (
        pytest.raises(InvalidStatus),
        locked.socket("/api/workers/connect", Authorization="Host h"),
    ):
        pass
    assert locked.call("GET", "/api/health", key=None).status == 401
    with locked.socket("/api/hosts/connect", Authorization="Host h"):
        pass


def test_with_the_key_all_doors_open(locked):
    assert locked.get("/api/health")["version"]
    for path in socket_routes():
        with locked.socket(path):
            pass


def test_a_route_without_a_scope_does_not_start():
    @get("/api/open")
    async def unguarded() -> None: ...

    with pytest.raises(MissingScope, match="/api/open declares no scope"):
        the_app((*ROUTES, unguarded))


def test_a_socket_without_a_scope_does_not_start():
    @websocket("/api/open")
    async def unguarded(socket: Socket) -> None: ...

    with pytest.raises(MissingScope, match="/api/open declares no scope"):
        the_app((*ROUTES, unguarded))


def test_a_scope_that_nobody_knows_does_not_start():
    @get("/api/open", opt=scope("everything"))
    async def guarded() -> None: ...

    with pytest.raises(MissingScope, match="/api/open declares no scope"):
        the_app((*ROUTES, guarded))


def test_every_route_has_a_scope():
    the_app()
