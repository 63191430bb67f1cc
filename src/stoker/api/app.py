"""The ASGI application: all endpoints, their access, and how errors are answered."""

import logging
from typing import Any

from litestar import Litestar, MediaType, Request, Response, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.config import OpenAPIConfig

from stoker.api import scripts, server
from stoker.api.access import KeyGuard, check_scopes, scope
from stoker.api.automations import Automations
from stoker.api.backfills import Backfills
from stoker.api.checking import check_request
from stoker.api.concurrency_limits import ConcurrencyLimits, ScriptsSlots
from stoker.api.context import Context
from stoker.api.deployments import Deployments
from stoker.api.documenting import Document
from stoker.api.events import Events
from stoker.api.flow_runs import ALIASES, FlowRuns
from stoker.api.hosts import host_socket
from stoker.api.pauses import Pauses
from stoker.api.schedules import Schedules
from stoker.api.work_pools import WorkPools
from stoker.api.workers import worker_socket
from stoker.domain.errors import StokerError
from stoker.wire.http import Problem

logger = logging.getLogger("stoker.server")

ROUTES = (
    server.health,
    server.ready,
    server.metrics,
    server.rollups,
    scripts.hello,
    scripts.heartbeat,
    scripts.bye,
    scripts.reports,
    FlowRuns,
    Pauses,
    Deployments,
    Schedules,
    Backfills,
    WorkPools,
    ConcurrencyLimits,
    ScriptsSlots,
    Events,
    Automations,
    host_socket,
    worker_socket,
)
"""Every endpoint of the server."""

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a request's body at the most."""

AnyRequest = Request[Any, Any, Any]


def create_app(context: Context, api_key: str | None, routes: tuple[Any, ...] = ROUTES) -> Litestar:
    """Put the application together.

    Args:
        context: The services.
        api_key: Asked of every caller, where it is set.
        routes: The endpoints.

    Raises:
        MissingScope: A route declares no scope.
    """
    app = Litestar(
        route_handlers=list(routes),
        guards=[KeyGuard(api_key)],
        before_request=check_request,
        dependencies={"context": Provide(lambda: context, sync_to_thread=False, use_cache=True)},
        exception_handlers={
            StokerError: _stoker_error,
            ValidationException: _validation_error,
            HTTPException: _http_error,
            RecursionError: _too_deep,
            Exception: _unexpected,
        },
        openapi_config=OpenAPIConfig(
            title="Stoker",
            version=context.version,
            path="/api/docs",
            openapi_router=Router(
                "/api/docs",
                route_handlers=[],
                opt=scope("server:read"),
                include_in_schema=False,
            ),
            render_plugins=[Document()],
        ),
        request_max_body_size=MAX_BODY,
        logging_config=None,
        pdb_on_exception=False,
    )
    check_scopes(app.routes)
    return app


def _answer(status: int, error: str, detail: str) -> Response[Problem]:
    return Response(
        Problem(error=error, detail=detail), status_code=status, media_type=MediaType.JSON
    )


def _stoker_error(_: AnyRequest, error: StokerError) -> Response[Problem]:
    return _answer(error.status, type(error).__name__, str(error))


def _validation_error(_: AnyRequest, error: ValidationException) -> Response[Problem]:
    """Name the fields that are wrong, and what is allowed."""
    problems: list[dict[str, Any]] = error.extra if isinstance(error.extra, list) else []
    fields = [
        f"{ALIASES.get(one.get('key', 'body'), one.get('key', 'body'))}: {one.get('message', '')}"
        for one in problems
    ]
    return _answer(422, "Invalid", "; ".join(fields) or error.detail)


def _too_deep(_: AnyRequest, __: RecursionError) -> Response[Problem]:
    return _answer(400, "Invalid", "the request's body is nested too deeply")


def _unexpected(request: AnyRequest, error: Exception) -> Response[Problem]:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(500, "StokerError", "the server failed; its log says more")


def _http_error(_: AnyRequest, error: HTTPException) -> Response[Problem]:
    status, detail = error.status_code, error.detail
    names = {404: "NotFound", 401: "Unauthorized", 400: "Invalid", 413: "Invalid", 415: "Invalid"}
    if status == 413:
        detail = f"a request's body may have {MAX_BODY >> 20} MB at the most"
    answer = _answer(status, names.get(status, "StokerError"), detail)
    answer.headers.update(error.headers or {})
    return answer
