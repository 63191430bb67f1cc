"""Making and changing concurrency limits."""

from math import isfinite

from msgspec import structs

from stoker.domain.concurrency import LIMIT_MOST, Limit, LimitKind
from stoker.domain.errors import Conflict, Invalid
from stoker.services.concurrency.limiting import COMMANDS, lock, need_limit
from stoker.services.naming import check_name
from stoker.services.unit import Unit


def create_limit(unit: Unit, limit: Limit) -> Limit:
    """Store a new limit; whom it makes room for is next.

    Raises:
        Conflict: The name is taken.
        Invalid: A value is impossible.
    """
    lock(unit.records, limit.kind, [limit.name])
    if unit.records.limit(limit.kind, limit.name) is not None:
        raise Conflict(
            f"there is a limit {limit.name!r} already; change it with "
            f"`{COMMANDS[limit.kind]} update`"
        )
    check_name(limit.name, "concurrency limit")
    limit.created = unit.now
    return _put(unit, limit)


def update_limit(
    unit: Unit,
    kind: LimitKind,
    name: str,
    *,
    slots: int | None = None,
    decay: float | None = None,
    active: bool | None = None,
) -> Limit:
    """Change what is given of a limit. Slots that are held stay so; who waits is looked at again.

    Raises:
        NotFound: There is no such limit.
        Invalid: A value is impossible.
    """
    lock(unit.records, kind, [name])
    limit = need_limit(unit.records, kind, name)
    given = {"slots": slots, "decay": decay, "active": active}
    changes = {key: value for key, value in given.items() if value is not None}
    return _put(unit, structs.replace(limit, **changes))


def _put(unit: Unit, limit: Limit) -> Limit:
    if not 0 <= limit.slots <= LIMIT_MOST:
        raise Invalid(f"slots must be 0 to {LIMIT_MOST}, not {limit.slots}; 0 lets nobody through")
    if not (isfinite(limit.decay) and 0 <= limit.decay <= LIMIT_MOST):
        raise Invalid(f"decay must be 0 to {LIMIT_MOST} slots per second, not {limit.decay:g}")
    if limit.kind is LimitKind.TAG and limit.decay:
        raise Invalid("decay is for limits with a name: a task run gives its slot back at its end")
    unit.records.put_limit(limit)
    unit.freed.add((limit.kind, limit.name))
    return limit


def delete_limit(unit: Unit, kind: LimitKind, name: str) -> None:
    """Forget a limit. Who waits for it goes on.

    Raises:
        NotFound: There is no such limit.
    """
    need_limit(unit.records, kind, name)
    unit.records.delete_limit(kind, name)
    unit.freed.add((kind, name))
