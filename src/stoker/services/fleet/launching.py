"""How launches go, and who could make one: what any server can tell of a pool's supply."""

from dataclasses import dataclass, field
from statistics import median

from stoker.domain.hosts import Host
from stoker.domain.pools import Worker
from stoker.domain.servers import Launches
from stoker.ports.store import Records
from stoker.services.replicas.members import live_servers
from stoker.services.runs.explaining import Outlook
from stoker.services.unit import Unit

MAX_BACKOFF = 60.0
"""Seconds between launches in a lane whose launches keep failing."""

STARTS = 20
"""Launches of a lane whose duration is remembered."""


def connected_workers(records: Records, now: float, pool: str | None = None) -> list[Worker]:
    """Workers of all pools, or of one, whose socket a living server holds."""
    servers = live_servers(records, now)
    return [worker for worker in records.workers(pool) if worker.server_id in servers]


def backoff(failures: int) -> float:
    """Seconds until a lane's next launch, after so many that failed one after the other."""
    return min(MAX_BACKOFF, 0.5 * 2 ** min(failures, 10))


def failed(unit: Unit, host: Host, reason: str) -> None:
    """A host died before it registered: back off in its lane."""
    launches = _launches_of(unit, host)
    launches.failures += 1
    launches.blocked_until = unit.now + backoff(launches.failures)
    launches.reason = reason
    unit.records.put_launches(launches)
    unit.demand.add(host.pool)


def registered(unit: Unit, host: Host) -> None:
    """A host registered first: its lane's launches work."""
    launches = _launches_of(unit, host)
    launches.failures, launches.blocked_until, launches.reason = 0, 0.0, ""
    if host.registered is not None:
        starts = [*launches.starts, host.registered - host.requested]
        launches.starts = starts[-STARTS:]
    unit.records.put_launches(launches)


def blocked_lanes(records: Records, pool: str) -> dict[str, float]:
    """By lane, until when nothing is launched since launches failed, seconds since the epoch."""
    return {one.lane: one.blocked_until for one in records.launches(pool) if one.failures}


def outlook_of(records: Records, pool: str, now: float) -> Outlook:
    """What is expected of a pool's workers and launches."""
    launches = records.launches(pool)
    starts = [seconds for one in launches for seconds in one.starts]
    return Outlook(
        workers={
            worker.id: worker
            for worker in connected_workers(records, now, pool)
            if not worker.draining
        },
        cold_start={pool: median(starts)} if starts else {},
        failures={(pool, one.lane): one.reason for one in launches if one.failures},
    )


def _launches_of(unit: Unit, host: Host) -> Launches:
    for one in unit.records.launches(host.pool):
        if one.lane == host.lane:
            return one
    return Launches(pool=host.pool, lane=host.lane)


@dataclass(slots=True)
class Held:
    """Keys of the codes that a host has imported, and of those that it could not."""

    codes: set[str] = field(default_factory=set[str])
    failed: set[str] = field(default_factory=set[str])


def held_codes(records: Records, pool: str) -> dict[str, Held]:
    """What the hosts of a pool hold, by host; those that hold nothing are not in it."""
    found: dict[str, Held] = {}
    for zygote in records.zygotes(pool):
        held = found.setdefault(zygote.host_id, Held())
        (held.codes if zygote.ready else held.failed).add(zygote.key)
    return found
