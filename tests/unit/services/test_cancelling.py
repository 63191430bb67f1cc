"""Cancelling runs: queued, running, waiting, and those that take no orders."""

import pytest

from stoker.domain.errors import Conflict, NotFound
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.services.runs.cancelling import cancel


def cancelled(world, run) -> FlowRun:
    return world.do(lambda unit: cancel(unit, run.id))


def orders(world) -> list[tuple[str, str, int, bool]]:
    return [(one.host_id, one.run_id, one.attempt, one.now) for one in world.last.cancels]


def test_a_queued_run_is_cancelled_at_once(world):
    run = world.submit()
    found = cancelled(world, run)
    assert (found.state.type, found.state.message) == (StateType.CANCELLED, "cancelled by a user")
    assert world.run(run).ended == 1000.0
    assert orders(world) == []
    assert [one.id for one in world.last.ended] == [run.id]
    world.host()
    assert world.given() == []


@pytest.mark.parametrize("started", [False, True])
def test_a_run_that_a_host_has_is_asked_to_end(world, started):
    world.host()
    run = world.submit()
    if started:
        world.start(run)
    assert cancelled(world, run).state.type is StateType.CANCELLING
    assert orders(world) == [("h", run.id, 1, False)]
    assert world.lease(run) is not None, "it has its slot until it is over"
    cancelled(world, run)
    assert orders(world) == [("h", run.id, 1, False)], "asked twice, the host is told twice"
    world.finish(run, StateType.CANCELLED)
    assert world.state(run) is StateType.CANCELLED
    assert world.lease(run) is None


def test_a_run_that_completes_before_the_order_reaches_it_has_completed(world):
    world.host()
    run = world.submit()
    world.start(run)
    cancelled(world, run)
    world.finish(run, StateType.COMPLETED)
    assert world.state(run) is StateType.COMPLETED


def test_a_run_that_is_over_cannot_be_cancelled(world):
    world.host()
    run = world.submit()
    world.finish(run)
    expected = f"flow run {run.name} is Completed already; there is nothing to cancel"
    with pytest.raises(Conflict, match=expected):
        cancelled(world, run)


def test_an_unknown_run_is_named(world):
    with pytest.raises(NotFound, match=r"no flow run 'nobody'; `stoker flow-run ls`"):
        world.do(lambda unit: cancel(unit, "nobody"))


@pytest.mark.parametrize(
    ("parent", "said"),
    [
        (None, "flow run inner executes in a script; stop that script"),
        ("p", "executes in its caller's process; cancel .*: `stoker flow-run cancel p`"),
    ],
)
def test_a_run_in_its_callers_process_takes_no_orders(world, parent, said):
    state = StateRecord(StateType.RUNNING, "Running", 1.0)
    inner = FlowRun(
        id="s", name="inner", flow_name="g", state=state, attempt=1, parent_run_id=parent
    )
    world.do(lambda unit: unit.records.insert_subflow(inner))
    with pytest.raises(Conflict, match=said):
        cancelled(world, inner)


def test_the_runs_that_it_waits_for_are_cancelled_with_it_at_any_depth(world):
    world.host(slots=2)
    parent = world.submit()
    world.start(parent)
    child = world.child(parent)
    world.start(child)
    grandchildren = [world.child(child) for _ in range(2)]
    started_only = world.submit(parent_run_id=parent.id)
    cancelled(world, parent)
    assert world.state(parent) is StateType.CANCELLING
    assert world.state(child) is StateType.CANCELLING
    assert {world.state(one) for one in grandchildren} <= {
        StateType.CANCELLING,
        StateType.CANCELLED,
    }
    assert world.state(started_only) in {StateType.SCHEDULED, StateType.PENDING}
    told = {one.run_id for one in world.last.cancels}
    assert told >= {parent.id, child.id}


def test_runs_that_wait_for_each_other_in_a_ring_can_be_cancelled(world):
    world.host(slots=8)
    parent = world.submit()
    world.start(parent)
    child = world.child(parent)
    world.start(child)
    for waiter, target in ((child, parent), (child, child)):
        # `begin_wait` refuses this; a store may hold it from before it did.
        world.do(lambda unit, a=waiter, b=target: unit.records.add_wait(a.id, b.id))
    cancelled(world, parent)
    assert [world.state(parent), world.state(child)] == [StateType.CANCELLING] * 2
