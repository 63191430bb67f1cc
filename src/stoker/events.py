"""Events: what happened, for automations and whoever follows them. Prefect 3's names.

https://docs.prefect.io/v3/concepts/events
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stoker.domain.errors import Invalid
from stoker.domain.events import EmitEvent, Event, Resource, check_emitted
from stoker.domain.reports import Emitted
from stoker.engine.context import current_flow
from stoker.engine.options import labels
from stoker.engine.parameters import sendable

__all__ = ["Event", "Resource", "emit_event"]


def emit_event(
    event: str,
    resource: Mapping[str, str] | Resource | str,
    payload: Mapping[str, Any] | None = None,
    *,
    tags: Iterable[str] = (),
) -> None:
    """Say that something has happened.

    Within a flow it is reported with the run: it costs no round trip, is recorded once, in its
    order among the run's states and log lines, and carries the run's flow, deployment and tags.
    Elsewhere it is sent to the server at once.

    Args:
        event: What: letters, digits and ``. _ - : /``. Names that begin with a kind of Stoker's
            own, such as ``flow-run``, are Stoker's.
        resource: What it is about: ``id``, and maybe ``kind`` (``"custom"`` by default) and
            ``name``; or the id alone.
        payload: What else there is to say, as JSON can carry it; 64 KiB at the most.
        tags: Labels, besides the run's.

    Raises:
        Invalid: It is no event.
        ParameterError: The payload cannot be sent as JSON.
        Unavailable: Outside of a flow: no server can be reached.

    Example:
        ```python
        emit_event("file.arrived", {"kind": "file", "id": "s3://in/a.csv"}, {"bytes": 1234})
        ```
    """
    where = f"emit_event({event!r})"
    emitted = EmitEvent(
        event=event,
        resource=_resource(resource),
        payload=sendable(dict(payload or {}), where),
        tags=labels(tags, where),
    )
    check_emitted(emitted)
    flow = current_flow()
    if flow is not None and flow.id:
        flow.backend.report(flow.id, Emitted(event=emitted))
        return
    _post(emitted)


def _resource(given: Mapping[str, str] | Resource | str) -> Resource:
    if isinstance(given, Resource):
        return given
    if isinstance(given, str):
        return Resource("custom", given)
    # Prefect's labels are understood too.
    id = given.get("id") or given.get("prefect.resource.id")
    name = given.get("name") or given.get("prefect.resource.name") or ""
    if not id:
        raise Invalid("resource: its id, for example {'kind': 'file', 'id': 's3://in/a.csv'}")
    return Resource(given.get("kind", "custom"), id, name)


def _post(emitted: EmitEvent) -> None:
    from stoker.client.opening import open_api

    with open_api() as api:
        api.emit_event(emitted)
