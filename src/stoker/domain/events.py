"""Events: what has happened, each written in the transaction that made it happen."""

import re
from typing import Any

import msgspec
from msgspec import Struct, field

from stoker.domain.errors import Invalid

OWN_KINDS = frozenset(
    {
        "flow-run",
        "work-pool",
        "work-queue",
        "host",
        "worker",
        "deployment",
        "schedule",
        "automation",
    }
)
"""Kinds of resources whose events Stoker alone writes; an event's name begins with its kind."""

NAME = re.compile(r"[\w][\w.:/-]{0,199}")
MAX_PAYLOAD = 65_536
"""Bytes of a payload as JSON, at the most."""
MAX_TEXT = 1_000
"""Characters of a resource's id or name, or of a tag, at the most."""


class Resource(Struct, frozen=True, omit_defaults=True):
    """What an event is about.

    Attributes:
        kind: For example ``"flow-run"``, ``"work-pool"``; a user's own for custom events.
        id: Its id, or its name where that is what it is known by.
        name: A readable name.
    """

    kind: str
    id: str
    name: str = ""


class Event(Struct, kw_only=True, omit_defaults=True):
    """Something that happened.

    Attributes:
        event: What: ``"flow-run.Completed"``, ``"work-pool.paused"``, or a user's own name.
        at: When it was recorded, seconds since the epoch.
        resource: What it is about.
        id: Its place in the table: grows, with gaps; the cursor of readers. 0 before it is stored.
        flow: Name of the flow that it concerns.
        deployment: ``"flow/name"`` of the deployment that it concerns.
        pool: The work pool that it concerns.
        queue: The work queue that it concerns.
        run_id: The flow run that it concerns, or that emitted it.
        tags: Labels of that run or deployment.
        payload: Whatever else there is to say, as JSON values.
        depth: How many automations lie between it and what people or schedules did.
    """

    event: str
    at: float
    resource: Resource
    id: int = 0
    flow: str | None = None
    deployment: str | None = None
    pool: str | None = None
    queue: str | None = None
    run_id: str | None = None
    tags: list[str] = field(default_factory=list[str])
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    depth: int = 0


class EmitEvent(Struct, tag="emit_event", kw_only=True, omit_defaults=True):
    """What a user says that has happened; see `Event`."""

    event: str
    resource: Resource
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    tags: list[str] = field(default_factory=list[str])


def check_emitted(emitted: EmitEvent) -> None:
    """Refuse an event that is none, or that only Stoker itself may write.

    Raises:
        Invalid: Names the field and what is allowed.

    Example:
        >>> check_emitted(EmitEvent(event="file.arrived", resource=Resource("file", "a.csv")))
    """
    if NAME.fullmatch(emitted.event) is None:
        raise Invalid(
            f"event: {emitted.event[:80]!r} is no event's name; one is letters, digits and . _ - : "
            "/, 200 at the most, for example 'file.arrived'"
        )
    for place, text in (("event", emitted.event), ("resource.kind", emitted.resource.kind)):
        if text.partition(".")[0] in OWN_KINDS:
            raise Invalid(
                f"{place}: what begins with {text.partition('.')[0]!r} is written by Stoker alone; "
                "take a name of your own"
            )
    texts = {
        "resource.kind": emitted.resource.kind,
        "resource.id": emitted.resource.id,
        **{f"tags[{index}]": tag for index, tag in enumerate(emitted.tags)},
    }
    for place, text in texts.items():
        if not text or len(text) > MAX_TEXT or "\x00" in text:
            raise Invalid(f"{place}: 1 to {MAX_TEXT} characters, without NUL")
    if len(emitted.resource.name) > MAX_TEXT or "\x00" in emitted.resource.name:
        raise Invalid(f"resource.name: {MAX_TEXT} characters at the most, without NUL")
    if len(emitted.tags) > 100:
        raise Invalid("tags: 100 at the most")
    size = len(msgspec.json.encode(emitted.payload))
    if size > MAX_PAYLOAD:
        raise Invalid(f"payload: {MAX_PAYLOAD} bytes of JSON at the most, not {size}")
