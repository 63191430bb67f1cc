"""Leaps of the wall clock: someone sets it, and the times by which the server goes follow."""

from stoker.domain.hosts import HostState
from stoker.ports.clock import Clock
from stoker.ports.store import Records

LEAST = 1.0
"""Seconds; what the clock is moved by less is no leap, and does no harm."""


class Leaps:
    """Notices leaps by the time since boot, which nobody sets.

    Args:
        clock: Tells both.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - clock.boot()

    def take(self) -> float:
        """Return by how many seconds the wall clock has leapt since the last time; mostly 0."""
        offset = self._clock.now() - self._clock.boot()
        by = offset - self._offset
        if abs(by) < LEAST:
            return 0.0
        self._offset = offset
        return by

    def give_back(self, by: float) -> None:
        """What followed a leap could not be stored: it is to be taken again."""
        self._offset -= by


def follow(records: Records, by: float) -> None:
    """Move the times by which hosts and workers are judged.

    So a lease holds as long as it would have, and an idle host stays as long. What has happened to
    runs keeps its times: they tell what the clock said then.
    """
    records.lock(*(f"pool:{pool.name}" for pool in records.pools()))
    for host in records.hosts():
        if host.state is HostState.DEAD:
            continue
        host.requested += by
        host.lease_until += by if host.lease_until else 0.0
        host.launched = _moved(host.launched, by)
        host.registered = _moved(host.registered, by)
        host.idle_since = _moved(host.idle_since, by)
        records.put_host(host)
    for worker in records.workers():
        worker.last_seen += by
        records.put_worker(worker)
    records.move_drains(by)
    for pool in records.pools():
        for launches in records.launches(pool.name):
            launches.blocked_until += by
            records.put_launches(launches)


def _moved(at: float | None, by: float) -> float | None:
    return None if at is None else at + by
