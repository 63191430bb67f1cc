"""Limits that running code takes slots of, and the leases of these slots."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from stoker.domain.concurrency import Limit, LimitKind, SlotLease


class DroppedSlots(NamedTuple):
    """Slots of one limit that a request had, or waited for."""

    request: str
    kind: LimitKind
    name: str


class LimitRecords(Protocol):
    """Limits and slot leases, within one transaction.

    Who judges by the use of a limit holds the lock ``limit:KIND:NAME``. What is dropped needs
    none: it only ever makes room.
    """

    def put_limit(self, limit: Limit) -> None:
        """Store a limit, in place of the one of its kind and name."""
        ...

    def delete_limit(self, kind: LimitKind, name: str) -> None: ...
    def limit(self, kind: LimitKind, name: str) -> Limit | None: ...
    def limits(self, kind: LimitKind) -> list[Limit]:
        """By name."""
        ...

    def slot_leases(self, kind: LimitKind, name: str, now: float) -> list[SlotLease]:
        """Those that hold or want slots of a limit, by place; without what has decayed."""
        ...

    def slots_of_request(self, request: str) -> list[SlotLease]: ...
    def put_slot_leases(self, leases: Sequence[SlotLease]) -> None:
        """Store new ones."""
        ...

    def grant_slots(self, leases: Sequence[SlotLease]) -> None:
        """Store that those of these that still wait have their slots.

        One that was dropped since it was read stays so: nobody would give its slots back.
        """
        ...

    def last_place(self) -> int:
        """The last place in any queue; 0 where all are empty."""
        ...

    def limits_of_waiters(self, kind: LimitKind, name: str) -> list[str]:
        """All limits that those want who wait for this one."""
        ...

    def waited_limits(self) -> list[tuple[LimitKind, str]]:
        """The limits that somebody waits for."""
        ...

    def drop_slots_of_request(self, request: str) -> list[DroppedSlots]:
        """Forget a request; slots that decay and were granted decay without it."""
        ...

    def drop_slots_of_runs(self, run_ids: Sequence[str]) -> list[DroppedSlots]:
        """Forget the requests of a run, as `drop_slots_of_request` does."""
        ...

    def drop_slots_of_script(self, host_id: str) -> list[DroppedSlots]:
        """Forget the requests of a script, as `drop_slots_of_request` does."""
        ...

    def drop_drained(self, before: float) -> None:
        """Forget slots that have decayed before that time."""
        ...

    def move_drains(self, by: float) -> None:
        """Move the times between which slots decay."""
        ...

    def holds_attempt(self, run_id: str, attempt: int) -> bool:
        """Whether a run is at this attempt, and not over, which stays so in this transaction."""
        ...

    def holds_host(self, host_id: str) -> bool:
        """Whether a host is known and not dead, which stays so in this transaction."""
        ...
