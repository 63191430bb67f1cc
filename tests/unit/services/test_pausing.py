"""Pauses: by the run itself and from outside, resumed, and expired."""

import pytest

from stoker.domain.errors import Conflict, FlowPauseTimeout
from stoker.domain.requests import HoldRun, PauseRun
from stoker.domain.states import StateType
from stoker.services.runs import pausing


@pytest.fixture
def run(world):
    """A run that runs."""
    world.host(slots=1)
    submitted = world.submit()
    world.start(submitted)
    return submitted


def pause_itself(world, run, key: str = "1", **fields):
    request = PauseRun(run_id=run.id, key=key, **fields)
    return world.do(lambda unit: pausing.pause_itself(unit, request))


def hold(world, run, **fields):
    return world.do(lambda unit: pausing.hold(unit, HoldRun(run_id=run.id, **fields)))


def expire(world):
    return world.do(pausing.expire)


def test_a_run_that_pauses_waits_until_it_is_resumed(world, run):
    assert pause_itself(world, run) is None
    assert world.state(run) is StateType.PAUSED
    assert pause_itself(world, run) is None, "it asks again after its connection was cut"
    world.do(lambda unit: pausing.resume(unit, run.id))
    assert world.last.unpaused == [run.id]
    assert pause_itself(world, run).id == run.id, "this pause is over, for later attempts too"
    assert pause_itself(world, run, key="2") is None


def test_a_pause_is_over_in_its_time_and_not_before(world, run):
    pause_itself(world, run, timeout=10.0)
    world.now += 9.5
    assert expire(world) == world.now + 0.5
    assert world.state(run) is StateType.PAUSED
    world.now += 0.5
    assert expire(world) is None
    assert world.state(run) is StateType.RUNNING
    assert world.last.unpaused == [run.id]
    assert world.last.cancels == [], "it is told itself, and fails itself"
    with pytest.raises(FlowPauseTimeout):
        pause_itself(world, run)


def test_processes_that_stand_still_too_long_are_ended(world, run):
    hold(world, run, timeout=10.0)
    assert [(one.run_id, one.stop) for one in world.last.stops] == [(run.id, True)]
    world.now += 10.0
    expire(world)
    (order,) = world.last.cancels
    assert (order.run_id, order.now, order.failure) == (
        run.id,
        True,
        "it was paused and never resumed",
    )


def test_a_resumed_pause_does_not_expire(world, run):
    hold(world, run, timeout=10.0)
    world.do(lambda unit: pausing.resume(unit, run.id))
    world.now += 20.0
    assert expire(world) is None
    assert world.last.cancels == []


def test_a_suspended_run_that_nobody_resumes_fails(world, run):
    hold(world, run, timeout=10.0, suspend=True)
    world.now += 20.0
    assert expire(world) is None, "its process has not ended yet"
    assert world.run(run).state.name == "Suspending"
    world.finish(run, StateType.CANCELLED)
    assert world.run(run).state.name == "Suspended"
    assert world.lease(run) is None
    expire(world)
    found = world.run(run)
    assert (found.state.type, found.state.message) == (
        StateType.FAILED,
        "it was suspended and never resumed",
    )
    assert [one.id for one in world.last.ended] == [run.id], "who waits for it hears of it"


def test_what_was_resumed_and_what_is_over_cannot_be_resumed(world, run):
    hold(world, run)
    world.do(lambda unit: pausing.resume(unit, run.id))
    with pytest.raises(Conflict):
        world.do(lambda unit: pausing.resume(unit, run.id))
