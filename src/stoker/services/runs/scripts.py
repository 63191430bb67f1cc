"""Scripts: processes that execute their flows themselves. Each is a host without a pool."""

from stoker.domain.errors import Conflict, NotFound
from stoker.domain.hosts import Host, HostState, ProcessIdentity
from stoker.services.fleet.registering import lost
from stoker.services.unit import Unit


def register(unit: Unit, host_id: str, process: ProcessIdentity, lease_until: float) -> None:
    """Take in a script, under a lease that can be swept if it dies.

    Raises:
        Conflict: The id is that of a work pool's host.
    """
    _refuse_host(unit, host_id)
    unit.records.put_host(
        Host(
            id=host_id,
            pool="",
            lane="",
            state=HostState.UP,
            process=process,
            requested=unit.now,
            registered=unit.now,
            lease_until=lease_until,
        )
    )


def renew(unit: Unit, host_id: str, lease_until: float) -> None:
    """A script is alive.

    Raises:
        NotFound: It was given up, or never registered: it has to say hello again.
        Conflict: The id is that of a work pool's host.
    """
    _refuse_host(unit, host_id)
    if not unit.records.renew_host(host_id, lease_until):
        raise NotFound(f"script {host_id} is not known")


def leave(unit: Unit, host_id: str) -> None:
    """A script ends in good order.

    Raises:
        Conflict: The id is that of a work pool's host.
    """
    _refuse_host(unit, host_id)
    lost(unit, host_id, "the script ended before its run did")


def _refuse_host(unit: Unit, host_id: str) -> None:
    host = unit.records.host(host_id)
    if host is not None and host.pool:
        raise Conflict(f"{host_id} is a host of work pool {host.pool!r}, and no script")
