"""Leases, and the waits along which they are lent."""

from collections.abc import Mapping, Sequence

from stoker.domain.leases import Lease, Lendable
from stoker.ports.store import PoolUsage
from stoker.storage.records import rows
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Statements


class Leases(Statements):
    """See `LeaseRecords`."""

    def lock(self, *names: str) -> None:
        self._forget()
        self._session.lock(sorted(names))

    def put_lease(self, lease: Lease) -> None:
        self._pending.lease(rows.lease_values(lease))

    def lease(self, run_id: str) -> Lease | None:
        row = self._one("lease", run_id)
        return rows.lease_of(row) if row else None

    def usage(self, pool: str) -> PoolUsage:
        usage = PoolUsage()
        for queue, worker, host, in_pool, in_queue, in_worker, slots in self._all("usage", pool):
            usage.pool += in_pool
            usage.queues[queue] = usage.queues.get(queue, 0) + in_queue
            usage.workers[worker] = usage.workers.get(worker, 0) + in_worker
            usage.hosts[host] = usage.hosts.get(host, 0) + slots
        return usage

    def ask_for_end(self, run_ids: Sequence[str], hosts: Mapping[str, str]) -> None:
        for host_id, pool in hosts.items():
            self._ask("leases_of", host_id)
            self._ask("host", host_id)
            self._ask("pool", pool)
        ids = to_text(run_ids)
        self._ask("open_subflows", ids)
        self._ask("waits_for", ids)
        self._ask("held_waits")

    def deployment_use(self, deployment_id: str) -> int:
        return self._one("deployment_use", deployment_id)[0]

    def lenders(self, run_id: str) -> list[Lendable]:
        return [rows.lendable_of(row) for row in self._all("lenders", run_id)]

    def waiting_leases(self, pool: str) -> list[Lendable]:
        return [rows.lendable_of(row) for row in self._all("waiting_leases", pool)]

    def borrowers(self, run_id: str) -> list[Lease]:
        return [rows.lease_of(row) for row in self._all("borrowers", run=run_id)]

    def leases_of(self, host_id: str) -> list[Lease]:
        return [rows.lease_of(row) for row in self._all("leases_of", host_id)]

    def add_wait(self, waiter: str, child: str) -> None:
        self._do("add_wait", {"waiter": waiter, "child": child})

    def drop_wait(self, waiter: str, child: str) -> None:
        self._do("drop_wait", (waiter, child))

    def hold_wait(self, waiter: str, child: str) -> None:
        self._do("hold_wait", (waiter, child))

    def held_waits(self) -> list[tuple[str, str]]:
        return [(waiter, child) for waiter, child in self._all("held_waits")]

    def waiters(self, child: str) -> list[str]:
        return [row[0] for row in self._all("waiters", child)]

    def waits_for(self, children: Sequence[str]) -> list[tuple[str, str]]:
        return [(waiter, child) for waiter, child in self._all("waits_for", to_text(children))]

    def waits_of(self, waiter: str) -> list[str]:
        return [row[0] for row in self._all("waits_of", waiter)]
