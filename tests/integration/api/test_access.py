"""Who is let in: every route declares a scope, and asks for the key where one is set."""

import http.client
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

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


def asked(server, **headers: str) -> tuple[int, Problem | None]:
    target = urlsplit(server.url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, 20)
    try:
        connection.putrequest("GET", "/api/health", skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        content = answer.read()
        problem = None if answer.status == 200 else msgspec.json.decode(content, type=Problem)
        return answer.status, problem
    finally:
        connection.close()


WEBSITES = [
    {"Origin": "https://example.com"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:4200"},
    {"Host": "example.com"},
    {"Host": "127.0.0.1.example.com:4200"},
    {"Host": "10.0.0.1:4200"},
    {"Host": ""},
    {"Host": "[::1"},
]


@pytest.mark.parametrize("headers", WEBSITES)
def test_a_website_cannot_use_a_server_without_a_key(shared, headers):
    status, problem = asked(shared, **headers)
    assert status == 403
    assert problem is not None
    assert problem.error == "Forbidden"
    assert "STOKER_API_KEY" in problem.detail
    if "Origin" in headers:
        for path in socket_routes():
            with pytest.raises(InvalidStatus) as caught, shared.socket(path, **headers):
                pass
            assert caught.value.response.status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4200", "127.0.0.1", "[::1]:4200"])
def test_this_machine_uses_a_server_without_a_key_by_any_of_its_names(shared, host):
    assert asked(shared, Host=host)[0] == 200


def test_a_website_with_the_key_is_let_in(locked):
    headers = {"Origin": "https://example.com", "Host": "example.com"}
    assert asked(locked, Authorization=f"Bearer {KEY}", **headers)[0] == 200


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
