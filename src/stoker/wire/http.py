"""Bodies of the HTTP API that are not records of the domain themselves."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from stoker.domain.concurrency import Limit, LimitKind, SlotLease
from stoker.domain.hosts import Host, HostZygote
from stoker.domain.pools import WarmKnobs, Worker, WorkPool, WorkQueue
from stoker.domain.reports import Frame
from stoker.domain.requests import AcquireSlots, StartRun
from stoker.domain.runs import FlowRun


class Health(Struct, kw_only=True):
    """Answer of ``GET /api/health``."""

    version: str
    home: str
    database: str


class Readiness(Struct, kw_only=True):
    """Answer of ``GET /api/ready``: 200 where it is ready, else 503 with the reasons."""

    ready: bool
    problems: list[str]


class Problem(Struct, kw_only=True):
    """Body of every answer with an error status.

    Attributes:
        error: Class of the `StokerError`, for example ``"NotFound"``.
        detail: What is wrong and what to do.
    """

    error: str
    detail: str


class StartRuns(Struct, kw_only=True):
    """Body of ``POST /api/flow-runs/batch``: accepted together, or none."""

    runs: list[StartRun]


class RunIds(Struct, kw_only=True):
    """Its answer: the ids, in the order of the request."""

    ids: list[str]


class PoolCreate(Struct, kw_only=True):
    """Body of ``POST /api/work-pools``. The template is the type's default one where empty."""

    name: str
    type: str = "process"
    base_job_template: dict[str, Any] = field(default_factory=dict[str, Any])
    concurrency_limit: int | None = None
    warm: WarmKnobs = WarmKnobs()
    fence_after: float = 600.0


class KnobChanges(Struct, kw_only=True):
    """Some of the `WarmKnobs`: what is left out stays as it is."""

    min: int | UnsetType = UNSET
    max: int | UnsetType = UNSET
    buffer: int | UnsetType = UNSET
    slots_per_host: int | UnsetType = UNSET
    idle_timeout: float | UnsetType = UNSET
    max_runs: int | UnsetType | None = UNSET
    max_age: float | UnsetType | None = UNSET
    max_memory_growth: float | UnsetType | None = UNSET


class PoolUpdate(Struct, kw_only=True):
    """Body of ``PATCH /api/work-pools/{name}``: what is left out stays as it is."""

    paused: bool | UnsetType = UNSET
    base_job_template: dict[str, Any] | UnsetType = UNSET
    concurrency_limit: int | UnsetType | None = UNSET
    warm: KnobChanges | UnsetType = UNSET
    fence_after: float | UnsetType = UNSET


class QueuePut(Struct, kw_only=True):
    """Body of ``PUT /api/work-pools/{pool}/queues/{name}``."""

    priority: int = 100
    paused: bool = False
    concurrency_limit: int | None = None


class UnsafeCode(Struct, kw_only=True):
    """A code that is not safe to fork: its children are spawned ahead, and import it each.

    Attributes:
        deployments: Full names of those that use it.
        file: The file of the flows, relative to its project folder.
        faults: What no forked process could use, and the modules to blame.
    """

    deployments: list[str]
    file: str
    faults: list[str]


class PoolDetail(Struct, kw_only=True):
    """Answer of ``GET /api/work-pools/{name}``: the pool and what it is doing.

    ``unsafe`` lists the codes, as far as they are warm somewhere, whose children are spawned.
    """

    pool: WorkPool
    queues: list[WorkQueue]
    workers: list[Worker]
    hosts: list[Host]
    running: int
    queued: int
    zygotes: list[HostZygote] = field(default_factory=list[HostZygote])
    unsafe: list[UnsafeCode] = field(default_factory=list[UnsafeCode])


class ReportFrames(Struct, kw_only=True):
    """Body of ``POST /api/reports``: what a script's own runs have to report."""

    frames: list[Frame]


class ScriptHello(Struct, kw_only=True):
    """Body of ``POST /api/scripts``: a process that runs flows itself; see `ProcessIdentity`."""

    host_id: str
    pid: int
    started: int
    machine_name: str
    boot_id: str
    pid_namespace: str = ""


class RunPage(Struct, kw_only=True):
    """Answer of ``GET /api/flow-runs``; ``next`` is the ``before`` of the next page."""

    runs: list[FlowRun]
    next: str | None


class LimitCreate(Struct, kw_only=True):
    """Body of ``POST /api/concurrency-limits``; see `Limit`."""

    kind: LimitKind
    name: str
    slots: int
    decay: float = 0.0
    active: bool = True


class LimitUpdate(Struct, kw_only=True):
    """Body of ``PATCH /api/concurrency-limits/{kind}/{name}``: what is left out stays as it is."""

    slots: int | UnsetType = UNSET
    decay: float | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class LimitDetail(Struct, kw_only=True):
    """A limit and its use.

    Attributes:
        limit: The limit.
        in_use: Slots that are out; with fractions while they decay.
        holders: Who has slots.
        waiting: Who waits for some, the next one first.
    """

    limit: Limit
    in_use: float
    holders: list[SlotLease]
    waiting: list[SlotLease]


class ScriptSlots(Struct, kw_only=True):
    """Body of ``POST /api/slots``: a script asks for slots.

    Attributes:
        host_id: The script; see `ScriptHello`.
        request: What for.
        hold: Seconds for which the server may hold the answer.
    """

    host_id: str
    request: AcquireSlots
    hold: float = 0.0
