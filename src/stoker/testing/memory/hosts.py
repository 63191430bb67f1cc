"""Hosts and the workers that launch them."""

from stoker.domain.hosts import Host, HostState, HostZygote
from stoker.domain.pools import Worker
from stoker.domain.servers import Launches
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

    def put_zygote(self, zygote: HostZygote) -> None:
        self._tables.zygotes.put((zygote.host_id, zygote.key), zygote)

    def drop_zygotes(self, host_id: str, key: str | None = None) -> None:
        for one in list(self._tables.zygotes):
            if one[0] == host_id and key in (None, one[1]):
                del self._tables.zygotes[one]

    def zygotes(self, pool: str | None = None) -> list[HostZygote]:
        living = {host.id for host in self.hosts(pool)}
        found = sorted(self._tables.zygotes.items(), key=lambda item: item[0])
        return copies(zygote for (host_id, _), zygote in found if host_id in living)

    def put_launches(self, launches: Launches) -> None:
        self._tables.launches.put((launches.pool, launches.lane), launches)

    def launches(self, pool: str) -> list[Launches]:
        found = sorted(self._tables.launches.items(), key=lambda item: item[0])
        return copies(launches for (of, _), launches in found if of == pool)

    def delete_launches(self, pool: str) -> None:
        for one in list(self._tables.launches):
            if one[0] == pool:
                del self._tables.launches[one]
