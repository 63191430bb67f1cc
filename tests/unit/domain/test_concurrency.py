"""Whose turn it is for the slots of limits, and when decay makes room."""

from math import inf
from typing import Any

import pytest

from stoker.domain.concurrency import Limit, LimitKind, SlotLease, Turns, turns

NAME = LimitKind.NAME


def limits(**slots: int) -> dict[str, Limit]:
    return {name: Limit(kind=NAME, name=name, slots=count) for name, count in slots.items()}


def rate(slots: int, decay: float) -> dict[str, Limit]:
    return {"a": Limit(kind=NAME, name="a", slots=slots, decay=decay)}


def lease(id: str, name: str = "a", place: int = 1, **fields: Any) -> SlotLease:
    fields = {"slots": 1, "asked": 0.0, **fields}
    return SlotLease(id=id, kind=NAME, name=name, place=place, **fields)


def test_first_come_first_served() -> None:
    waiting = [lease("third", place=3), lease("first", place=1), lease("second", place=2)]
    assert turns(limits(a=2), waiting, 5.0) == Turns(granted=["first", "second"])
    assert [one.acquired for one in waiting] == [None, 5.0, 5.0]


def test_a_large_request_is_not_passed_by_small_ones() -> None:
    leases = [
        lease("held", acquired=1.0),
        lease("large", place=2, slots=3),
        lease("small", place=3),
    ]
    assert turns(limits(a=3), leases, 5.0).granted == []


def test_who_wants_more_than_there_will_ever_be_holds_back_nobody() -> None:
    leases = [lease("never", slots=4), lease("small", place=2)]
    assert turns(limits(a=3), leases, 5.0).granted == ["small"]


def test_several_limits_are_had_all_or_none() -> None:
    leases = [
        lease("held", "a", acquired=1.0),
        lease("both", "a", 2),
        lease("both", "b", 2),
        lease("one", "b", 3),
        lease("last", "a", 4),
    ]
    assert turns(limits(a=1, b=1), leases, 5.0).granted == ["one"]
    assert turns(limits(a=2, b=1), [*leases[:3], leases[4]], 6.0).granted == ["both"]


def test_a_limit_that_is_gone_or_off_has_room_for_all() -> None:
    off = limits(a=0)
    off["a"].active = False
    assert turns(off, [lease("x"), lease("y", "gone", 2)], 5.0).granted == ["x", "y"]


def test_slots_decay_one_after_the_other() -> None:
    leases = [lease(f"{n}", place=n, decays=True) for n in range(3)]
    found = turns(rate(2, 0.5), leases, 10.0)
    assert found.granted == ["0", "1"]
    assert found.next == pytest.approx(12.0)
    assert [one.drained for one in leases] == [12.0, 14.0, None]
    assert sum(one.in_use(11.0) for one in leases) == pytest.approx(1.5)
    assert turns(rate(2, 0.5), leases, 11.9).granted == []
    assert turns(rate(2, 0.5), leases, 12.0).granted == ["2"]
    assert leases[2].drained == 16.0
    assert sum(one.in_use(16.0) for one in leases) == 0


def test_decay_is_waited_for_as_long_as_it_takes() -> None:
    out = [
        lease("x", slots=2, acquired=0.0, decays=True, drains_from=0.0, drained=4.0),
        lease("y", slots=2, acquired=0.0, decays=True, drains_from=4.0, drained=8.0),
    ]
    at = lambda slots, now: turns(rate(4, 0.5), [*out, lease("z", place=2, slots=slots)], now).next  # noqa: E731
    assert [at(1, 0.0), at(2, 0.0), at(3, 0.0), at(4, 0.0)] == [2.0, 4.0, 6.0, 8.0]
    held = lease("held", slots=2, acquired=0.0)
    assert turns(rate(4, 0.5), [*out, held, lease("z", place=2, slots=2)], 0.0).next == 8.0
    assert turns(rate(4, 0.5), [*out, held, lease("z", place=2, slots=3)], 0.0).next == inf
