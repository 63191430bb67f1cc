"""The conversation of a host's agent and a run's child, over a stream socket.

Each message is a `HEADER` (kind, length) and a msgpack body.
"""

import struct

import msgspec
from msgspec import Raw, Struct

from stoker.domain.reports import Report
from stoker.domain.requests import Request

HEADER = struct.Struct("<BI")
"""Kind (one of the ``KIND_`` constants) and length of the body in bytes."""

BODY_LIMIT = 128 * 1024 * 1024
"""Bytes of a body from a child at the most: reports are cut to half of that."""

KIND_JOB = 1
"""Agent → child: a `Job`."""
KIND_REPORT = 2
"""Child → agent: `ChildReport`. The agent passes the reports on unread."""
KIND_FINISHED = 3
"""Child → agent: `ChildReport` with the `Finished` of the job's own run, its last message."""
KIND_REQUEST = 4
"""Child → agent: `ChildRequest`."""
KIND_REPLY = 5
"""Agent → child: `Reply`."""
KIND_FLUSH = 6
"""Child → agent: a request id; answered with a `Reply` once all before it is safe."""
KIND_FORGET = 7
"""Child → agent: a request id; its answer is not waited for any more."""
KIND_BORN = 8
"""Child → agent: it has imported the code for itself and waits; else the text of what was wrong."""
KIND_LOG = 9
"""Child → agent: `ChildReport` with log lines alone. The agent counts them, unread."""


LINE_COST = 20
"""Bytes that a log line counts besides its text."""
LOG_FRAME = 80
"""Bytes of a `ChildReport` with one log line that are neither its text nor its cost, about."""


def log_cost(size: int) -> int:
    """Return what a report of log lines counts, from its bytes: about its text."""
    return max(size - LOG_FRAME, LINE_COST)


class ChildReport(Struct, array_like=True):
    """Reports of a child about its own run, or one that it runs in its process."""

    run_id: str
    reports: list[Report]


class OpaqueReport(Struct, array_like=True):
    """A `ChildReport` as the agent reads it."""

    run_id: str
    reports: Raw


class ChildRequest(Struct, array_like=True):
    """A request of a child."""

    id: int
    body: Request


encode = msgspec.msgpack.Encoder().encode
"""Encode any message of this module."""
