"""Concurrency limits that running code takes slots of: who has some, and whose turn it is.

A limit is on a tag (a task run with that tag takes one slot) or has a name of its own (code takes
slots of it where it says so). What is in use is counted from the leases, each time anew.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from math import inf

from msgspec import Struct, field

LIMIT_MOST = 1_000_000_000
"""Slots of a limit at the most."""
NAMES_MOST = 100
"""Limits of one request at the most."""
ROUNDING = 1e-9
"""Slots by which a decay may be short of what was asked: sums of floats are not exact."""


class LimitKind(StrEnum):
    """What a limit is on: the task runs with a ``TAG``, or the code that asks for its ``NAME``."""

    TAG = "tag"
    NAME = "name"


class Limit(Struct, kw_only=True):
    """A concurrency limit.

    Attributes:
        kind: What it is on.
        name: The tag, or its own name.
        slots: Slots that can be held at a time.
        decay: Slots per second that come back by themselves after `rate_limit`; 0: it is no
            rate limit.
        active: Whether it holds; one that does not is as if it were not there.
        created: When it was made, seconds since the epoch.
    """

    kind: LimitKind
    name: str
    slots: int
    decay: float = 0.0
    active: bool = True
    created: float = 0.0


class SlotLease(Struct, kw_only=True):
    """Slots of one limit: asked for, held, or decaying.

    Attributes:
        id: The request; several limits may be asked for together.
        kind: The limit's.
        name: The limit's.
        slots: How many.
        place: Order of those that wait for the same limit; lower is earlier.
        asked: When, seconds since the epoch.
        acquired: When it got them; None while it waits.
        decays: Whether the slots come back by themselves, and not with the holder.
        drains_from: When these begin to come back; the ones before come first.
        drained: When the last of them is back.
        run_id: The flow run that has them; None for a script.
        attempt: The attempt that has them.
        host_id: The script that has them; None for a flow run.
        label: What they are for, for people.
    """

    id: str
    kind: LimitKind
    name: str
    slots: int
    place: int
    asked: float
    acquired: float | None = None
    decays: bool = False
    drains_from: float | None = None
    drained: float | None = None
    run_id: str | None = None
    attempt: int = 0
    host_id: str | None = None
    label: str = ""

    def in_use(self, now: float) -> float:
        """Return how many slots it takes at a time; with fractions while they decay."""
        if self.acquired is None:
            return 0.0
        if not self.decays:
            return float(self.slots)
        start, end = self.drains_from or 0.0, self.drained or 0.0
        if now >= end:
            return 0.0
        return self.slots * min(1.0, (end - now) / (end - start))


class Turns(Struct):
    """What `turns` found.

    Attributes:
        granted: Ids of the requests that get their slots now, in order.
        next: When decay makes room for another, seconds since the epoch; infinite for never.
    """

    granted: list[str] = field(default_factory=list[str])
    next: float = inf


def turns(limits: Mapping[str, Limit], leases: Iterable[SlotLease], now: float) -> Turns:
    """Say who of those that wait is next, and grant it in ``leases``.

    First come, first served: who does not fit into a limit holds back all that came later and
    want that one too, so that many small requests never starve a large one. In the limits that
    have room for it, it holds back nobody. Who wants more than a limit will ever have waits, but
    holds back nobody at all.

    Args:
        limits: Of one kind, by name: all that those in ``leases`` want. One that is missing or
            not active has room for all.
        leases: All of these limits, those that wait and those that are held.
        now: Seconds since the epoch.
    """
    found = Turns()
    use = dict.fromkeys(limits, 0.0)
    held: dict[str, list[SlotLease]] = {}
    waiting: dict[tuple[int, str], list[SlotLease]] = {}
    for lease in leases:
        if lease.acquired is None:
            waiting.setdefault((lease.place, lease.id), []).append(lease)
        elif lease.name in limits:
            use[lease.name] += lease.in_use(now)
            held.setdefault(lease.name, []).append(lease)
    shut: set[str] = set()
    for (_, request), wanted in sorted(waiting.items()):
        bound = [one for one in wanted if _binds(limits.get(one.name))]
        full = [one for one in bound if not _fits(limits[one.name], use[one.name], one.slots)]
        if full or any(one.name in shut for one in bound):
            if all(one.slots <= limits[one.name].slots for one in bound):
                fresh = [one for one in full if one.name not in shut]
                shut.update(one.name for one in full)
                found.next = min([found.next, *(_room_at(limits, held, one) for one in fresh)])
            continue
        for one in wanted:
            _grant(one, limits.get(one.name), held.setdefault(one.name, []), now)
            use[one.name] = use.get(one.name, 0.0) + one.slots
        found.granted.append(request)
    return found


def _binds(limit: Limit | None) -> bool:
    return limit is not None and limit.active


def _fits(limit: Limit, used: float, slots: int) -> bool:
    return used + slots <= limit.slots + ROUNDING


def _grant(lease: SlotLease, limit: Limit | None, held: list[SlotLease], now: float) -> None:
    lease.acquired = now
    if lease.decays:
        # One after the other: the slots of a limit come back at its decay, however many are out.
        before = max((one.drained for one in held if one.drained is not None), default=now)
        lease.drains_from = max(now, before)
        decay = limit.decay if limit is not None else 0.0
        lease.drained = lease.drains_from + (lease.slots / decay if decay else 0.0)
    held.append(lease)


def _room_at(
    limits: Mapping[str, Limit], held: Mapping[str, Sequence[SlotLease]], lease: SlotLease
) -> float:
    """When decay alone makes room for a request in one limit; infinite for never."""
    target = limits[lease.name].slots - lease.slots
    mine = held.get(lease.name, ())
    target -= sum(one.slots for one in mine if not one.decays)
    if target < 0:
        return inf
    left = 0.0
    at = inf
    # From the last to come back to the first: what comes after one is still out when it is back.
    for one in sorted(_decaying(mine), key=lambda each: each.drained or 0.0, reverse=True):
        start, end = one.drains_from or 0.0, one.drained or 0.0
        if left + one.slots > target:
            return end - (target - left) / one.slots * (end - start)
        left += one.slots
    return at


def _decaying(leases: Collection[SlotLease]) -> list[SlotLease]:
    return [one for one in leases if one.decays]
