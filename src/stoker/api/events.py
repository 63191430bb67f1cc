"""Endpoints of events: emit, list, follow."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream

from stoker.api.access import scope
from stoker.api.context import Context
from stoker.api.streams import ending_slow_readers
from stoker.domain.automation.triggers import EventTrigger, check_patterns
from stoker.domain.errors import Invalid, Unavailable
from stoker.domain.events import EmitEvent, Event, check_emitted
from stoker.ports.store import Records
from stoker.services.events.feed import EventFeed
from stoker.services.events.happening import emitted
from stoker.services.events.reading import fits, page_after, page_before
from stoker.services.unit import Unit
from stoker.wire.automations import EventPage

HEARTBEAT = 15.0
"""Seconds after which a stream without events says that it is alive."""

LAST = 2**63 - 1

Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
Cursor = Annotated[int | None, QueryParameter(ge=0, le=LAST)]
Patterns = Annotated[list[str] | None, QueryParameter(max_items=50)]
LastId = Annotated[str | None, HeaderParameter(name="Last-Event-ID")]


def wanted(
    event: list[str] | None,
    kind: str | None,
    resource: str | None,
    flow: str | None,
    deployment: str | None,
    pool: str | None,
    run: str | None,
    tag: list[str] | None,
) -> EventTrigger:
    """Return what a caller looks for; names and labels may have ``*``."""
    labels: dict[str, str | list[str] | None] = {
        "kind": kind,
        "resource": resource,
        "flow": flow,
        "deployment": deployment,
        "pool": pool,
        "run": run,
        "tags": tag,
    }
    match = {name: value for name, value in labels.items() if value}
    check_patterns("event", event or [])
    for name, value in match.items():
        check_patterns(name, [value] if isinstance(value, str) else value)
    return EventTrigger(expect=event or [], match=match)


class Events(Controller):
    """``/api/events``"""

    path = "/api/events"
    tags: Sequence[str] | None = ("Events",)

    @post("/", opt=scope("events:write"), summary="Emit an event")
    async def emit(self, context: NamedDependency[Context], data: JSONBody[EmitEvent]) -> Event:
        """Store what a user says that has happened; the answer has no ``id`` yet."""
        check_emitted(data)

        def work(unit: Unit) -> Event:
            return emitted(unit, data)

        return await context.dispatcher.transact(work)

    @get("/", opt=scope("events:read"), summary="List events")
    async def list_events(
        self,
        context: NamedDependency[Context],
        after: Cursor = None,
        before: Cursor = None,
        limit: Limit = 100,
        event: Patterns = None,
        kind: FromQuery[str | None] = None,
        resource: FromQuery[str | None] = None,
        flow: FromQuery[str | None] = None,
        deployment: FromQuery[str | None] = None,
        pool: FromQuery[str | None] = None,
        run: FromQuery[str | None] = None,
        tag: Patterns = None,
    ) -> EventPage:
        """Return one page: the newest events, or those ``before`` or ``after`` a known one."""
        if after is not None and before is not None:
            raise Invalid("after, before: only one of the two")
        which = wanted(event, kind, resource, flow, deployment, pool, run, tag)
        exact = resource if resource and not {"*", "!"} & set(resource) else None
        if after is not None:
            horizon = await context.dispatcher.read(lambda records: records.event_horizon())

            def forward(records: Records) -> EventPage:
                found = page_after(records, after, horizon, limit, which, exact)
                return EventPage(events=found.events, next=found.next)

            return await context.dispatcher.read(forward)

        def backward(records: Records) -> EventPage:
            end = LAST if before is None else before
            found = page_before(records, end, limit, which, exact)
            return EventPage(events=found.events, next=found.next)

        return await context.dispatcher.read(backward)

    @get(
        "/stream", opt=scope("events:read"), summary="Follow events", media_type="text/event-stream"
    )
    async def stream(
        self,
        context: NamedDependency[Context],
        after: Cursor = None,
        last_id: LastId = None,
        event: Patterns = None,
        kind: FromQuery[str | None] = None,
        resource: FromQuery[str | None] = None,
        flow: FromQuery[str | None] = None,
        deployment: FromQuery[str | None] = None,
        pool: FromQuery[str | None] = None,
        run: FromQuery[str | None] = None,
        tag: Patterns = None,
    ) -> Stream:
        """Send events as they come (server-sent events), from now on or after a known one.

        A message's ``id`` is the event's, ``event`` its name and ``data`` the event as JSON.
        A client that connects again with ``Last-Event-ID`` misses none. Where events after it
        have been pruned meanwhile, a message ``gap`` says so first.
        """
        if last_id:
            if not last_id.isdecimal() or int(last_id) > LAST:
                raise Invalid("Last-Event-ID: the id of an event, a whole number")
            after = int(last_id)
        which = wanted(event, kind, resource, flow, deployment, pool, run, tag)
        feed = context.feed
        now = await feed.now()
        messages = _messages(feed, now if after is None else after, which)
        return Stream(
            ending_slow_readers(messages),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )


async def _messages(feed: EventFeed, position: int, which: EventTrigger) -> AsyncGenerator[bytes]:
    # Only here: where the connection is gone before its first part is asked for, nothing of a
    # generator is executed, not its end either.
    try:
        await feed.follow()
    except Unavailable:
        return  # Others have taken the last places meanwhile.
    try:
        async for message in _followed(feed, position, which):
            yield message
    finally:
        feed.leave()


async def _followed(feed: EventFeed, position: int, which: EventTrigger) -> AsyncGenerator[bytes]:
    # The id at once: a client that loses its connection now knows where it began.
    yield b": stoker events\nid: %d\n\n" % position
    oldest = await feed.oldest()
    if oldest is not None and position and position < oldest - 1:
        yield b'event: gap\ndata: {"after":%d,"before":%d}\n\n' % (position, oldest)
    while not feed.closed:
        events = await feed.after(position, HEARTBEAT)
        parts = [_message(one) for one in events if fits(which, one)]
        if events:
            position = events[-1].id
        if not parts:
            # An id without data: what is filtered out is not looked at again after a new start.
            parts = [b": alive\n\n" if not events else b"id: %d\n\n" % position]
        yield b"".join(parts)


def _message(event: Event) -> bytes:
    data = msgspec.json.encode(event)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.event.encode(), data)
