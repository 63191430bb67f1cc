"""Limits that running code takes slots of, and the leases of these slots."""

from collections.abc import Sequence

from stoker.domain.concurrency import Limit, LimitKind, SlotLease
from stoker.domain.states import TERMINAL
from stoker.ports.store import DroppedSlots
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Row, Statements


class Limits(Statements):
    """See `LimitRecords`."""

    def put_limit(self, limit: Limit) -> None:
        values = (limit.kind, limit.name, limit.slots, limit.decay)
        self._do("put_limit", (*values, int(limit.active), limit.created))

    def delete_limit(self, kind: LimitKind, name: str) -> None:
        self._do("delete_limit", (kind, name))

    def limit(self, kind: LimitKind, name: str) -> Limit | None:
        row = self._one("limit", kind, name)
        return _limit_of(row) if row else None

    def limits(self, kind: LimitKind) -> list[Limit]:
        return [_limit_of(row) for row in self._all("limits", kind)]

    def slot_leases(self, kind: LimitKind, name: str, now: float) -> list[SlotLease]:
        rows = self._all("slot_leases", kind=kind, name=name, now=now)
        return sorted(map(_lease_of, rows), key=lambda one: (one.place, one.id))

    def slots_of_request(self, request: str) -> list[SlotLease]:
        return [_lease_of(row) for row in self._all("slots_of_request", request)]

    def put_slot_leases(self, leases: Sequence[SlotLease]) -> None:
        self._many("put_slot_lease", [_lease_values(lease) for lease in leases])

    def grant_slots(self, leases: Sequence[SlotLease]) -> None:
        rows: list[dict[str, object]] = [
            {
                "id": lease.id,
                "name": lease.name,
                "acquired": lease.acquired,
                "start": lease.drains_from,
                "end": lease.drained,
            }
            for lease in leases
        ]
        self._many("grant_slots", rows)

    def last_place(self) -> int:
        return self._one("last_place")[0] or 0

    def limits_of_waiters(self, kind: LimitKind, name: str) -> list[str]:
        return [row[0] for row in self._all("limits_of_waiters", kind, name)]

    def waited_limits(self) -> list[tuple[LimitKind, str]]:
        return [(LimitKind(kind), name) for kind, name in self._all("waited_limits")]

    def drop_slots_of_request(self, request: str) -> list[DroppedSlots]:
        return _dropped(self._all("drop_slots_of_request", request))

    def drop_slots_of_runs(self, run_ids: Sequence[str]) -> list[DroppedSlots]:
        return _dropped(self._all("drop_slots_of_runs", to_text(run_ids)))

    def drop_slots_of_script(self, host_id: str) -> list[DroppedSlots]:
        return _dropped(self._all("drop_slots_of_script", host_id))

    def drop_drained(self, before: float) -> None:
        self._do("drop_drained", (before,))

    def move_drains(self, by: float) -> None:
        self._do("move_drains", {"by": by})

    def holds_attempt(self, run_id: str, attempt: int) -> bool:
        row = self._one("hold_run", run_id)
        return row is not None and row[0] == attempt and row[1] not in TERMINAL

    def holds_host(self, host_id: str) -> bool:
        row = self._one("hold_host", host_id)
        return row is not None and not row[0]


def _limit_of(row: Row) -> Limit:
    kind, name, slots, decay, active, created = row
    return Limit(
        kind=LimitKind(kind),
        name=name,
        slots=slots,
        decay=decay,
        active=bool(active),
        created=created,
    )


def _lease_of(row: Row) -> SlotLease:
    return SlotLease(
        id=row[0],
        kind=LimitKind(row[1]),
        name=row[2],
        slots=row[3],
        place=row[4],
        asked=row[5],
        acquired=row[6],
        decays=bool(row[7]),
        drains_from=row[8],
        drained=row[9],
        run_id=row[10],
        attempt=row[11],
        host_id=row[12],
        label=row[13],
    )


def _lease_values(lease: SlotLease) -> Row:
    return (
        lease.id,
        lease.kind,
        lease.name,
        lease.slots,
        lease.place,
        lease.asked,
        lease.acquired,
        int(lease.decays),
        lease.drains_from,
        lease.drained,
        lease.run_id,
        lease.attempt,
        lease.host_id,
        lease.label,
    )


def _dropped(rows: Sequence[Row]) -> list[DroppedSlots]:
    return [DroppedSlots(request, LimitKind(kind), name) for request, kind, name in rows]
