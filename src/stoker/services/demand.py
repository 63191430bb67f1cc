"""Demand: the queued runs that only wait for a slot."""

from stoker.domain.pools import WorkPool
from stoker.ports.store import PoolUsage, Records


def claimable(records: Records, pool: WorkPool, usage: PoolUsage) -> dict[tuple[str, str], int]:
    """Queued runs by queue and lane, as far as the limits would let them start."""
    room = None
    if pool.concurrency_limit is not None:
        room = max(0, pool.concurrency_limit - usage.pool)
    counts: dict[tuple[str, str], int] = {}
    for queue in records.queues(pool.name):
        left = None
        if pool.paused or queue.paused:
            left = 0
        elif queue.concurrency_limit is not None:
            left = max(0, queue.concurrency_limit - usage.queues.get(queue.name, 0))
        for count in records.queued_counts(pool.name):
            if count.queue != queue.name:
                continue
            runs = min(n for n in (count.runs, left, room) if n is not None)
            counts[queue.name, count.lane] = runs
            left = left - runs if left is not None else None
            room = room - runs if room is not None else None
    return counts
