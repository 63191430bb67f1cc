"""Hosts: the long-lived processes that have slots."""

from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from stoker.domain.pools import ProcessIdentity

ZYGOTES = 16
"""Codes that a host keeps imported at the most."""


class HostState(StrEnum):
    """Life of a host.

    ``REQUESTED``: a worker was asked to launch it. ``LAUNCHED``: its process exists.
    ``UP``: it registered. ``DRAINING``: it takes no new run. ``UNREACHABLE``: its lease
    lapsed; its runs stay as they are. ``DEAD``: proved dead, or fenced.
    """

    REQUESTED = "requested"
    LAUNCHED = "launched"
    UP = "up"
    DRAINING = "draining"
    UNREACHABLE = "unreachable"
    DEAD = "dead"


class Host(Struct, kw_only=True):
    """A host, as it is stored and shown.

    Attributes:
        id: UUIDv7.
        pool: Its work pool; empty for a script that runs its flows itself.
        lane: Which hosts it is interchangeable with.
        worker_id: The worker that launched it, or adopted it.
        queues: Queues it serves; empty for all.
        state: Where in its life it is.
        slots: Runs it takes at a time.
        once: Whether it takes one run in its life; it drains from the moment it has it.
        process: Its process, once known.
        token_hash: SHA-256 of the join token that it must show.
        requested: When a worker was asked for it, seconds since the epoch.
        launched: When its process had been started.
        registered: When it registered first.
        lease_until: Until when its last heartbeat holds.
        idle_since: Since when it has no run.
        ended: When it was found dead.
        message: Why it is in its state, for people.
        worn: Why it is to be replaced; empty where it is not.
        replaces: The worn host that it was ordered to replace.
        fence_after: Seconds of silence after which it ends its runs, as it was told last.
        infrastructure: The resolved job configuration of its lane.
        connection: Its last connection to a server: runs are claimed for it on that one alone.
    """

    id: str
    pool: str
    lane: str
    worker_id: str | None = None
    queues: list[str] = field(default_factory=list[str])
    state: HostState = HostState.REQUESTED
    slots: int = 1
    once: bool = False
    process: ProcessIdentity | None = None
    token_hash: str = ""
    requested: float = 0.0
    launched: float | None = None
    registered: float | None = None
    lease_until: float = 0.0
    idle_since: float | None = None
    ended: float | None = None
    message: str = ""
    worn: str = ""
    replaces: str | None = None
    fence_after: float = 0.0
    infrastructure: dict[str, Any] = field(default_factory=dict[str, Any])
    connection: str = ""

    @property
    def is_present(self) -> bool:
        """Whether it has slots for new runs, or soon will."""
        return self.state in (HostState.REQUESTED, HostState.LAUNCHED, HostState.UP)

    def serves(self, queue: str) -> bool:
        """Whether it takes runs of a queue."""
        return not self.queues or queue in self.queues


class HostOrder(Struct, kw_only=True):
    """A host that should exist.

    Attributes:
        host_id: Its id.
        process: Its process, where it was launched already.
        slots: Runs it takes at a time.
        once: Whether it takes one run in its life.
        infrastructure: The resolved job configuration of its lane.
    """

    host_id: str
    process: ProcessIdentity | None
    slots: int
    once: bool = False
    infrastructure: dict[str, Any] = field(default_factory=dict[str, Any])


class HostZygote(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A code that a connected host has imported, or could not import.

    Attributes:
        host_id: The host.
        key: The code's; see `Code.key`.
        ready: Whether runs of it start hot there.
        import_seconds: What the import took.
        message: Why it failed, where it is not ready.
        faults: What of it no forked process could use; with some, each child imports it for
            itself.
    """

    host_id: str
    key: str
    ready: bool = True
    import_seconds: float = 0.0
    message: str = ""
    faults: list[str] = field(default_factory=list[str])
