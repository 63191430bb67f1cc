"""A client of the server that is set, or that runs on this home."""

from stoker.client.discovery import live_server
from stoker.client.http import Api
from stoker.domain.errors import Unavailable
from stoker.settings import load


def open_api() -> Api:
    """Return a client of the server.

    Raises:
        Unavailable: There is none.
    """
    settings = load()
    url = settings.api_url or live_server(settings.home)
    if url is None:
        raise Unavailable(
            f"no server runs on {settings.home}; start one with `stoker up`, or set STOKER_API_URL "
            "to one that runs elsewhere"
        )
    return Api(url, settings.api_key, settings.request_timeout)
