"""The warm policy: how many hosts are wanted, and which may leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.pools import WarmKnobs
from stoker.domain.warm_policy import IdleHost, LaneDemand, hosts_to_drain, once_knobs, wanted_hosts


@st.composite
def knobs(draw) -> WarmKnobs:
    least = draw(st.integers(0, 5))
    return WarmKnobs(
        min=least,
        max=draw(st.integers(max(1, least), 12)),
        buffer=draw(st.integers(0, 4)),
        slots_per_host=draw(st.integers(1, 8)),
        idle_timeout=draw(st.sampled_from([0.0, 10.0, 300.0])),
    )


@st.composite
def demands(draw) -> LaneDemand:
    queued = draw(st.integers(0, 60))
    return LaneDemand(
        busy=draw(st.integers(0, 60)), queued=queued, nested=draw(st.integers(0, queued))
    )


@pytest.mark.parametrize(
    ("options", "demand", "hosts"),
    [
        ({}, {}, 0),
        ({"min": 2}, {}, 2),
        ({}, {"queued": 1}, 1),
        ({}, {"queued": 8}, 1),
        ({}, {"queued": 9}, 2),
        ({}, {"busy": 8, "queued": 1}, 2),
        ({"buffer": 1}, {"busy": 8}, 2),
        ({"buffer": 1}, {}, 0),
        ({"max": 2}, {"queued": 100}, 2),
        ({"max": 2}, {"busy": 16, "queued": 1, "nested": 1}, 3),
        ({"max": 2}, {"busy": 8, "queued": 1, "nested": 1}, 2),
    ],
)
def test_the_number_of_hosts_wanted(options, demand, hosts):
    assert wanted_hosts(WarmKnobs(**options), LaneDemand(**demand)) == hosts


@given(knobs(), demands())
def test_wanted_stays_between_the_knobs(knob, demand):
    wanted = wanted_hosts(knob, demand)
    assert knob.min <= wanted <= knob.max + bool(demand.nested)
    if demand.busy + demand.queued:
        assert wanted >= 1


@given(knobs(), demands(), st.integers(1, 9))
def test_more_demand_never_wants_less(knob, demand, more):
    larger = LaneDemand(busy=demand.busy, queued=demand.queued + more, nested=demand.nested)
    assert wanted_hosts(knob, larger) >= wanted_hosts(knob, demand)


@given(knobs(), demands(), st.integers(0, 15), st.data())
def test_drains_leave_what_is_wanted(knob, demand, present, data):
    """``present`` counts the hosts in flight, which are not idle: they stay."""
    ages = data.draw(st.lists(st.floats(0, 1000), max_size=present))
    idle = [IdleHost(str(n), 1000.0 - age) for n, age in enumerate(ages)]
    leaving = hosts_to_drain(knob, demand, present, idle, 1000.0)
    since = {host.id: host.idle_since for host in idle}
    assert len(set(leaving)) == len(leaving)
    assert present - len(leaving) >= min(present, wanted_hosts(knob, demand))
    assert all(1000.0 - since[one] >= knob.idle_timeout for one in leaving)
    staying = [host.idle_since for host in idle if host.id not in leaving]
    if leaving and staying:
        assert max(since[one] for one in leaving) <= min(staying), "the longest idle go first"


@given(knobs(), st.integers(0, 12))
def test_without_demand_the_old_go_down_to_the_least(knob, present):
    idle = [IdleHost(str(n), 0.0) for n in range(present)]
    leaving = hosts_to_drain(knob, LaneDemand(), present, idle, 10_000.0)
    assert present - len(leaving) == min(present, knob.min)


@pytest.mark.parametrize(
    ("options", "deployed", "numbers"),
    [
        ({}, True, (1, 32, 1)),
        ({}, False, (0, 32, 0)),
        ({"buffer": 3}, True, (3, 32, 3)),
        ({"min": 5, "max": 5, "slots_per_host": 2}, True, (1, 10, 1)),
        ({"max": 1, "slots_per_host": 1, "buffer": 9}, True, (1, 1, 1)),
    ],
)
def test_hosts_that_take_one_run_have_knobs_of_their_own(options, deployed, numbers):
    found = once_knobs(WarmKnobs(**options), deployed=deployed)
    assert (found.min, found.max, found.buffer) == numbers
    assert found.slots_per_host == 1


def test_worn_hosts_leave_before_those_that_have_been_idle_for_longer():
    idle = [IdleHost("old", 0.0), IdleHost("worn", 5.0, worn=True)]
    assert hosts_to_drain(WarmKnobs(min=1), LaneDemand(), 2, idle, 1000.0) == ["worn"]
