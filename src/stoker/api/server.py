"""Endpoints of the server itself: health, readiness, metrics, hourly rollups."""

from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from prometheus_client.exposition import generate_latest

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.domain.rollups import HOUR, Rollup
from stoker.wire.http import Health, Readiness

MOST_HOURS = 24 * 366
"""Hours of one answer at the most."""

Hour = Annotated[int | None, QueryParameter(ge=0, le=10_000_000)]

PROMETHEUS = "text/plain; version=0.0.4"
"""The text format of Prometheus."""


@get("/api/health", opt=scope("server:read"), tags=["Server"], summary="Is the server alive?")
async def health(context: NamedDependency[Context]) -> Health:
    """Answer as long as the process does its work. Whether it can do it now, `/api/ready` says."""
    return Health(version=context.version, home=context.home, database=context.database)


@get("/api/ready", opt=scope("server:read"), tags=["Server"], summary="Is the server ready?")
async def ready(context: NamedDependency[Context]) -> Response[Readiness]:
    """Answer 200 where the database takes writes, all loops go on, and the server does not stop.

    Otherwise 503, with the reasons.
    """
    problems = await context.readiness.problems()
    answer = Readiness(ready=not problems, problems=problems)
    return Response(answer, status_code=503 if problems else 200)


@get(
    "/metrics",
    opt=scope("metrics:read"),
    tags=["Server"],
    summary="Metrics for Prometheus",
    media_type=PROMETHEUS,
)
async def metrics(context: NamedDependency[Context]) -> Response[bytes]:
    """Return all metrics. Where the server has a key, the scrape has to show it as bearer token."""
    await context.metrics.refresh()
    text = generate_latest(context.metrics.registry)
    return Response(text, media_type=PROMETHEUS)


@get("/api/rollups", opt=scope("runs:read"), tags=["Server"], summary="Hourly sums of runs")
async def rollups(
    context: NamedDependency[Context],
    first: Hour = None,
    last: Hour = None,
) -> list[Rollup]:
    """Return what ended in some hours (hours since the epoch; by default the last 24).

    They stay when the runs are pruned.
    """
    until = int(context.clock.now() // HOUR) if last is None else last
    since = until - 23 if first is None else first
    since = max(since, until - MOST_HOURS)
    return await context.dispatcher.read(lambda records: records.rollups(since, until))
