"""Leases, and the waits along which they are lent."""

from collections.abc import Mapping, Sequence

from stoker.domain.leases import Lease, Lendable
from stoker.ports.store import PoolUsage
from stoker.testing.memory.tables import Room, Wait, copies

KEYS = ("pool_from", "queue_from", "worker_from", "slot_from", "deployment_from")
"""The fields of a lease that name a lender."""


class Leases(Room):
    """See `LeaseRecords`."""

    def lock(self, *names: str) -> None:
        """There is one writer at a time."""

    def ask_for_end(self, run_ids: Sequence[str], hosts: Mapping[str, str]) -> None:
        """Nothing is far away."""

    def put_lease(self, lease: Lease) -> None:
        self._tables.leases.put(lease.run_id, lease)

    def lease(self, run_id: str) -> Lease | None:
        return self._tables.leases.find(run_id)

    def usage(self, pool: str) -> PoolUsage:
        usage = PoolUsage()
        for lease in self._tables.leases.values():
            if lease.pool != pool:
                continue
            usage.pool += lease.pool_from is None
            for counts, key, lender in (
                (usage.queues, lease.queue, lease.queue_from),
                (usage.workers, lease.worker_id, lease.worker_from),
                (usage.hosts, lease.host_id, lease.slot_from),
            ):
                counts[key] = counts.get(key, 0) + (lender is None)
        return usage

    def deployment_use(self, deployment_id: str) -> int:
        return sum(
            lease.deployment_id == deployment_id and lease.deployment_from is None
            for lease in self._tables.leases.values()
        )

    def _lendable(self, lease: Lease, *, slot: bool = True) -> Lendable:
        lent = {
            key
            for key in KEYS
            for other in self._tables.leases.values()
            if getattr(other, key) == lease.run_id
        }
        return Lendable(
            lease=lease,
            pool="pool_from" not in lent,
            queue="queue_from" not in lent,
            worker="worker_from" not in lent,
            slot=slot and "slot_from" not in lent,
            deployment="deployment_from" not in lent,
        )

    def lenders(self, run_id: str) -> list[Lendable]:
        chain: list[str] = []
        level = [run_id]
        while level:
            level = [
                waiter
                for (waiter, child), wait in sorted(self._tables.waits.items())
                if child in level and not wait.held and waiter not in chain
            ]
            chain += level
        found = [self._tables.leases[one] for one in chain if one in self._tables.leases]
        return copies(self._lendable(lease) for lease in found)

    def waiting_leases(self, pool: str) -> list[Lendable]:
        held: dict[str, bool] = {}
        for (waiter, _), wait in self._tables.waits.items():
            held[waiter] = held.get(waiter, False) or wait.held
        return copies(
            self._lendable(self._tables.leases[waiter], slot=held[waiter])
            for waiter in sorted(held)
            if waiter in self._tables.leases and self._tables.leases[waiter].pool == pool
        )

    def borrowers(self, run_id: str) -> list[Lease]:
        return copies(
            lease
            for lease in self._tables.leases.values()
            if any(getattr(lease, key) == run_id for key in KEYS)
        )

    def leases_of(self, host_id: str) -> list[Lease]:
        return copies(one for one in self._tables.leases.values() if one.host_id == host_id)

    def add_wait(self, waiter: str, child: str) -> None:
        run = self._tables.runs.get(child)
        kind = ""
        if run is not None and run.queue is not None and run.lane is not None:
            kind = f"{run.queue}/{run.lane}/{run.deployment_id or ''}"
        self._tables.waits.setdefault((waiter, child), Wait(kind=kind))

    def drop_wait(self, waiter: str, child: str) -> None:
        self._tables.waits.pop((waiter, child), None)

    def hold_wait(self, waiter: str, child: str) -> None:
        known = self._tables.waits.get((waiter, child), Wait())
        self._tables.waits[waiter, child] = Wait(held=True, kind=known.kind)

    def held_waits(self) -> list[tuple[str, str]]:
        return sorted(key for key, wait in self._tables.waits.items() if wait.held)

    def waiters(self, child: str) -> list[str]:
        return sorted(waiter for waiter, of in self._tables.waits if of == child)

    def waits_for(self, children: Sequence[str]) -> list[tuple[str, str]]:
        return [pair for pair in sorted(self._tables.waits) if pair[1] in children]

    def waits_of(self, waiter: str) -> list[str]:
        found = self._tables.waits.items()
        return sorted(child for (of, child), wait in found if of == waiter and not wait.held)
