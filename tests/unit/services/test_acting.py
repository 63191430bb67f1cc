"""What automations do within the store: once, and as it is noted."""

from stoker.domain.automation.actions import (
    Action,
    PauseDeployment,
    PauseSchedule,
    PauseWorkQueue,
    ResumeDeployment,
    ResumeSchedule,
)
from stoker.domain.automation.deliveries import Delivery, DeliveryState, Firing
from stoker.domain.events import Event, Resource
from stoker.domain.schedules import Schedule
from stoker.services.automations import outbox


def act(world, action: Action, deployment: str | None = "f/d") -> Delivery:
    """An automation has fired for an event of a deployment: have it do what it does."""
    event = Event(event="x", at=1.0, resource=Resource("file", "a"), deployment=deployment)
    firing = Firing(id="f", automation_id="a", automation="n", at=1.0, event=event)
    id = f"f.{world.now}"
    world.now += 1
    world.do(lambda unit: unit.records.put_delivery(Delivery(id=id, firing=firing, action=action)))
    world.do(lambda unit: outbox.act_on(unit, id, lambda _: ""))
    return world.read(lambda records: records.delivery(id))


def active(world) -> dict[str, bool]:
    deployment_id = world.deployment_id("f/d")
    found = world.read(lambda records: records.schedules_of(deployment_id))
    return {one.slug: one.schedule.active for one in found}


def test_all_schedules_of_a_deployment_are_paused_and_resumed(world):
    world.deployment(schedules=[Schedule(interval=9.0, slug="a"), Schedule(interval=9.0, slug="b")])
    done = act(world, PauseDeployment())
    assert (done.state, done.attempts) == (DeliveryState.DONE, 1)
    assert done.outcome == "schedules of f/d are paused: a, b"
    assert active(world) == {"a": False, "b": False}
    assert world.read(lambda records: records.next_schedule()) is None
    act(world, ResumeDeployment(deployment="f/d"), deployment=None)
    assert active(world) == {"a": True, "b": True}
    assert world.read(lambda records: records.next_schedule()) > world.now


def test_one_schedule_is_paused_and_resumed(world):
    world.deployment(schedules=[Schedule(interval=9.0, slug="a"), Schedule(interval=9.0, slug="b")])
    act(world, PauseSchedule(schedule="b"))
    assert active(world) == {"a": True, "b": False}
    act(world, ResumeSchedule(schedule="b", deployment="f/d"), deployment=None)
    assert active(world) == {"a": True, "b": True}


def test_a_queue_is_paused_once(world):
    world.queue("q")
    pause = PauseWorkQueue(pool="pool", queue="q")
    for _ in range(2):
        assert act(world, pause).outcome == "work queue q of pool is paused"
    (queue,) = [
        one for one in world.read(lambda records: records.queues("pool")) if one.name == "q"
    ]
    assert queue.paused
