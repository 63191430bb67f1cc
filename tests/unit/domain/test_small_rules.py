"""Identifiers, readable names, the start anatomy, and room under a limit."""

import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.anatomy import StartAnatomy, StartClass, classify
from stoker.domain.hosts import Host, HostState
from stoker.domain.ids import new_id
from stoker.domain.leases import has_room
from stoker.domain.names import readable_name
from stoker.domain.pools import Machine

MOMENTS = st.floats(0, 2e11)  # 48 bits of milliseconds reach the year 8900


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_their_time_and_within_a_second_by_their_order(one, two):
    first, second = new_id(one), new_id(two)
    if abs(one - two) > 2:
        assert (first < second) == (one < two)
    else:
        assert first != second
    assert new_id(one) < new_id(one)


@given(MOMENTS)
def test_ids_are_uuids_of_version_7_that_carry_their_time(at):
    found = uuid.UUID(new_id(at))
    assert str(found) == str(found).lower()
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert 0 <= (found.int >> 80) - int(at * 1000) <= 1000


def test_ids_of_one_moment_differ_and_keep_their_order():
    ids = [new_id(1.0) for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)


def test_names_are_two_words():
    first, _, second = readable_name().partition("-")
    assert first.isalpha()
    assert second.isalpha()


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ({}, StartClass.HOT),
        ({"handed_over": 2.0}, StartClass.HOT),
        ({"imported": 1.5}, StartClass.WARM),
        ({"registered": 1.5}, StartClass.COLD),
        ({"registered": 1.5, "imported": 1.6}, StartClass.COLD),
    ],
)
def test_the_class_of_a_start(stamps, expected):
    assert classify(StartAnatomy(submitted=1.0, **stamps)) is expected


def test_the_seconds_of_a_start_need_both_ends():
    assert StartAnatomy(submitted=1.0, first_line=1.5).seconds == 0.5
    assert StartAnatomy(submitted=1.0).seconds is None
    assert StartAnatomy(first_line=1.0).seconds is None


def test_room_under_a_limit():
    assert has_room(None, 10**6)
    assert has_room(2, 1)
    assert not has_room(2, 2)
    assert not has_room(0, 0)


def test_a_host_serves_all_queues_or_those_it_names():
    everything, some = Host(id="h", pool="p", lane="l"), Host(id="h", pool="p", lane="l")
    some.queues = ["a"]
    assert everything.serves("b")
    assert some.serves("a")
    assert not some.serves("b")


@pytest.mark.parametrize("state", HostState)
def test_a_host_is_present_until_it_leaves(state):
    gone = {HostState.DRAINING, HostState.UNREACHABLE, HostState.DEAD}
    assert Host(id="h", pool="p", lane="l", state=state).is_present == (state not in gone)


HERE = Machine("here", "boot", "1")


@pytest.mark.parametrize(
    ("other", "shares", "before"),
    [
        (HERE, True, False),
        (Machine("here", "boot", "2"), False, False),
        (Machine("here", "boot"), True, False),
        (Machine("here", "earlier", "1"), False, True),
        (Machine("there", "boot", "1"), False, False),
        (Machine("there", "earlier"), False, False),
    ],
)
def test_a_pid_means_something_on_one_machine_between_two_boots(other, shares, before):
    assert HERE.shares_pids(other) is shares
    assert other.shares_pids(HERE) is shares
    assert HERE.was_booted_since(other) is before


def test_a_machine_stored_by_an_earlier_version_is_read():
    found = msgspec.json.decode(b'{"name": "here", "boot_id": "boot"}', type=Machine)
    assert HERE.shares_pids(found)
