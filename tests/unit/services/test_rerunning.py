"""Running a finished run again: when, where, and what is forgotten."""

import pytest

from stoker.domain.errors import Conflict
from stoker.domain.requests import HoldRun
from stoker.domain.states import StateType
from stoker.services import administration
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.pausing import hold, resume
from stoker.services.runs.rerunning import rerun


@pytest.fixture
def ended(world):
    """A run that failed."""
    world.host(slots=2)
    run = world.submit()
    world.start(run)
    world.finish(run, StateType.FAILED)
    return run


def again(world, run, *, force: bool = False):
    return world.do(lambda unit: rerun(unit, run.id, force=force))


def test_it_is_a_new_attempt_with_a_start_of_its_own(world, ended):
    world.now += 5
    again(world, ended)
    found = world.run(ended)
    assert (found.state.type, found.attempt) == (StateType.PENDING, 2)
    assert (found.ended, found.result, found.anatomy.submitted) == (None, None, world.now)
    names = ["Pending", "Running", "Failed", "AwaitingRetry", "Pending"]
    assert world.states(ended)[-5:] == names, "its history is kept"


def test_one_that_completed_needs_force(world):
    world.host()
    run = world.submit()
    world.start(run)
    world.finish(run)
    with pytest.raises(Conflict, match="--force"):
        again(world, run)
    again(world, run, force=True)
    assert world.run(run).attempt == 2


def test_one_that_executes_is_refused(world):
    world.host()
    run = world.submit()
    with pytest.raises(Conflict, match="only a run that is over can"):
        again(world, run)


def test_it_executes_where_its_deployment_does_now(world, ended):
    world.pool("other")
    world.deployment(pool="other")
    again(world, ended)
    found = world.run(ended)
    assert (found.pool, found.state.name) == ("other", "AwaitingRetry")
    world.worker("v", pool="other")
    world.host("h2", pool="other", worker_id="v")
    assert world.host_of(ended) == "h2"


def test_one_whose_deployment_was_deleted_is_refused(world, ended):
    world.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    with pytest.raises(Conflict, match="was deleted"):
        again(world, ended)


def test_its_pauses_are_over_and_forgotten(world):
    world.host()
    run = world.submit()
    world.start(run)
    world.do(lambda unit: hold(unit, HoldRun(run_id=run.id)))
    world.do(lambda unit: resume(unit, run.id))
    world.do(lambda unit: cancel(unit, run.id))
    world.finish(run, StateType.CANCELLED)
    again(world, run)
    assert world.read(lambda records: records.pause(run.id, "")) is None
