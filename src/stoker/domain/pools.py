"""Work pools, their queues, the workers that serve them, and which process one is."""

from enum import StrEnum
from typing import Any

from msgspec import Struct, field


class WarmKnobs(Struct, kw_only=True, frozen=True, omit_defaults=False):
    """What a user says about how warm a pool's lanes are kept.

    Attributes:
        min: Hosts that are always kept.
        max: Hosts at the most, over all workers of the pool.
        buffer: Free slots kept ready beyond the present demand, while there is demand.
        slots_per_host: Runs that one host takes at a time.
        idle_timeout: Seconds after which a host above the wanted number leaves; with 0 it
            leaves as soon as its last run ends and takes no other.
        max_runs: Runs after which a host is replaced; None for any number.
        max_age: Seconds after which a host is replaced; None for any time.
        max_memory_growth: MB (10⁶ bytes) that the host's own processes, not its runs, may grow
            by since they were warm, before it is replaced; None for any growth.
    """

    min: int = 0
    max: int = 4
    buffer: int = 0
    slots_per_host: int = 8
    idle_timeout: float = 300.0
    max_runs: int | None = None
    max_age: float | None = None
    max_memory_growth: float | None = 256.0


class HostTerms(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a host goes by of its pool's settings.

    Attributes:
        fence_after: Seconds without an acknowledged heartbeat after which it ends its runs.
        max_runs: See `WarmKnobs`, and so the others.
        max_age: Seconds.
        max_memory_growth: MB.
    """

    fence_after: float
    max_runs: int | None = None
    max_age: float | None = None
    max_memory_growth: float | None = None


class PoolStatus(StrEnum):
    """Whether anybody serves a work pool."""

    NOT_READY = "not-ready"
    READY = "ready"
    UNHEALTHY = "unhealthy"


class WorkPool(Struct, kw_only=True):
    """Where runs execute: a kind of infrastructure, its defaults, its limits.

    Attributes:
        id: UUIDv7.
        name: Its name.
        type: ``"process"``.
        base_job_template: ``variables`` (JSON Schema) and ``job_configuration``.
        paused: A paused pool starts no run.
        concurrency_limit: Runs at a time; None for no limit. A run that only waits for its
            deployed children does not count.
        warm: The knobs of its warm policy.
        fence_after: Seconds without an acknowledged heartbeat after which a host's runs are
            given up, where nobody can prove it dead.
        created: Seconds since the epoch.
        status: Whether a worker serves it; ``"unhealthy"`` where none does any more.
    """

    id: str
    name: str
    type: str = "process"
    base_job_template: dict[str, Any] = field(default_factory=dict[str, Any])
    paused: bool = False
    concurrency_limit: int | None = None
    warm: WarmKnobs = WarmKnobs()
    fence_after: float = 600.0
    created: float = 0.0
    status: PoolStatus = PoolStatus.NOT_READY

    @property
    def terms(self) -> HostTerms:
        """What its hosts go by."""
        return HostTerms(
            fence_after=self.fence_after,
            max_runs=self.warm.max_runs,
            max_age=self.warm.max_age,
            max_memory_growth=self.warm.max_memory_growth,
        )


class WorkQueue(Struct, kw_only=True):
    """A queue of a work pool.

    Attributes:
        pool: The pool's name.
        name: Its own name; ``"default"`` exists in every pool.
        priority: 1 is first.
        paused: A paused queue starts no run.
        concurrency_limit: Runs at a time; None for no limit.
    """

    pool: str
    name: str = "default"
    priority: int = 100
    paused: bool = False
    concurrency_limit: int | None = None


class Machine(Struct, frozen=True):
    """A machine between two of its boots: a pid means something only on one of these.

    Containers of one machine count as machines of their own, also where they have one host name.

    Attributes:
        name: Host name.
        boot_id: The kernel's id of this boot.
        pid_namespace: The kernel's number of the pid namespace; empty where it is not known.
    """

    name: str
    boot_id: str
    pid_namespace: str = ""

    def shares_pids(self, other: "Machine") -> bool:
        """Whether a pid means the same process on both.

        Example:
            >>> Machine("a", "boot", "1").shares_pids(Machine("a", "boot", "2"))
            False
        """
        return (self.name, self.boot_id) == (other.name, other.boot_id) and (
            self.pid_namespace == other.pid_namespace
            or not (self.pid_namespace and other.pid_namespace)
        )

    def was_booted_since(self, other: "Machine") -> bool:
        """Whether the other is this machine before its last boot: nothing of that lives."""
        return self.name == other.name and self.boot_id != other.boot_id


class ProcessIdentity(Struct, frozen=True):
    """A process that cannot be mistaken for a later one with the same pid.

    Attributes:
        pid: Process id.
        started: Start time as the kernel counts it (clock ticks since boot).
        machine: On which machine, in which boot.
    """

    pid: int
    started: int
    machine: Machine


class Worker(Struct, kw_only=True):
    """A worker process that launches hosts for a pool.

    Attributes:
        id: UUIDv7, new at each start.
        name: Readable name.
        pool: The pool it serves.
        queues: Queues its hosts serve; empty for all.
        limit: Runs at a time on its hosts; None for no limit.
        machine: Where it runs.
        process: Which process it is; proves whether it has ended.
        started: Seconds since the epoch.
        last_seen: Last heartbeat, seconds since the epoch.
        draining: It launches nothing any more.
        gone: It has ended; kept while hosts name it.
        server_id: The server that holds its socket; empty where none does.
        connection: Which of its connections that is.
    """

    id: str
    name: str
    pool: str
    machine: Machine
    process: ProcessIdentity | None = None
    queues: list[str] = field(default_factory=list[str])
    limit: int | None = None
    started: float = 0.0
    last_seen: float = 0.0
    draining: bool = False
    gone: bool = False
    server_id: str = ""
    connection: str = ""
