"""Whether the server of a home answers."""

from contextlib import suppress
from pathlib import Path

from stoker.client.discovery import live_server
from stoker.client.http import Api
from stoker.domain.errors import Unavailable

PATIENCE = 5.0
"""Seconds that a server has to answer."""


def healthy_server(home: Path, api_key: str | None, pid: int | None = None) -> str | None:
    """Return the address of a server that runs on a home, if it answers; else None."""
    url = live_server(home, pid)
    if url is not None:
        with suppress(Unavailable), Api(url, api_key, timeout=PATIENCE) as api:
            api.health()
            return url
    return None
