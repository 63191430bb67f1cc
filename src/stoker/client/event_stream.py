"""Following events as the server sends them; a broken connection is made again."""

import time
from collections.abc import Generator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlencode, urlsplit

import msgspec

from stoker.client.calls.events import Filters
from stoker.domain.errors import Invalid, StokerError, Unavailable
from stoker.domain.events import Event
from stoker.wire.http import Problem

SILENCE = 45.0
"""Seconds without a sign of the server after which its connection is given up."""

PATIENCE = 60.0
"""Seconds for which the server may be away."""

_event = msgspec.json.Decoder(Event).decode


def follow(
    url: str, key: str | None, *, after: int | None = None, filters: Filters = ()
) -> Generator[Event]:
    """Yield events as they come, for ever; none is left out where a connection breaks.

    Args:
        url: The server, or several of them with commas.
        key: Its API key.
        after: The event after which to begin; from now on where it is None.
        filters: See `EventCalls.events`.

    Raises:
        Unavailable: The server has been away too long.
        StokerError: The server refuses.
    """
    addresses = [one.strip() for one in url.split(",")]
    position, away = after, time.monotonic()
    number = 0
    while True:
        address = addresses[number % len(addresses)]
        try:
            for id, event in _stream(address, key, position, filters):
                position, away = id, time.monotonic()
                if event is not None:
                    yield event
        except (OSError, HTTPException) as error:
            if time.monotonic() - away > PATIENCE:
                raise Unavailable(f"the server at {address} cannot be reached: {error}") from None
        number += 1
        time.sleep(0.2)


def _stream(
    url: str, key: str | None, after: int | None, filters: Filters
) -> Generator[tuple[int, Event | None]]:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=SILENCE)
    headers = {"Accept": "text/event-stream"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    try:
        path = f"{parts.path.rstrip('/')}/api/events/stream?{urlencode(filters)}"
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            raise _refusal(response)
        yield from _messages(response)
    finally:
        connection.close()


def _messages(response: HTTPResponse) -> Generator[tuple[int, Event | None]]:
    id, name, data = 0, b"", b""
    while line := response.readline():
        field, _, value = line.strip().partition(b": ")
        if field == b"id":
            id = int(value)
        elif field == b"event":
            name = value
        elif field == b"data":
            data = value
        elif not line.strip() and id:
            yield id, _event(data) if data and name != b"gap" else None
            name = data = b""


def _refusal(response: HTTPResponse) -> StokerError:
    try:
        detail = msgspec.json.decode(response.read(65_536), type=Problem).detail
    except msgspec.MsgspecError:
        detail = f"the server answered with status {response.status}"
    return Unavailable(detail) if response.status >= 500 else Invalid(detail)
