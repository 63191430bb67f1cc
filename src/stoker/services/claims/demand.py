"""Demand: the queued runs that only wait for a slot."""

from collections.abc import Sequence

from stoker.domain.pools import WorkPool
from stoker.ports.store import GroupCount, PoolUsage, Records

FIRST_LOOK = 16
"""Runs of each claim group that are counted before it is known whether more matter."""


def claimable(records: Records, pool: WorkPool, usage: PoolUsage) -> dict[tuple[str, str], int]:
    """Queued runs by queue and lane, as far as the limits would let them start.

    They are counted up to what the pool could use at most: how many more wait changes nothing.
    """
    if pool.paused:
        return {}
    counts: dict[tuple[str, str], int] = {}
    groups: dict[tuple[str, str], list[GroupCount]] = {}
    for group in records.group_counts(pool.name, FIRST_LOOK):
        groups.setdefault((group.queue, group.lane), []).append(group)
    room = _room(pool.concurrency_limit, usage.pool)
    for queue in records.queues(pool.name):
        left = min(room, _room(queue.concurrency_limit, usage.queues.get(queue.name, 0)))
        for (name, lane), of_pair in groups.items():
            if name != queue.name or queue.paused:
                continue
            most = min(left, useful(pool))
            runs = _count(records, pool.name, of_pair, most)
            counts[name, lane] = runs
            left -= runs
            room -= runs
    return counts


def useful(pool: WorkPool) -> int:
    """Runs of one lane that could have slots at once, and one: with that a host more is asked."""
    return (pool.warm.max + 1) * pool.warm.slots_per_host + pool.warm.buffer + 1


def _room(limit: int | None, used: int) -> int:
    return _ENDLESS if limit is None else max(0, limit - used)


def _count(records: Records, pool: str, groups: Sequence[GroupCount], most: int) -> int:
    """The runs of some groups that their deployments' limits would let start, up to a number."""
    total = sum(_open(group, group.runs) for group in groups)
    for group in groups:
        if total >= most:
            break
        if group.runs == FIRST_LOOK:
            more = records.count_in(pool, group, FIRST_LOOK + most - total)
            total += _open(group, more) - _open(group, group.runs)
    return min(most, total)


def _open(group: GroupCount, runs: int) -> int:
    return runs if group.room is None else min(runs, group.room)


_ENDLESS = 1 << 40
