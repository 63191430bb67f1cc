"""The conversation of a host and the API: one msgpack message per WebSocket message."""

import msgspec
from msgspec import Raw, Struct

from stoker.domain.deployments import Code
from stoker.domain.hosts import ProcessIdentity
from stoker.domain.jobs import Job
from stoker.domain.pools import HostTerms
from stoker.domain.reports import Frame
from stoker.domain.requests import Request
from stoker.wire.versions import WIRE_VERSION, tags_of

# From the host.


class HostHello(Struct, tag="hello", kw_only=True):
    """First message of a host on a connection. ``version`` is its Stoker's.

    It speaks the wire versions from ``wire_oldest`` (0: no other) to ``wire_version``.
    """

    host_id: str
    token: str
    process: ProcessIdentity
    slots: int
    wire_version: int = WIRE_VERSION
    wire_oldest: int = 0
    version: str = ""


class Holding(Struct, tag="holding", kw_only=True):
    """All attempts that the host holds. Sent once, after what was spooled has been sent again.

    The server answers by ending, at the host, what is not current any more, and by queueing
    again what it had assigned and the host never received.
    """

    runs: list[tuple[str, int]]


class AssignAck(Struct, tag="assign_ack", kw_only=True):
    """The host has these attempts."""

    runs: list[tuple[str, int]]


class Frames(Struct, tag="frames", kw_only=True):
    """Reports, oldest first. ``batch`` grows by one per message of this connection."""

    batch: int
    frames: list[Frame]


class HostHeartbeat(Struct, tag="heartbeat", kw_only=True):
    """The host is alive. Renews its lease and those of its runs."""

    at: float


class HostRequest(Struct, tag="request", kw_only=True):
    """A child's request, passed on under the rights of its run."""

    id: int
    run_id: str
    attempt: int
    body: Request


class ForgetRequest(Struct, tag="forget_request", kw_only=True):
    """Nobody waits any more for the answer to the `HostRequest` of this id."""

    id: int


class ZygoteChanged(Struct, tag="zygote", kw_only=True, omit_defaults=True):
    """A zygote is ready, gone, or could not import.

    ``state``: ``"ready"``, ``"gone"`` or ``"failed"``; ``message`` says why it failed. Where there
    are ``faults`` its code is not safe to fork, and each child imports it for itself.
    """

    key: str
    state: str
    import_seconds: float = 0.0
    message: str = ""
    faults: list[str] = []


class TermsTaken(Struct, tag="terms_taken", kw_only=True):
    """The host goes by the terms that it was told last; this is their ``fence_after``."""

    fence_after: float


class HostWorn(Struct, tag="worn", kw_only=True):
    """The host is to be replaced, and takes runs until it is."""

    reason: str


class HostDraining(Struct, tag="draining", kw_only=True):
    """The host takes no new run (it got SIGTERM). ``released`` never reached a child."""

    released: list[tuple[str, int]]


class Released(Struct, tag="released", kw_only=True):
    """Attempts that the host hands back before they reached a child: queue them again."""

    runs: list[tuple[str, int]]


FromHost = (
    HostHello
    | Holding
    | AssignAck
    | Frames
    | HostHeartbeat
    | HostRequest
    | ForgetRequest
    | ZygoteChanged
    | TermsTaken
    | HostWorn
    | HostDraining
    | Released
)


# To the host.


class HostWelcome(Struct, tag="welcome", kw_only=True):
    """The host is known. ``warm`` are the codes whose zygotes it should hold, most wanted first.

    ``heartbeat`` is in seconds. ``wire_version`` is the one that is spoken from here on.
    """

    heartbeat: float
    terms: HostTerms
    warm: list[Code]
    wire_version: int = 1


class HostRefused(Struct, tag="refused", kw_only=True):
    """The host is not wanted: not ordered, or given up already.

    Where ``final``, it must end its runs and leave; otherwise it may try again soon. Where
    ``drain``, the two cannot talk: it is to leave after its last run, whose reports its worker
    brings.
    """

    reason: str
    final: bool
    drain: bool = False


class Assign(Struct, tag="assign", kw_only=True):
    """Attempts for this host. Idempotent by run and attempt."""

    jobs: list[Job]


class FramesAck(Struct, tag="frames_ack", kw_only=True):
    """Everything up to this batch is in the store for good."""

    batch: int


class HeartbeatAck(Struct, tag="heartbeat_ack", kw_only=True):
    """The lease was renewed; ``at`` is the heartbeat's own."""

    at: float


class Reply(Struct, tag="reply", kw_only=True, omit_defaults=True):
    """Answer to a request: ``body`` is the `Answer`, or ``error`` the error's class and text."""

    id: int
    body: Raw = Raw(b"\xc0")
    error: tuple[str, str] | None = None


class CancelRun(Struct, tag="cancel", kw_only=True):
    """End this attempt: SIGTERM, and SIGKILL after the grace time; at once where ``now``.

    Where ``suspend``, it ends to be begun again later, and gets the `SUSPEND_SIGNAL` in place of
    SIGTERM; where there is a ``failure``, it failed for that reason.
    """

    run_id: str
    attempt: int
    now: bool = False
    suspend: bool = False
    failure: str = ""


class StopRun(Struct, tag="stop", kw_only=True):
    """Let this attempt's processes stand still (SIGSTOP), or go on again where not ``stop``."""

    run_id: str
    attempt: int
    stop: bool


class Warm(Struct, tag="warm", kw_only=True):
    """Codes whose zygotes the host should hold, most wanted first."""

    codes: list[Code]


class NewTerms(Struct, tag="terms", kw_only=True):
    """Its pool was changed: go by these terms from now on."""

    terms: HostTerms


class Drain(Struct, tag="drain", kw_only=True):
    """Take no new run, and leave when the last one has ended."""


ToHost = (
    HostWelcome
    | HostRefused
    | Assign
    | FramesAck
    | HeartbeatAck
    | Reply
    | CancelRun
    | StopRun
    | Warm
    | NewTerms
    | Drain
)


class OpaqueFrame(Struct, array_like=True, frozen=True):
    """A `Frame` as the agent writes it: it does not read the reports."""

    run_id: str
    attempt: int
    seq: int
    reports: Raw


class OpaqueFrames(Struct, tag="frames", kw_only=True):
    """`Frames` as the agent writes it."""

    batch: int
    frames: list[OpaqueFrame]


FROM_HOST, TO_HOST = tags_of(FromHost), tags_of(ToHost)
"""Tags of the messages that this version knows."""

encode = msgspec.msgpack.Encoder().encode
"""Encode any message of this module."""
