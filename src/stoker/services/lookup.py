"""Finding work pools and queues by name, or saying what to do where there is none."""

from collections.abc import Iterable

from stoker.domain.errors import NotFound
from stoker.domain.pools import WorkPool
from stoker.ports.store import Records


def need_pool(records: Records, name: str) -> WorkPool:
    """Return a pool, or raise `NotFound` with what to do."""
    pool = records.pool(name)
    if pool is None:
        raise NotFound(
            f"there is no work pool {name!r}; make it with "
            f"`stoker work-pool create {name} --type process`, or see `stoker work-pool ls`"
        )
    return pool


def need_queues(records: Records, pool: str, names: Iterable[str]) -> None:
    """Raise `NotFound` with what to do where a pool lacks one of these queues."""
    known = {queue.name for queue in records.queues(pool)}
    for name in names:
        if name not in known:
            raise NotFound(
                f"work pool {pool!r} has no queue {name!r}; make it with "
                f"`stoker work-queue create {name} -p {pool}`, or see `stoker work-queue ls -p "
                f"{pool}`"
            )
