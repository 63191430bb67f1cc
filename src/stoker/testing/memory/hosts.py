"""Hosts and the workers that launch them."""

from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import Worker
from stoker.testing.memory.tables import Room, copies


class Hosts(Room):
    """See `HostRecords`."""

    def put_host(self, host: Host) -> None:
        self._tables.hosts.put(host.id, host)

    def host(self, host_id: str) -> Host | None:
        return self._tables.hosts.find(host_id)

    def hosts(self, pool: str | None = None) -> list[Host]:
        return copies(
            host
            for _, host in sorted(self._tables.hosts.items())
            if host.state is not HostState.DEAD and pool in (None, host.pool)
        )

    def renew_host(self, host_id: str, until: float) -> bool:
        host = self._tables.hosts.get(host_id)
        if host is None or host.state is HostState.DEAD:
            return False
        self._tables.hosts.change(host_id, lease_until=until)
        return True

    def move_leases(self, host_id: str, worker_id: str) -> None:
        for lease in list(self._tables.leases.values()):
            if lease.host_id == host_id:
                self._tables.leases.change(lease.run_id, worker_id=worker_id, worker_from=None)

    def put_worker(self, worker: Worker) -> None:
        self._tables.workers.put(worker.id, worker)

    def workers(self, pool: str | None = None) -> list[Worker]:
        found = sorted(self._tables.workers.items())
        return copies(worker for _, worker in found if pool in (None, worker.pool))

    def delete_worker(self, worker_id: str) -> None:
        self._tables.workers.pop(worker_id, None)
