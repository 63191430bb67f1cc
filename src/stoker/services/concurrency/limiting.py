"""Slots of limits: asked for, granted in turn, given back."""

from collections.abc import Iterable, Sequence
from math import inf

from msgspec import Struct, structs

from stoker.domain.concurrency import LIMIT_MOST, NAMES_MOST, Limit, LimitKind, SlotLease, turns
from stoker.domain.errors import Conflict, Invalid, NotFound
from stoker.domain.requests import AcquireSlots, Slots
from stoker.ports.store import DroppedSlots, Records
from stoker.services.unit import Unit

REMEMBERED = 60.0
"""Seconds for which slots that are back are kept: who took them may ask for its answer again."""

COMMANDS = {
    LimitKind.TAG: "stoker concurrency-limit",
    LimitKind.NAME: "stoker global-concurrency-limit",
}


class Moved(Conflict):
    """Somebody else was quicker: the transaction is to be run again."""


class Holder(Struct, frozen=True, kw_only=True):
    """Who asks for slots: an attempt of a flow run, or a script."""

    run_id: str | None = None
    attempt: int = 0
    host_id: str | None = None


class Waits(Struct, frozen=True, kw_only=True):
    """A request that has to wait.

    Attributes:
        asked: When it was made first, seconds since the epoch.
        limited: The limits that there are.
        next: When the decay of slots makes room for one that waits there.
    """

    asked: float
    limited: list[str]
    next: float = inf


def need_limit(records: Records, kind: LimitKind, name: str) -> Limit:
    """Return a limit, or raise `NotFound` with what to do."""
    limit = records.limit(kind, name)
    if limit is None:
        what = "tag" if kind is LimitKind.TAG else "name"
        raise NotFound(
            f"there is no concurrency limit on the {what} {name!r}; `{COMMANDS[kind]} ls` lists "
            f"those there are, `{COMMANDS[kind]} create` makes one"
        )
    return limit


def ask(unit: Unit, request: AcquireSlots, holder: Holder) -> Slots | Waits:
    """Take slots, or a place among those that wait. The same request may be made again.

    Raises:
        NotFound: ``strict``, and a limit does not exist.
        Invalid: The request can never be fulfilled.
        Conflict: The attempt or the script that asks is over.
        Moved: To be run again.
    """
    _check(request)
    records = unit.records
    lock(records, request.kind, request.names)
    known = records.slots_of_request(request.id)
    if known:
        return _answer_again(known, holder)
    limits = _limits(records, request)
    _check_holder(records, holder)
    if not limits:
        return Slots(granted=True)
    place = records.last_place() + 1
    leases = [
        SlotLease(
            id=request.id,
            kind=request.kind,
            name=name,
            slots=request.slots,
            place=place,
            asked=unit.now,
            decays=request.decays,
            run_id=holder.run_id,
            attempt=holder.attempt,
            host_id=holder.host_id,
            label=request.label[:200],
        )
        for name in limits
    ]
    records.put_slot_leases(leases)
    next_at = grant(unit, request.kind, limits)
    if request.id in unit.granted:
        return Slots(granted=True, limited=list(limits))
    return Waits(asked=unit.now, limited=list(limits), next=next_at)


def _check(request: AcquireSlots) -> None:
    if not 1 <= len(request.names) <= NAMES_MOST:
        raise Invalid(f"names must hold 1 to {NAMES_MOST} limits, not {len(request.names)}")
    if not 1 <= request.slots <= LIMIT_MOST:
        raise Invalid(f"slots must be 1 to {LIMIT_MOST}, not {request.slots}")
    if not request.id or len(request.id) > 100:
        raise Invalid("id must have 1 to 100 characters")


def _answer_again(known: list[SlotLease], holder: Holder) -> Slots | Waits:
    first = known[0]
    limited = [one.name for one in known]
    if (first.run_id, first.attempt, first.host_id) != structs.astuple(holder):
        raise Conflict("this request was made by somebody else")
    if first.acquired is None:
        return Waits(asked=first.asked, limited=limited)
    return Slots(granted=True, limited=limited)


def _limits(records: Records, request: AcquireSlots) -> dict[str, Limit]:
    """The active limits of a request that can be fulfilled."""
    found: dict[str, Limit] = {}
    for name in dict.fromkeys(request.names):
        limit = records.limit(request.kind, name)
        if limit is None:
            if request.strict:
                need_limit(records, request.kind, name)
            continue
        if not limit.active:
            continue
        if request.decays and not limit.decay:
            raise Invalid(
                f"the limit {name!r} has no slot decay, so rate_limit() would take its slots for "
                f"ever; give it one: `{COMMANDS[limit.kind]} update {name} "
                "--slot-decay-per-second N`"
            )
        if limit.slots and request.slots > limit.slots:
            raise Invalid(
                f"the limit {name!r} has {limit.slots} slots, and {request.slots} are asked for: "
                "they could never be granted"
            )
        found[name] = limit
    return found


def _check_holder(records: Records, holder: Holder) -> None:
    if holder.run_id is not None:
        if not records.holds_attempt(holder.run_id, holder.attempt):
            raise Conflict(f"attempt {holder.attempt} of flow run {holder.run_id} is over")
    elif holder.host_id is None or not records.holds_host(holder.host_id):
        raise NotFound(f"script {holder.host_id} is not known")


def give_back(unit: Unit, request_id: str, holder: Holder) -> None:
    """End a request, whether it has its slots or waits for them; others' are not its to end."""
    known = unit.records.slots_of_request(request_id)
    if known and (known[0].run_id, known[0].host_id) == (holder.run_id, holder.host_id):
        _dropped(unit, unit.records.drop_slots_of_request(request_id))


def give_up(unit: Unit, request: AcquireSlots, holder: Holder) -> bool:
    """End a request whose time is over; False where it has got its slots in the last moment."""
    lock(unit.records, request.kind, request.names)
    known = unit.records.slots_of_request(request.id)
    if known and known[0].acquired is not None:
        return False
    give_back(unit, request.id, holder)
    return True


def attempts_ended(unit: Unit, run_ids: Sequence[str]) -> None:
    """Attempts are over: so are their requests."""
    if run_ids:
        _dropped(unit, unit.records.drop_slots_of_runs(run_ids))


def script_ended(unit: Unit, host_id: str) -> None:
    """A script has ended: so have its requests."""
    _dropped(unit, unit.records.drop_slots_of_script(host_id))


def _dropped(unit: Unit, dropped: list[DroppedSlots]) -> None:
    for one in dropped:
        unit.freed.add((one.kind, one.name))
        if one.request not in unit.given_up:
            unit.given_up.append(one.request)


def grant(unit: Unit, kind: LimitKind, names: Iterable[str]) -> float:
    """Give slots to those whose turn it is.

    Returns when the decay of slots makes room for another, seconds since the epoch.

    Raises:
        Moved: To be run again.
    """
    records = unit.records
    records.drop_drained(unit.now - REMEMBERED)
    connected = _connected(records, kind, names)
    lock(records, kind, connected)
    if _connected(records, kind, connected) != connected:
        raise Moved("others have asked for slots meanwhile")
    leases = [one for name in connected for one in records.slot_leases(kind, name, unit.now)]
    if all(one.acquired is not None for one in leases):
        return inf
    limits = {name: records.limit(kind, name) for name in connected}
    found = turns({name: one for name, one in limits.items() if one is not None}, leases, unit.now)
    granted = set(found.granted)
    records.grant_slots([one for one in leases if one.id in granted])
    unit.granted += found.granted
    return found.next


def _connected(records: Records, kind: LimitKind, names: Iterable[str]) -> set[str]:
    """The limits with all that those want besides who wait for one of them."""
    found, fresh = set[str](), set(names)
    while fresh:
        found |= fresh
        wanted = {each for name in fresh for each in records.limits_of_waiters(kind, name)}
        fresh = wanted - found
    return found


def lock(records: Records, kind: LimitKind, names: Iterable[str]) -> None:
    """Let nobody else judge by the use of these limits in the meantime."""
    records.lock(*(f"limit:{kind}:{name}" for name in names))
