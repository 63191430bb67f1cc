"""The contract of events and automations: what every store must do with them."""

import pytest

from stoker.domain.automation.actions import CallWebhook, PauseWorkPool
from stoker.domain.automation.automations import Automation
from stoker.domain.automation.deliveries import Delivery, DeliveryState, Firing
from stoker.domain.automation.triggers import EventTrigger
from stoker.domain.automation.windows import Window
from stoker.domain.events import Event, Resource

FULL = Event(
    event="flow-run.Failed",
    at=12.5,
    resource=Resource("flow-run", "r1", "amber-heron"),
    flow="f",
    deployment="f/d",
    pool="p",
    queue="q",
    run_id="r1",
    tags=["prod", "ä"],
    payload={"message": "it's 100 % \u0000 wrong", "n": [1, None]},
    depth=2,
)


def an_event(resource: str = "a", at: float = 1.0) -> Event:
    return Event(event="x", at=at, resource=Resource("file", resource))


def an_automation(name: str = "n", **fields) -> Automation:
    fields = {"trigger": EventTrigger(expect=["x"]), "actions": [PauseWorkPool()], **fields}
    return Automation(id=fields.pop("id", f"id-{name}"), name=name, **fields)


def a_delivery(id: str = "d.0", automation: str = "a", *, run_id=None, **fields) -> Delivery:
    firing = Firing(
        id=id.partition(".")[0],
        automation_id=automation,
        automation="n",
        at=fields.pop("at", 1.0),
        event=FULL,
        depth=fields.pop("depth", 1),
    )
    place = int(id.partition(".")[2])
    action = CallWebhook(url="http://example.org/", secret="s")
    return Delivery(id=id, firing=firing, action=action, place=place, run_id=run_id, **fields)


@pytest.fixture
def do(store):
    return lambda work: store.write(work).result(10)


@pytest.fixture
def read(store):
    return lambda work: store.read(work).result(10)


def test_events_come_back_as_they_were_in_their_order(do, read):
    assert read(lambda records: (records.last_event(), records.oldest_event())) == (0, None)
    do(lambda records: records.add_events([FULL, an_event()]))
    do(lambda records: records.add_events([an_event("b")]))
    horizon = read(lambda records: records.event_horizon())
    found = read(lambda records: records.events_after(0, horizon, 10))
    ids = [event.id for event in found]
    assert ids == sorted(set(ids))
    assert [event.resource.id for event in found] == ["r1", "a", "b"]
    first = found[0]
    first.id = 0
    assert first == FULL
    assert horizon == ids[-1] == read(lambda records: records.last_event())
    assert read(lambda records: records.oldest_event()) == ids[0]


def test_events_are_read_by_page_from_both_ends(do, read):
    do(lambda records: records.add_events([an_event("ab"[n % 2], n) for n in range(10)]))
    ids = [event.id for event in read(lambda records: records.events_after(0, 2**62, 100))]

    def of(events):
        return [event.id for event in events]

    assert of(read(lambda records: records.events_after(ids[3], ids[8], 3))) == ids[4:7]
    assert of(read(lambda records: records.events_after(ids[3], ids[5], 30))) == ids[4:6]
    assert of(read(lambda records: records.events_after(0, ids[9], 30, "b"))) == ids[1::2]
    assert of(read(lambda records: records.events_before(ids[3], 2))) == ids[2:0:-1]
    assert of(read(lambda records: records.events_before(2**62, 2, "a"))) == [ids[8], ids[6]]


def test_what_fails_leaves_no_event(store, read):
    def work(records):
        records.add_events([an_event()])
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        store.write(work).result(10)
    assert read(lambda records: records.events_before(2**62, 10)) == []


def test_an_automation_is_found_by_name_and_id(do, read):
    one = an_automation("b", description="d", suppressed=3, problem="p")
    do(lambda records: records.put_automation(one))
    do(lambda records: records.put_automation(an_automation("a")))
    assert read(lambda records: records.automation("b")) == one
    assert read(lambda records: records.automation("id-b")) == one
    assert read(lambda records: records.automation("c")) is None
    assert [found.name for found in read(lambda records: records.automations())] == ["a", "b"]
    one.name = "c"
    do(lambda records: records.put_automation(one))
    assert [found.name for found in read(lambda records: records.automations())] == ["a", "c"]


def test_windows_are_kept_by_key_and_time(do, read):
    windows = [
        Window(automation_id="a", key="1", due=5.0, times=[1.0, 2.5]),
        Window(automation_id="a", key="2", event=FULL),
        Window(automation_id="b", due=3.0),
    ]
    for window in windows:
        do(lambda records, window=window: records.put_window(window))
    assert read(lambda records: records.window("a", "1")) == windows[0]
    assert read(lambda records: records.window("a", "2")) == windows[1]
    assert read(lambda records: records.window("c", "1")) is None
    assert read(lambda records: records.next_window_due()) == 3.0
    assert read(lambda records: records.due_windows(2.9, 10)) == []
    assert read(lambda records: records.due_windows(5.0, 10)) == [windows[2], windows[0]]
    assert read(lambda records: records.due_windows(5.0, 1)) == [windows[2]]
    do(lambda records: records.postpone_windows(4.0))
    assert read(lambda records: records.next_window_due()) == 4.0
    assert read(lambda records: records.window("b", "")).due == 4.0
    assert read(lambda records: records.window("a", "1")).due == 5.0
    windows[0].due = None
    do(lambda records: records.put_window(windows[0]))
    do(lambda records: records.delete_window("b", ""))
    assert read(lambda records: records.next_window_due()) is None
    do(lambda records: records.delete_windows("a"))
    assert read(lambda records: records.window("a", "1")) is None


def test_readers_remember_their_places(do, read):
    assert read(lambda records: records.reader_position("r")) is None
    do(lambda records: records.move_reader("r", 5))
    do(lambda records: records.move_reader("s", 6))
    do(lambda records: records.move_reader("r", 7))
    assert read(lambda records: records.reader_position("r")) == 7


def test_deliveries_are_due_until_they_are_done(do, read):
    one = a_delivery("d.0", due=5.0)
    two = a_delivery("d.1", due=4.0)
    for each in (one, two):
        do(lambda records, each=each: records.put_delivery(each))
    assert read(lambda records: records.delivery("d.0")) == one
    assert read(lambda records: records.delivery("x")) is None
    assert read(lambda records: records.next_delivery_due()) == 4.0
    assert read(lambda records: records.due_deliveries(3.0, 10)) == []
    assert read(lambda records: records.due_deliveries(5.0, 10)) == [two, one]
    assert read(lambda records: records.due_deliveries(5.0, 1)) == [two]
    two.claimed_until = 9.0
    assert do(lambda records: records.change_delivery(two))
    assert read(lambda records: records.due_deliveries(8.0, 10)) == [one]
    assert read(lambda records: records.due_deliveries(9.0, 10)) == [two, one]
    one.state, one.ended, one.error = DeliveryState.DEAD, 9.5, "gone"
    assert do(lambda records: records.change_delivery(one))
    assert read(lambda records: records.next_delivery_due()) == 9.0
    assert read(lambda records: records.due_deliveries(99.0, 10)) == [two]
    assert read(lambda records: records.delivery("d.0")) == one
    late = a_delivery("d.0", due=50.0)
    assert not do(lambda records: records.change_delivery(late)), "it is over"
    assert not do(lambda records: records.change_delivery(a_delivery("d.9"))), "it is forgotten"
    assert read(lambda records: records.due_deliveries(99.0, 10)) == [two]


def test_deliveries_of_an_automation_are_listed_and_its_firings_counted(do, read):
    for each in (
        a_delivery("a.0", at=1.0),
        a_delivery("a.1", at=1.0),
        a_delivery("b.0", at=2.0, depth=3, run_id="r9"),
        a_delivery("c.0", "other", at=3.0),
    ):
        do(lambda records, each=each: records.put_delivery(each))
    listed = read(lambda records: records.deliveries("a", 2))
    assert [one.id for one in listed] == ["b.0", "a.1"]
    assert read(lambda records: records.firings_since("a", 0.5)) == 2
    assert read(lambda records: records.firings_since("a", 1.0)) == 1
    assert read(lambda records: records.depth_of_run("r9")) == 3
    assert read(lambda records: records.depth_of_run("r8")) == 0


def test_a_deleted_automation_has_nothing_to_do_any_more(do, read):
    do(lambda records: records.put_automation(an_automation("n", id="a")))
    do(lambda records: records.put_window(Window(automation_id="a", due=1.0)))
    do(lambda records: records.put_delivery(a_delivery("p.0")))
    done = a_delivery("q.0", state=DeliveryState.DONE, ended=3.0)
    do(lambda records: records.put_delivery(done))
    do(lambda records: records.delete_automation("a"))
    assert read(lambda records: records.automation("n")) is None
    assert read(lambda records: records.next_window_due()) is None
    assert read(lambda records: records.next_delivery_due()) is None
    assert read(lambda records: records.delivery("q.0")) == done
