"""What the services need of a store."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from msgspec import Struct, field

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.deployments import Deployment
from stoker.domain.hosts import Host
from stoker.domain.leases import Lease, Lendable
from stoker.domain.pools import Worker, WorkPool, WorkQueue
from stoker.domain.runs import FlowRun, LogLine, StoredLogLine, TaskRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import Transition

T = TypeVar("T")


class PoolUsage(Struct, kw_only=True):
    """Lease keys in use in a pool, each counted over the leases that own theirs.

    Attributes:
        pool: Runs that count against the pool's limit.
        queues: The same by queue.
        workers: The same by worker.
        hosts: Slots in use by host.
    """

    pool: int = 0
    queues: dict[str, int] = field(default_factory=dict[str, int])
    workers: dict[str, int] = field(default_factory=dict[str, int])
    hosts: dict[str, int] = field(default_factory=dict[str, int])


class QueuedCount(Struct, frozen=True):
    """How many runs wait in one claim group."""

    queue: str
    lane: str
    runs: int


class RunFilter(Struct, kw_only=True, frozen=True):
    """Which runs to list; an empty field takes all."""

    states: Sequence[StateType] = ()
    deployment: str | None = None
    flow: str | None = None
    pool: str | None = None
    parent: str | None = None
    before: str | None = None
    limit: int = 50


class Records(Protocol):
    """What can be read and changed within one transaction. All methods block."""

    # Flow runs
    def insert_runs(self, runs: Sequence[FlowRun], keys: Sequence[str | None]) -> None:
        """Store new runs, each with its idempotency key."""
        ...

    def insert_subflow(self, run: FlowRun) -> bool:
        """Store a run that executes in its caller's process; False if it is known already."""
        ...

    def flow_run(self, run_id: str) -> FlowRun | None: ...
    def run_of_key(self, idempotency_key: str) -> FlowRun | None: ...
    def flow_runs(self, which: RunFilter) -> list[FlowRun]: ...
    def open_subflows(self, run_id: str) -> list[FlowRun]:
        """Runs in the process of this one, at any depth, that are not over."""
        ...

    def open_runs_of(self, host_id: str) -> list[FlowRun]:
        """Runs without a deployment that a script executes and that are not over."""
        ...

    def apply(self, transitions: Sequence[Transition]) -> list[bool]:
        """Apply each if its run is still at the version it names; say which were applied.

        With one that ends an attempt its lease and its waits go; keys that it had lent become the
        borrower's own, or stay lent by whom it had borrowed them of.
        """
        ...

    def advance(self, run_id: str, seq: int) -> bool:
        """Note a frame's number; False if it was seen before."""
        ...

    def set_anatomy(self, run_id: str, anatomy: StartAnatomy) -> None: ...
    def set_lane(self, run_id: str, lane: str) -> None: ...
    def rename_run(self, run_id: str, name: str) -> None: ...
    def states(self, run_id: str) -> list[StateRecord]: ...

    # What runs leave behind
    def put_task_runs(self, task_runs: Sequence[TaskRun]) -> None: ...
    def task_runs(self, flow_run_id: str) -> list[TaskRun]: ...
    def add_logs(self, run_id: str, lines: Sequence[LogLine]) -> None: ...
    def logs(self, run_id: str, after: int, limit: int) -> list[StoredLogLine]: ...

    # Queues of runs
    def queued(self, pool: str, queue: str, lane: str, limit: int) -> list[FlowRun]:
        """The first runs of one claim group, oldest first."""
        ...

    def queued_counts(self, pool: str) -> list[QueuedCount]: ...
    def queued_nested(self, pool: str) -> list[FlowRun]:
        """Queued runs that a running one waits for, oldest first."""
        ...

    # Leases and waits
    def lease(self, run_id: str) -> Lease | None: ...
    def usage(self, pool: str) -> PoolUsage: ...
    def lenders(self, run_id: str) -> list[Lendable]:
        """The waiting runs whose keys this one may borrow, nearest first."""
        ...

    def waiting_leases(self, pool: str) -> list[Lendable]:
        """The leases of all waiting runs of a pool, held ones too, oldest first."""
        ...

    def borrowers(self, run_id: str) -> list[Lease]: ...
    def put_lease(self, lease: Lease) -> None:
        """Store a run's lease, in place of the one it may have."""
        ...

    def leases_of(self, host_id: str) -> list[Lease]: ...
    def add_wait(self, waiter: str, child: str) -> None: ...
    def drop_wait(self, waiter: str, child: str) -> None: ...
    def hold_wait(self, waiter: str, child: str) -> None:
        """The child is over; the waiter goes on when it has back the keys that it lent."""
        ...

    def held_waits(self) -> list[tuple[str, str]]:
        """``(waiter, child)`` of all that are held, oldest first."""
        ...

    def waiters(self, child: str) -> list[str]: ...
    def waits_of(self, waiter: str) -> list[str]:
        """The runs that this one waits for; waits that are held are over."""
        ...

    # Deployments, pools, queues
    def put_deployment(self, deployment: Deployment) -> None: ...
    def delete_deployment(self, deployment_id: str) -> None: ...
    def deployment(self, name_or_id: str) -> Deployment | None: ...
    def deployments(self, pool: str | None = None) -> list[Deployment]:
        """All, or a pool's; those that ran last first."""
        ...

    def put_pool(self, pool: WorkPool) -> None: ...
    def delete_pool(self, name: str) -> None: ...
    def pool(self, name: str) -> WorkPool | None: ...
    def pools(self) -> list[WorkPool]: ...
    def put_queue(self, queue: WorkQueue) -> None: ...
    def queues(self, pool: str) -> list[WorkQueue]:
        """By priority."""
        ...

    # Hosts and workers
    def put_host(self, host: Host) -> None: ...
    def host(self, host_id: str) -> Host | None: ...
    def hosts(self, pool: str | None = None) -> list[Host]:
        """All that are not dead, or a pool's; oldest first."""
        ...

    def renew_host(self, host_id: str, until: float) -> bool:
        """Move the end of a host's lease; False if it is dead or unknown."""
        ...

    def move_leases(self, host_id: str, worker_id: str) -> None:
        """Count a host's runs against another worker: the one that adopted it."""
        ...

    def put_worker(self, worker: Worker) -> None: ...
    def workers(self, pool: str | None = None) -> list[Worker]: ...
    def delete_worker(self, worker_id: str) -> None: ...


class Store(Protocol):
    """A store of records. Transactions given to it may be committed in groups."""

    def write(self, work: Callable[[Records], T]) -> Future[T]:
        """Run ``work`` in a transaction; the future is set once that is safe on disk.

        Where ``work`` raises, nothing of it stays and the future carries the exception.
        """
        ...

    def read(self, work: Callable[[Records], T]) -> Future[T]:
        """Run ``work``, which changes nothing, on a consistent view."""
        ...

    def close(self) -> None:
        """Finish what was given to it, and close."""
        ...
