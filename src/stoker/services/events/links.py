"""Links that messages carry: where a person sees more of an event."""

from collections.abc import Callable
from urllib.parse import quote

from stoker.domain.events import Event

PLACES = {"flow-run": "flow-runs", "work-pool": "work-pools", "deployment": "deployments"}


def linking(ui: str | None, server: str) -> Callable[[Event], str]:
    """Return what makes the link of an event: into the dashboard, or else into the API.

    Args:
        ui: The dashboard's address.
        server: The server's own.

    Example:
        >>> from stoker.domain.events import Resource
        >>> event = Event(event="x", at=0, resource=Resource("file", "a"), run_id="r1")
        >>> linking("https://stoker.example.org/", "http://127.0.0.1:4200")(event)
        'https://stoker.example.org/flow-runs/r1'
    """
    base = ui.rstrip("/") if ui else f"{server.rstrip('/')}/api"

    def link(event: Event) -> str:
        if event.run_id is not None:
            return f"{base}/flow-runs/{quote(event.run_id)}"
        place = PLACES.get(event.resource.kind)
        if place is not None:
            return f"{base}/{place}/{quote(event.resource.id)}"
        return f"{base}/events?after={max(0, event.id - 1)}&limit=1"

    return link
