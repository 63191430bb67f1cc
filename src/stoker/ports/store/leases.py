"""Leases, and the waits along which they are lent."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from stoker.domain.leases import Lease, Lendable


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


class LeaseRecords(Protocol):
    """Leases and waits, within one transaction."""

    def lock(self, *names: str) -> None:
        """Hold named locks until the transaction ends; no other has one of them meanwhile.

        Who judges by the use of limits, or changes it, holds ``pool:NAME`` of their pool: all that
        a claim takes lies within one. Taken before what is judged by is read.
        """
        ...

    def ask_for_end(self, run_ids: Sequence[str], hosts: Mapping[str, str]) -> None:
        """What follows from these ends is read next: all that may be one round trip.

        Args:
            run_ids: The runs whose attempts have ended.
            hosts: Their hosts, with the pools of these.
        """
        ...

    def lease(self, run_id: str) -> Lease | None: ...
    def usage(self, pool: str) -> PoolUsage: ...
    def deployment_use(self, deployment_id: str) -> int:
        """Keys in use of a deployment: leases that own theirs."""
        ...

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
    def waits_for(self, children: Sequence[str]) -> list[tuple[str, str]]:
        """``(waiter, child)`` of the waits for some runs."""
        ...

    def waits_of(self, waiter: str) -> list[str]:
        """The runs that this one waits for; waits that are held are over."""
        ...
