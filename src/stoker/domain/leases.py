"""Leases: what a run holds while it has a slot, and how it lends that to runs it waits for.

A lease has one key per limit: the pool, the queue, the worker, the host's slots and the
deployment. A run that
waits for a deployed child lends each key to a run further down its chain of waits, or to another
that is waited for; the borrower's key then names its lender and is not counted. Use of every
limit is the count of leases whose key is their own.
"""

from msgspec import Struct


class Lease(Struct, kw_only=True):
    """What the current attempt of a run holds.

    Attributes:
        run_id: The run.
        attempt: Its attempt.
        pool: Pool whose limit it counts against.
        queue: Queue whose limit it counts against.
        worker_id: Worker whose limit it counts against.
        host_id: Host whose slot it has.
        pool_from: The waiting run that lent the pool's key; None: its own.
        queue_from: The waiting run that lent the queue's key.
        worker_from: The waiting run that lent the worker's key.
        slot_from: The waiting run that lent the slot.
        deployment_id: Deployment whose limit it counts against.
        deployment_from: The waiting run that lent the deployment's key.
    """

    run_id: str
    attempt: int
    pool: str
    queue: str
    worker_id: str
    host_id: str
    pool_from: str | None = None
    queue_from: str | None = None
    worker_from: str | None = None
    slot_from: str | None = None
    deployment_id: str | None = None
    deployment_from: str | None = None


class Lendable(Struct, kw_only=True):
    """A waiting run's lease, and which of its keys nobody has borrowed yet."""

    lease: Lease
    pool: bool
    queue: bool
    worker: bool
    slot: bool
    deployment: bool


def has_room(limit: int | None, used: int) -> bool:
    """Whether one more fits under a limit."""
    return limit is None or used < limit
