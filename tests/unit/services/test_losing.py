"""What becomes of a run whose attempt was lost."""

from stoker.domain.pauses import OUTSIDE, PauseEnd
from stoker.domain.requests import HoldRun
from stoker.services.runs.losing import lose
from stoker.services.runs.pausing import hold


def lost(world, run, attempt: int | None = None) -> None:
    world.do(lambda unit: lose(unit, unit.records.flow_run(run.id), "it died", attempt))


def started(world):
    world.deployment(crash_retries=1, crash_retry_delay=60.0)
    world.host()
    run = world.submit()
    world.start(run)
    return run


def test_a_lost_attempt_gives_back_its_lease_and_waits_for_the_next(world):
    run = started(world)
    lost(world, run)
    found = world.run(run)
    assert (found.state.name, found.due, found.queued) == ("AwaitingCrashRetry", 1060.0, False)
    assert "0 retries after a crash left" in found.state.message
    assert world.lease(run) is None


def test_an_attempt_that_is_over_is_not_lost_again(world):
    run = started(world)
    lost(world, run, attempt=0)
    assert world.run(run).state.name == "Running"


def test_a_pause_from_outside_ends_with_its_attempt(world):
    run = started(world)
    world.do(lambda unit: hold(unit, HoldRun(run_id=run.id)))
    lost(world, run)
    assert world.run(run).state.name == "AwaitingCrashRetry"
    pause = world.read(lambda records: records.pause(run.id, OUTSIDE))
    assert pause.end is PauseEnd.RESUMED
