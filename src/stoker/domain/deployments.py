"""Deployments, and the code that a zygote imports for them."""

import hashlib
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from stoker.domain.environment import Environment
from stoker.domain.limits import RunLimits
from stoker.domain.schedules import Schedule

ISOLATIONS = ("fork", "host")
"""What a run can have for itself: a process, or a host."""


class CollisionStrategy(StrEnum):
    """What becomes of a new run whose deployment runs as many as it may.

    ``ENQUEUE``: it waits. ``CANCEL_NEW``: it ends ``Cancelled`` at once.
    """

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"


class Code(Struct, frozen=True, kw_only=True):
    """What one zygote imports. Deployments with equal code share zygotes.

    Attributes:
        path: The project folder on the host; first on ``sys.path`` and the working directory.
        file: The file of the flows, relative to ``path``.
        env: The import environment: what template and deployment set, and of a run's own what
            acts at the start of a process or at imports; None where a variable is not set.
        python: The interpreter; empty for the host's own.
        working_dir: The working directory; empty for ``path``.
        own_user: Whether each run has a user id of its own where the host runs as root.
    """

    path: str
    file: str
    env: Environment = field(default_factory=dict[str, str | None])
    python: str = ""
    working_dir: str = ""
    own_user: bool = True

    @property
    def key(self) -> str:
        """Content hash: the zygote key."""
        text = msgspec.json.encode(self, order="deterministic")
        return hashlib.sha256(text).hexdigest()[:16]


class Parameter(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One parameter of a deployed flow, as its signature says.

    Attributes:
        name: Its name.
        required: Whether it has no default.
        type: Its type hint as text.
    """

    name: str
    required: bool = False
    type: str = ""


class ConcurrencyLimitConfig(Struct, frozen=True):
    """How many runs of a deployment there may be at a time, and what becomes of others.

    Attributes:
        limit: Runs at a time, 0 or more.
        collision_strategy: ``"ENQUEUE"``: a run beyond it waits; ``"CANCEL_NEW"``: it is cancelled.

    Example:
        >>> ConcurrencyLimitConfig(2, CollisionStrategy.CANCEL_NEW).limit
        2
    """

    limit: int
    collision_strategy: CollisionStrategy | str = CollisionStrategy.ENQUEUE


class Deployment(Struct, kw_only=True):
    """A flow that can be started by name on a work pool.

    Attributes:
        id: UUIDv7.
        name: Its own name; with the flow's it makes ``"flow/name"``.
        flow_name: The flow's name.
        entrypoint: ``"file.py:function"``, the file relative to ``path``.
        path: The project folder.
        pool: Name of the work pool.
        queue: Name of the work queue.
        parameters: Defaults that the deployment sets.
        signature: The flow's parameters; None where it takes any (``**kwargs``).
        job_variables: What it sets of the pool's base job template.
        tags: Labels that its runs carry.
        description: What it is for.
        timeout: Seconds that a run may take, its retries included; from the flow.
        isolation: ``"fork"``: a process of its own on a shared host; ``"host"``: a host of its
            own, launched ahead, used once.
        concurrency_limit: Runs at a time; None for no limit. A run that only waits for its
            deployed children lends its place to those of the same deployment.
        collision_strategy: What becomes of a new run where the limit is full.
        crash_retries: How often a run is queued again whose process died, or its host.
        crash_retry_delay: Seconds until it may begin again.
        created: Seconds since the epoch.
        updated: Seconds since the epoch.
        code: What a zygote imports for it; the server fills it in.
        limits: What a run may use; the server fills it in.
        lane: Key of the hosts that can run it; the server fills it in.
        schedules: When it starts runs by itself, where it is sent: these, and no others; None
            leaves those that it has as they are.
    """

    id: str
    name: str
    flow_name: str
    entrypoint: str
    path: str
    pool: str
    queue: str = "default"
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    signature: list[Parameter] | None = None
    job_variables: dict[str, Any] = field(default_factory=dict[str, Any])
    tags: list[str] = field(default_factory=list[str])
    description: str = ""
    timeout: float | None = None
    isolation: str = "fork"
    concurrency_limit: int | None = None
    collision_strategy: CollisionStrategy = CollisionStrategy.ENQUEUE
    created: float = 0.0
    updated: float = 0.0
    code: Code | None = None
    limits: RunLimits = field(default_factory=RunLimits)
    lane: str = ""
    schedules: list[Schedule] | None = None
    crash_retries: int = 0
    crash_retry_delay: float = 0.0

    @property
    def function(self) -> str:
        """Name of the flow's function in its file."""
        return self.entrypoint.rpartition(":")[2]

    @property
    def full_name(self) -> str:
        """``"flow/name"``, as ``run_deployment`` takes it."""
        return f"{self.flow_name}/{self.name}"


def parameter_problems(
    signature: list[Parameter] | None, given: dict[str, Any], name: str
) -> str | None:
    """Say what is wrong with the names of the parameters given, or return None.

    Types are checked in the run, where the user's classes are.

    Example:
        >>> parameter_problems([Parameter(name="x", required=True)], {"y": 1}, "f/d")
        "f/d has no parameter 'y' and needs 'x'; it takes: x"
    """
    if signature is None:
        return None
    known = {parameter.name for parameter in signature}
    unknown = sorted(given.keys() - known)
    missing = [p.name for p in signature if p.required and p.name not in given]
    if not unknown and not missing:
        return None
    parts: list[str] = []
    if unknown:
        parts.append("has no parameter " + ", ".join(map(repr, unknown)))
    if missing:
        parts.append("needs " + ", ".join(map(repr, missing)))
    takes = ", ".join(parameter.name for parameter in signature) or "none"
    return f"{name} {' and '.join(parts)}; it takes: {takes}"
