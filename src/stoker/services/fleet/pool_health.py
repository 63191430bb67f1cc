"""Whether anybody serves a work pool."""

from collections.abc import Sequence

from stoker.domain.pools import PoolStatus, Worker
from stoker.services.events.happening import pool_told, worker_told
from stoker.services.unit import Unit


def look_at(unit: Unit, name: str) -> None:
    """Note whether a worker serves a pool, and tell where that has changed.

    A pool that no worker has served yet is not ready; one that lost its last is unhealthy.
    """
    records = unit.records
    records.lock(f"pool:{name}")
    pool = records.pool(name)
    if pool is None:
        return
    served = any(not one.draining and not one.gone for one in records.workers(name))
    if served == (pool.status is PoolStatus.READY):
        return
    if not served and pool.status is PoolStatus.NOT_READY:
        return
    pool.status = PoolStatus.READY if served else PoolStatus.UNHEALTHY
    records.put_pool(pool)
    message = "a worker serves it" if served else "no worker serves it any more"
    pool_told(unit, name, pool.status, message=message)


def workers_gone(unit: Unit, workers: Sequence[Worker]) -> None:
    """These workers have certainly ended; each is told of once."""
    news = [worker for worker in workers if not worker.gone]
    for worker in news:
        worker.gone = True
        unit.records.put_worker(worker)
        worker_told(unit, worker, "gone")
    for pool in sorted({worker.pool for worker in news}):
        look_at(unit, pool)
