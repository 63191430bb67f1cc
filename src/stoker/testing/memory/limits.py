"""Limits that running code takes slots of, and the leases of these slots."""

from collections.abc import Callable, Sequence

from stoker.domain.concurrency import Limit, LimitKind, SlotLease
from stoker.domain.hosts import HostState
from stoker.ports.store import DroppedSlots
from stoker.testing.memory.tables import Room, copies


class Limits(Room):
    """See `LimitRecords`."""

    def put_limit(self, limit: Limit) -> None:
        self._tables.limits.put((limit.kind, limit.name), limit)

    def delete_limit(self, kind: LimitKind, name: str) -> None:
        self._tables.limits.pop((kind, name), None)

    def limit(self, kind: LimitKind, name: str) -> Limit | None:
        return self._tables.limits.find((kind, name))

    def limits(self, kind: LimitKind) -> list[Limit]:
        return copies(one for key, one in sorted(self._tables.limits.items()) if key[0] is kind)

    def _slots(self, fits: Callable[[SlotLease], bool]) -> list[SlotLease]:
        found = filter(fits, self._tables.slots.values())
        return copies(sorted(found, key=lambda one: (one.place, one.id, one.name)))

    def slot_leases(self, kind: LimitKind, name: str, now: float) -> list[SlotLease]:
        return self._slots(
            lambda one: (
                (one.kind, one.name) == (kind, name) and (one.drained is None or one.drained > now)
            )
        )

    def slots_of_request(self, request: str) -> list[SlotLease]:
        return self._slots(lambda one: one.id == request)

    def put_slot_leases(self, leases: Sequence[SlotLease]) -> None:
        for lease in leases:
            self._tables.slots.put((lease.id, lease.name), lease)

    def grant_slots(self, leases: Sequence[SlotLease]) -> None:
        for lease in leases:
            known = self._tables.slots.get((lease.id, lease.name))
            if known is not None and known.acquired is None:
                self._tables.slots.change(
                    (lease.id, lease.name),
                    acquired=lease.acquired,
                    drains_from=lease.drains_from,
                    drained=lease.drained,
                )

    def last_place(self) -> int:
        return max((one.place for one in self._tables.slots.values()), default=0)

    def limits_of_waiters(self, kind: LimitKind, name: str) -> list[str]:
        waiting = {one.id for one in self._waiting() if (one.kind, one.name) == (kind, name)}
        return sorted({one.name for one in self._tables.slots.values() if one.id in waiting})

    def waited_limits(self) -> list[tuple[LimitKind, str]]:
        return sorted({(one.kind, one.name) for one in self._waiting()})

    def _waiting(self) -> list[SlotLease]:
        return self._slots(lambda one: one.acquired is None)

    def drop_slots_of_request(self, request: str) -> list[DroppedSlots]:
        return self._drop(lambda one: one.id == request)

    def drop_slots_of_runs(self, run_ids: Sequence[str]) -> list[DroppedSlots]:
        return self._drop(lambda one: one.run_id in run_ids)

    def drop_slots_of_script(self, host_id: str) -> list[DroppedSlots]:
        return self._drop(lambda one: one.host_id == host_id)

    def _drop(self, fits: Callable[[SlotLease], bool]) -> list[DroppedSlots]:
        dropped = self._slots(
            lambda one: fits(one) and (one.acquired is None or not one.decays),
        )
        for one in dropped:
            del self._tables.slots[one.id, one.name]
        return [DroppedSlots(one.id, one.kind, one.name) for one in dropped]

    def drop_drained(self, before: float) -> None:
        for one in self._slots(lambda one: one.drained is not None and one.drained < before):
            del self._tables.slots[one.id, one.name]

    def move_drains(self, by: float) -> None:
        for one in self._slots(lambda one: one.drained is not None):
            start, end = (one.drains_from or 0.0) + by, (one.drained or 0.0) + by
            self._tables.slots.change((one.id, one.name), drains_from=start, drained=end)

    def holds_attempt(self, run_id: str, attempt: int) -> bool:
        run = self._tables.runs.get(run_id)
        return run is not None and run.attempt == attempt and not run.state.is_terminal

    def holds_host(self, host_id: str) -> bool:
        host = self._tables.hosts.get(host_id)
        return host is not None and host.state is not HostState.DEAD
