"""What there is, counted without a look at what is over."""

from typing import Protocol

from msgspec import Struct, field


class Census(Struct, kw_only=True):
    """Counts for metrics.

    Attributes:
        runs: Open runs by state; scheduled ones are those that wait in a queue, or are due later.
        queued: Runs that wait for a slot, by pool and queue.
        leases: Slots in use, by pool and queue.
        hosts: Living hosts by pool and state.
        slots: Requests for slots of limits by kind, name, and ``"held"`` or ``"waiting"``.
    """

    runs: dict[str, int] = field(default_factory=dict[str, int])
    queued: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    leases: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    hosts: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    slots: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])


class CensusRecords(Protocol):
    """See the module."""

    def census(self) -> Census: ...
