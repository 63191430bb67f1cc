"""What a server does first with the times that it finds, by which hosts and workers are judged."""

from msgspec.structs import replace

from stoker.domain.hosts import HostState
from stoker.ports.store import Records
from stoker.services.fleet.launching import backoff


def pull_back(records: Records, now: float, lease: float) -> None:
    """Have nothing lie ahead that has happened.

    A clock that is set back while no server is there to notice would hold up launches, and
    judgements, for as long.
    """
    records.lock(*(f"pool:{pool.name}" for pool in records.pools()))
    for host in records.hosts():
        if host.state is HostState.DEAD:
            continue
        pulled = replace(
            host,
            requested=min(host.requested, now),
            lease_until=min(host.lease_until, now + lease),
            launched=_not_after(host.launched, now),
            registered=_not_after(host.registered, now),
            idle_since=_not_after(host.idle_since, now),
        )
        if pulled != host:
            records.put_host(pulled)
    for worker in records.workers():
        if worker.last_seen > now:
            records.put_worker(replace(worker, last_seen=now))
    for pool in records.pools():
        for launches in records.launches(pool.name):
            latest = now + backoff(launches.failures)
            if launches.blocked_until > latest:
                records.put_launches(replace(launches, blocked_until=latest))


def _not_after(at: float | None, now: float) -> float | None:
    return None if at is None else min(at, now)
