"""The conversation of a worker and the API: one msgpack message per WebSocket message."""

import msgspec
from msgspec import Struct, field

from stoker.domain.hosts import HostOrder, ProcessIdentity
from stoker.domain.pools import Machine
from stoker.domain.reports import Frame
from stoker.wire.host import OpaqueFrame
from stoker.wire.versions import WIRE_VERSION, tags_of

# From the worker.


class WorkerHello(Struct, tag="hello", kw_only=True):
    """First message of a worker on a connection.

    ``launched`` are the hosts that it launched itself and that live. It speaks the wire versions
    from ``wire_oldest`` (0: no other) to ``wire_version``.
    """

    worker_id: str
    name: str
    pool: str
    queues: list[str]
    limit: int | None
    machine: Machine
    process: ProcessIdentity
    launched: list[str] = field(default_factory=list[str])
    wire_version: int = WIRE_VERSION
    wire_oldest: int = 0


class WorkerHeartbeat(Struct, tag="heartbeat", kw_only=True):
    """The worker is alive."""


class HostLaunched(Struct, tag="launched", kw_only=True):
    """A host's process exists; ``token_hash`` is the SHA-256 of the token that it will show."""

    host_id: str
    process: ProcessIdentity
    token_hash: str


class HostLost(Struct, tag="lost", kw_only=True):
    """Proof of death: the host's process does not exist (any more)."""

    host_id: str
    reason: str


class SpooledFrames(Struct, tag="spooled", kw_only=True):
    """What a host that is dead had on disk; sent before `HostLost`."""

    host_id: str
    frames: list[Frame]


class OpaqueSpooledFrames(Struct, tag="spooled", kw_only=True):
    """`SpooledFrames` as the worker writes it: it does not read the reports."""

    host_id: str
    frames: list[OpaqueFrame]


class WorkerDraining(Struct, tag="draining", kw_only=True):
    """The worker leaves: order nothing of it any more, and drain its hosts."""


FromWorker = (
    WorkerHello | WorkerHeartbeat | HostLaunched | HostLost | SpooledFrames | WorkerDraining
)


# To the worker.


class WorkerWelcome(Struct, tag="welcome", kw_only=True):
    """The worker is known. ``heartbeat`` and ``fence_after`` are in seconds.

    ``wire_version`` is the one that is spoken from here on.
    """

    heartbeat: float
    fence_after: float
    pool_type: str
    wire_version: int = 1


class WorkerRefused(Struct, tag="refused", kw_only=True):
    """The worker is not wanted: no such pool, another version."""

    reason: str


class Orders(Struct, tag="orders", kw_only=True):
    """All hosts of this worker that should exist, complete each time; sent when they change.

    One without a process is to be launched, once; one with a process that the worker does not
    watch is to be adopted.
    """

    hosts: list[HostOrder]


class EndHost(Struct, tag="end_host", kw_only=True):
    """This host must be ended at once, whoever launched it; `HostLost` tells the reason."""

    host_id: str
    reason: str


ToWorker = WorkerWelcome | WorkerRefused | Orders | EndHost

FROM_WORKER, TO_WORKER = tags_of(FromWorker), tags_of(ToWorker)
"""Tags of the messages that this version knows."""

encode = msgspec.msgpack.Encoder().encode
"""Encode any message of this module."""
