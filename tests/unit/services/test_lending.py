"""A run that waits lends its keys: what its child gets, and what happens when the wait ends."""

import pytest

from stoker.domain.errors import Conflict
from stoker.domain.states import StateType
from stoker.services import administration
from stoker.services.claims import lending
from stoker.services.fleet import registering
from stoker.services.lookup import need_run
from stoker.services.runs.cancelling import cancel

TEMPLATE = {
    "variables": {"properties": {"memory": {"type": "integer", "default": 1}}},
    "job_configuration": {"memory": "{{ memory }}"},
}


def pool_is(world, **changes) -> None:
    world.do(lambda unit: administration.update_pool(unit, "pool", changes))


def wait(world, waiter, child) -> None:
    world.do(lambda unit: lending.begin_wait(unit, waiter.id, need_run(unit.records, child.id)))


def time_out(world, waiter, child) -> None:
    world.do(lambda unit: lending.end_wait(unit, waiter.id, need_run(unit.records, child.id)))


def resumed(world) -> list[tuple[str, str]]:
    return [(waiter, run.id) for waiter, run in world.last.resumed]


def held(world) -> list[tuple[str, str]]:
    return world.read(lambda records: records.held_waits())


def started(world, deployment: str = "f/d", **fields):
    run = world.submit(deployment, **fields)
    world.start(run)
    world.now += 1
    return run


@pytest.fixture
def tight(world):
    """One run at a time: a pool's limit, one host, one slot."""
    pool_is(world, concurrency_limit=1)
    world.host(slots=1)
    return world


def test_a_child_runs_on_the_keys_and_the_slot_of_its_parent(tight):
    parent = started(tight)
    child = tight.child(parent)
    assert tight.given() == [child.id]
    lease = tight.lease(child)
    lenders = (lease.pool_from, lease.queue_from, lease.worker_from, lease.slot_from)
    assert lenders == (parent.id,) * 4
    tight.start(child)
    tight.finish(child)
    assert resumed(tight) == [(parent.id, child.id)]
    assert held(tight) == []


def test_three_levels_run_on_one_slot(tight):
    runs = [started(tight)]
    for _ in range(3):
        runs.append(tight.child(runs[-1]))
        tight.start(runs[-1])
    assert [tight.state(run) for run in runs] == [StateType.RUNNING] * 4
    for parent, child in zip(runs[-2::-1], runs[:0:-1], strict=True):
        tight.finish(child)
        assert resumed(tight) == [(parent.id, child.id)]


def test_a_run_that_nobody_waits_for_borrows_nothing(tight):
    parent = started(tight)
    other = tight.submit(parent_run_id=parent.id)
    assert tight.lease(other) is None
    child = tight.child(parent)
    assert tight.given() == [child.id], "it was queued later, and goes first"


def test_a_second_child_waits_for_the_first_one(tight):
    parent = started(tight)
    first, second = tight.child(parent), tight.child(parent)
    assert tight.lease(second) is None
    tight.start(first)
    tight.finish(first)
    assert resumed(tight) == [(parent.id, first.id)]
    assert tight.given() == [second.id]


def test_a_timeout_with_room_gives_the_child_keys_of_its_own(tight):
    parent = started(tight)
    child = tight.child(parent)
    pool_is(tight, concurrency_limit=2)
    time_out(tight, parent, child)
    assert resumed(tight) == [(parent.id, child.id)]
    lease = tight.lease(child)
    assert (lease.pool_from, lease.queue_from, lease.slot_from) == (None, None, None)
    usage = tight.read(lambda records: records.usage("pool"))
    assert (usage.pool, usage.hosts) == (2, {"h": 2})
    assert tight.lease(tight.submit()) is None, "the slot that is taken twice is not free"


def test_a_timeout_without_room_holds_the_parent_until_the_child_ends(tight):
    parent = started(tight)
    child = tight.child(parent)
    time_out(tight, parent, child)
    assert resumed(tight) == []
    assert held(tight) == [(parent.id, child.id)]
    tight.finish(child)
    assert resumed(tight) == [(parent.id, child.id)]
    assert held(tight) == []


def test_a_parent_that_is_held_goes_on_when_another_run_gives_back(world):
    pool_is(world, concurrency_limit=2)
    world.host(slots=8)
    parent, other = started(world), started(world)
    child = world.child(parent)
    time_out(world, parent, child)
    assert resumed(world) == []
    world.finish(other)
    assert resumed(world) == [(parent.id, child.id)]


@pytest.mark.parametrize(
    "change",
    [
        lambda unit: administration.update_pool(unit, "pool", {"concurrency_limit": 2}),
        lambda unit: administration.update_pool(unit, "pool", {"concurrency_limit": None}),
    ],
)
def test_a_parent_that_is_held_goes_on_when_the_limit_is_raised(tight, change):
    parent = started(tight)
    child = tight.child(parent)
    time_out(tight, parent, child)
    tight.do(change)
    assert resumed(tight) == [(parent.id, child.id)]


def test_a_parent_that_is_held_by_a_queue_goes_on_when_its_limit_is_raised(world):
    world.queue("default", concurrency_limit=1)
    world.host(slots=8)
    parent = started(world)
    child = world.child(parent)
    time_out(world, parent, child)
    assert held(world)
    world.queue("default", concurrency_limit=2)
    assert resumed(world) == [(parent.id, child.id)]


def test_a_parent_that_is_held_goes_on_when_the_child_is_handed_back(tight):
    parent = started(tight)
    child = tight.child(parent)
    time_out(tight, parent, child)
    tight.ready.clear()
    tight.do(lambda unit: registering.release(unit, [(child.id, 1)]))
    assert tight.state(child) is StateType.SCHEDULED
    assert resumed(tight) == [(parent.id, child.id)]


def test_keys_stay_lent_when_the_middle_of_a_chain_dies(tight):
    """Parent and grandchild must not both count, nor both execute, under a limit of one."""
    parent = started(tight)
    child = tight.child(parent)
    tight.start(child)
    grandchild = tight.child(child)
    tight.start(grandchild)
    tight.finish(child, StateType.CRASHED)
    assert resumed(tight) == []
    assert tight.lease(grandchild).pool_from == parent.id
    assert tight.read(lambda records: records.usage("pool")).pool == 1
    tight.finish(grandchild)
    assert resumed(tight) == [(parent.id, child.id)]


def test_keys_become_the_childs_own_when_the_parent_dies(tight):
    parent = started(tight)
    child = tight.child(parent)
    tight.start(child)
    tight.finish(parent, StateType.CRASHED)
    assert tight.lease(child).pool_from is None
    assert tight.read(lambda records: records.usage("pool")).pool == 1
    assert tight.lease(tight.submit()) is None
    tight.finish(child)
    assert len(tight.given()) == 1


def test_a_child_of_another_lane_has_a_host_of_its_own_and_the_parents_limits(world):
    world.pool("lanes", base_job_template=TEMPLATE, concurrency_limit=1)
    world.worker("x", "lanes", limit=1)
    world.deployment("one", pool="lanes")
    world.deployment("two", pool="lanes", job_variables={"memory": 2})
    world.host("h1", "lanes", worker_id="x", slots=1)
    world.host("h2", "lanes", worker_id="x", slots=1, lane=world.lane("lanes", memory=2))
    parent = started(world, "f/one")
    child = world.child(parent, "f/two")
    lease = world.lease(child)
    assert lease.host_id == "h2"
    assert (lease.pool_from, lease.worker_from, lease.slot_from) == (parent.id, parent.id, None)


def test_a_child_of_another_queue_or_pool_counts_there(world):
    world.queue("q", concurrency_limit=1)
    world.deployment("q", queue="q")
    world.host(slots=8)
    parent = started(world)
    lease = world.lease(world.child(parent, "f/q"))
    assert (lease.pool_from, lease.queue_from) == (parent.id, None)
    assert world.lease(world.child(parent, "f/q")) is None


def test_a_child_in_another_pool_borrows_nothing(tight):
    tight.pool("other")
    tight.worker("v", "other")
    tight.deployment("o", pool="other")
    tight.host("ho", "other", worker_id="v", slots=1)
    lease = tight.lease(tight.child(started(tight), "f/o"))
    assert (lease.pool, lease.pool_from, lease.slot_from) == ("other", None, None)


def test_parents_of_two_queues_that_wait_across_do_not_block_each_other(world):
    """Each child needs the key of a queue that the other parent, which only waits, has."""
    for name in ("a", "b"):
        world.queue(name, concurrency_limit=1)
        world.deployment(name, queue=name)
    world.host(slots=8)
    in_a, in_b = started(world, "f/a"), started(world, "f/b")
    needs_b, needs_a = world.child(in_a, "f/b"), world.child(in_b, "f/a")
    executing = [run for run in (needs_a, needs_b) if world.lease(run)]
    assert executing, "a run that waits does not count against its queue's limit"
    while executing:
        run = executing.pop()
        world.finish(run)
        executing += world.given()
    assert held(world) == []
    assert all(world.run(run).state.is_terminal for run in (needs_a, needs_b))


def test_a_run_waits_for_two_and_is_cancelled_with_both(world):
    world.host(slots=8)
    parent = started(world)
    children = [world.child(parent) for _ in range(2)]
    world.do(lambda unit: cancel(unit, parent.id))
    assert [world.state(run) for run in (parent, *children)] == [StateType.CANCELLING] * 3


def test_waiting_for_a_run_of_others_lends_to_it(tight):
    other = tight.submit()
    tight.finish(other)
    parent = started(tight)
    queued = tight.submit()
    assert tight.lease(queued) is None
    wait(tight, parent, queued)
    assert tight.lease(queued).pool_from == parent.id


def test_a_parent_that_is_held_lends_what_it_has_left(world):
    """It waits for a key back from a run that waits for one that needs its other key."""
    for name in ("a", "b"):
        world.queue(name, concurrency_limit=1 if name == "a" else None)
        world.deployment(name, queue=name)
    world.worker("w", limit=1)
    world.host(slots=8)
    parent, queued, child = started(world, "f/a"), world.submit("f/a"), world.submit("f/b")
    wait(world, parent, child)
    time_out(world, parent, child)
    assert held(world) == [(parent.id, child.id)]
    world.start(child)
    wait(world, child, queued)
    lease = world.lease(queued)
    assert (lease.queue_from, lease.worker_from) == (parent.id, child.id)
    world.finish(queued)
    assert resumed(world) == [(child.id, queued.id)]
    world.finish(child)
    assert resumed(world) == [(parent.id, child.id)]


def test_a_parent_that_is_held_lends_its_slot(world):
    """It needs the key that its child has; further down a run needs a slot like its own."""
    pool_is(world, base_job_template=TEMPLATE)
    world.queue("a", concurrency_limit=1)
    for lane in (1, 2):
        world.deployment(f"lane{lane}", queue="a", job_variables={"memory": lane})
    for lane in (1, 2):
        world.host(f"h{lane}", lane=world.lane(memory=lane), slots=1)
    parent, child = started(world, "f/lane1"), world.submit("f/lane2")
    wait(world, parent, child)
    world.start(child)
    time_out(world, parent, child)
    last = world.submit("f/lane1")
    wait(world, child, last)
    lease = world.lease(last)
    assert (lease.queue_from, lease.slot_from) == (child.id, parent.id)
    world.start(last)
    world.finish(last)
    world.finish(child)
    assert resumed(world) == [(parent.id, child.id)]


def test_a_run_cannot_wait_for_one_that_waits_for_it(tight):
    top = started(tight)
    middle = tight.child(top)
    tight.start(middle)
    bottom = tight.child(middle)
    tight.start(bottom)
    for above in (top, middle, bottom):
        with pytest.raises(Conflict, match="waits for this one already"):
            wait(tight, bottom, above)
