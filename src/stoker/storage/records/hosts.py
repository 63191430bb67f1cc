"""Hosts and the workers that launch them."""

import msgspec

from stoker.domain.hosts import Host, HostState, HostZygote
from stoker.domain.pools import Worker
from stoker.domain.servers import Launches
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Row, Statements

_host = msgspec.json.Decoder(Host).decode
_worker = msgspec.json.Decoder(Worker).decode
_zygote = msgspec.json.Decoder(HostZygote).decode
_launches = msgspec.json.Decoder(Launches).decode


class Hosts(Statements):
    """See `HostRecords`."""

    def put_host(self, host: Host) -> None:
        dead = int(host.state is HostState.DEAD)
        self._do("put_host", (host.id, host.pool, dead, host.lease_until, to_text(host)))

    def host(self, host_id: str) -> Host | None:
        row = self._one("host", host_id)
        return self._host_of(row) if row else None

    def hosts(self, pool: str | None = None) -> list[Host]:
        return [self._host_of(row) for row in self._all("hosts", pool=pool)]

    def _host_of(self, row: Row) -> Host:
        host = _host(row[0])
        host.lease_until = row[1]
        return host

    def renew_host(self, host_id: str, until: float) -> bool:
        return self._do("renew_host", (until, host_id)).rowcount == 1

    def move_leases(self, host_id: str, worker_id: str) -> None:
        self._do("move_leases", {"host": host_id, "worker": worker_id})

    def put_worker(self, worker: Worker) -> None:
        self._do("put_worker", (worker.id, worker.pool, to_text(worker)))

    def workers(self, pool: str | None = None) -> list[Worker]:
        return [_worker(row[0]) for row in self._all("workers", pool=pool)]

    def delete_worker(self, worker_id: str) -> None:
        self._do("delete_worker", (worker_id,))

    def put_zygote(self, zygote: HostZygote) -> None:
        self._do("put_zygote", (zygote.host_id, zygote.key, to_text(zygote)))

    def drop_zygotes(self, host_id: str, key: str | None = None) -> None:
        if key is None:
            self._do("drop_zygotes", (host_id,))
        else:
            self._do("drop_zygote", (host_id, key))

    def zygotes(self, pool: str | None = None) -> list[HostZygote]:
        return [_zygote(row[0]) for row in self._all("zygotes", pool=pool)]

    def put_launches(self, launches: Launches) -> None:
        self._do("put_launches", (launches.pool, launches.lane, to_text(launches)))

    def launches(self, pool: str) -> list[Launches]:
        return [_launches(row[0]) for row in self._all("launches", pool)]

    def delete_launches(self, pool: str) -> None:
        self._do("delete_launches", (pool,))
