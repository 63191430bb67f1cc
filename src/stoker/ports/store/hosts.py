"""Hosts and the workers that launch them."""

from typing import Protocol

from stoker.domain.hosts import Host
from stoker.domain.pools import Worker


class HostRecords(Protocol):
    """Hosts and workers, within one transaction."""

    def put_host(self, host: Host) -> None: ...
    def host(self, host_id: str) -> Host | None: ...
    def hosts(self, pool: str | None = None) -> list[Host]:
        """All that are not dead, or a pool's; oldest first."""
        ...

    def renew_host(self, host_id: str, until: float) -> bool:
        """Move the end of a host's lease; False if it is dead or unknown."""
        ...

    def move_leases(self, host_id: str, worker_id: str) -> None:
        """Count a host's runs against another worker: the one that adopted it."""
        ...

    def put_worker(self, worker: Worker) -> None: ...
    def workers(self, pool: str | None = None) -> list[Worker]: ...
    def delete_worker(self, worker_id: str) -> None: ...
