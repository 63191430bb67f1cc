"""Counting events within a time, and noticing their absence."""

from bisect import bisect_left
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.automations import EventTrigger as sdk_trigger
from stoker.domain.automation.triggers import (
    EventTrigger,
    FlowRunStateTrigger,
    Posture,
    as_event_trigger,
    check_trigger,
    key_of,
    matches,
)
from stoker.domain.automation.windows import Window, advance, armed, concerns
from stoker.domain.errors import Invalid
from stoker.domain.events import Event, Resource

TIMES = st.lists(st.integers(0, 200), max_size=60).map(sorted)


def an_event(at: float = 0.0, event: str = "x", resource: str = "a", **fields) -> Event:
    return Event(event=event, at=at, resource=Resource("file", resource), **fields)


def play(trigger: EventTrigger, events: list[Event]) -> tuple[list[float], Window | None]:
    """Return when a trigger fires for events in order, and what it remembers then."""
    window, fired = None, []
    for event in events:
        while window is not None and window.due is not None and window.due < event.at:
            if trigger.posture is Posture.PROACTIVE:
                fired.append(window.due)
            window = None
        if concerns(trigger, event):
            step = advance(trigger, "id", "", window, event)
            window = step.window
            if step.fires:
                fired.append(event.at)
    return fired, window


@given(TIMES, st.integers(1, 5), st.integers(1, 30))
def test_a_reactive_trigger_fires_at_the_first_event_that_makes_so_many_in_time(
    times, threshold, within
):
    trigger = EventTrigger(expect=["x"], threshold=threshold, within=within)
    fired, _ = play(trigger, [an_event(at) for at in times])
    expected, counted = [], []
    for at in times:
        counted.append(at)
        if len(counted) - bisect_left(counted, at - within) >= threshold:
            expected.append(at)
            counted = []
    assert fired == expected


@given(st.permutations(range(5)))
def test_events_that_come_out_of_order_are_counted_all_the_same(order):
    trigger = EventTrigger(expect=["x"], threshold=5, within=4)
    window, fired = None, False
    for at in order:
        step = advance(trigger, "id", "", window, an_event(at))
        window, fired = step.window, step.fires
    assert fired


@given(TIMES, st.integers(1, 5))
def test_without_a_time_every_so_many_events_fire(times, threshold):
    trigger = EventTrigger(expect=["x"], threshold=threshold)
    fired, _ = play(trigger, [an_event(at) for at in times])
    assert len(fired) == len(times) // threshold


@given(TIMES, st.integers(1, 30))
def test_silence_fires_once_at_its_time(times, within):
    """Without a beginning of its own: after each event a silence longer than the time fires."""
    trigger = EventTrigger(expect=["x"], posture=Posture.PROACTIVE, within=within)
    window = armed(trigger, "id", 0.0)
    fired = []
    for at in times:
        if window is not None and window.due is not None and window.due < at:
            fired.append(window.due)
            window = None
        window = advance(trigger, "id", "", window, an_event(at)).window
    starts = [0, *times]
    expected = [a + within for a, b in pairwise(starts) if b - a > within]
    assert fired == expected
    assert window is not None
    assert window.due == starts[-1] + within


def test_what_is_expected_after_something_ends_the_wait():
    trigger = EventTrigger(expect=["end"], after=["begin"], posture=Posture.PROACTIVE, within=10)
    begun = [an_event(1, "begin"), an_event(5, "begin"), an_event(6, "other")]
    window = play(trigger, begun)[1]
    assert window is not None
    assert window.due == 11
    assert play(trigger, [*begun, an_event(9, "end")]) == ([], None)
    assert play(trigger, [*begun, an_event(12, "end")])[0] == [11]
    assert play(trigger, [an_event(9, "end")]) == ([], None)


def test_a_wait_ends_when_enough_have_come():
    trigger = EventTrigger(
        expect=["end"], after=["begin"], posture=Posture.PROACTIVE, within=10, threshold=2
    )
    begun = [an_event(1, "begin"), an_event(2, "end")]
    assert play(trigger, [*begun, an_event(3, "end")]) == ([], None)
    assert play(trigger, [*begun, an_event(30, "begin")])[0] == [11]


def test_a_wait_remembers_what_it_began_with():
    trigger = EventTrigger(expect=["end"], after=["begin"], posture=Posture.PROACTIVE, within=10)
    window = play(trigger, [an_event(1, "begin", "this")])[1]
    assert window is not None
    assert window.event is not None
    assert window.event.resource.id == "this"


def test_only_one_that_waits_for_nothing_begins_by_itself():
    waits = EventTrigger(expect=["x"], posture=Posture.PROACTIVE, within=5)
    assert armed(waits, "id", 100.0) == Window(automation_id="id", due=105.0)
    for other in (
        EventTrigger(expect=["x"]),
        EventTrigger(expect=["x"], posture=Posture.PROACTIVE, within=5, after=["y"]),
        EventTrigger(expect=["x"], posture=Posture.PROACTIVE, within=5, for_each=["resource"]),
    ):
        assert armed(other, "id", 100.0) is None


def test_labels_match_and_tell_apart():
    event = an_event(
        flow="etl", deployment="etl/prod", pool="p", tags=["prod", "eu"], payload={"n": {"m": 1}}
    )
    for match in (
        {"flow": "e*", "tags": ["prod", "eu"]},
        {"deployment": ["x", "etl/*"]},
        {"payload.n.m": "1", "kind": "file"},
        {"queue": "!default"},
    ):
        assert matches(EventTrigger(match=match), event)
    for match in ({"flow": "load"}, {"tags": ["prod", "us"]}, {"queue": "*"}, {"payload.x": "1"}):
        assert not matches(EventTrigger(match=match), event)
    trigger = EventTrigger(for_each=["resource", "payload.n.m", "tags"])
    assert key_of(trigger, event) == "a\x1f1\x1fprod\x1eeu"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("threshold", {"threshold": 0}),
        ("threshold", {"threshold": 10_001}),
        ("within", {"within": -1}),
        ("within", {"within": 1e12}),
        ("within", {"posture": Posture.PROACTIVE, "expect": ["x"]}),
        ("expect", {"posture": Posture.PROACTIVE, "within": 1}),
        ("after", {"after": ["x"]}),
        ("match", {"match": {"nonsense": "x"}}),
        ("match", {"match": {"payload.": "x"}}),
        ("match.flow", {"match": {"flow": ""}}),
        ("match.flow", {"match": {"flow": "\x00"}}),
        ("for_each", {"for_each": ["nonsense"]}),
        ("expect", {"expect": ["x"] * 101}),
        ("expect", {"expect": ["x" * 501]}),
    ],
)
def test_a_trigger_that_cannot_work_is_refused_by_its_field(field, fields):
    with pytest.raises(Invalid, match=rf"trigger\.{field}: "):
        check_trigger(EventTrigger(**fields))


def test_states_are_short_for_events():
    with pytest.raises(Invalid, match=r"trigger\.states"):
        check_trigger(FlowRunStateTrigger(states=[]))
    whole = as_event_trigger(FlowRunStateTrigger(states=["Failed", "Late"], threshold=2, within=3))
    assert whole == EventTrigger(expect=["flow-run.Failed", "flow-run.Late"], threshold=2, within=3)


def test_the_sdk_takes_times_and_single_names():
    given = sdk_trigger(expect="x", within=timedelta(minutes=1), for_each="resource")
    assert given == EventTrigger(expect=["x"], within=60, for_each=["resource"])
