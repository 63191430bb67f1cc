"""Why a run waits, in one line each."""

import pytest

from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import Machine, Worker
from stoker.domain.requests import HoldRun
from stoker.services import administration
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.explaining import Outlook, explain
from stoker.services.runs.losing import lose
from stoker.services.runs.pausing import hold


def a_worker(**fields) -> Worker:
    fields = {"id": "w", "name": "bold-oak", "pool": "pool", **fields}
    return Worker(machine=Machine("here", "boot"), **fields)


def why(world, run, outlook: Outlook | None = None) -> str | None:
    found = outlook or Outlook(workers={"w": a_worker()})
    return world.read(lambda records: explain(records, records.flow_run(run.id), found, world.now))


def pool_is(world, **changes) -> None:
    world.do(lambda unit: administration.update_pool(unit, "pool", changes))


@pytest.fixture
def run(world):
    return world.submit()


def test_a_run_that_has_started_or_is_over_waits_for_nothing(world, run):
    world.host()
    assert why(world, run) == "its host is importing its code or about to start it"
    world.start(run)
    assert why(world, run) is None
    world.finish(run)
    assert why(world, run) is None


def test_a_paused_pool(world, run):
    pool_is(world, paused=True)
    assert why(world, run) == "work pool pool is paused; `stoker work-pool resume pool`"


def test_a_full_pool(world, run):
    pool_is(world, concurrency_limit=1)
    world.host(slots=8)
    other = world.submit()
    assert why(world, run) == "its host is importing its code or about to start it"
    assert why(world, other) == (
        "work pool pool runs 1 of 1 at a time; it starts when one of them ends"
    )


def test_a_pool_that_may_run_nothing(world, run):
    pool_is(world, concurrency_limit=0)
    assert why(world, run) == (
        "work pool pool may run nothing: its limit is 0; "
        "`stoker work-pool set-concurrency-limit pool N` raises it"
    )


def test_a_queue_that_may_run_nothing(world, run):
    world.queue("default", concurrency_limit=0)
    assert why(world, run) == (
        "work queue default may run nothing: its limit is 0; "
        "`stoker work-queue set default -p pool --limit N` raises it"
    )


def test_a_paused_queue(world, run):
    world.queue("default", paused=True)
    assert why(world, run) == "work queue default is paused"


def test_a_full_queue(world, run):
    world.queue("default", concurrency_limit=1)
    world.host(slots=8)
    assert why(world, world.submit()) == (
        "work queue default runs 1 of 1 at a time; it starts when one of them ends"
    )


def test_a_deleted_pool(world, run):
    world.do(lambda unit: unit.records.delete_pool("pool"))
    assert why(world, run) == "work pool pool was deleted; nothing will start it"


def test_no_worker(world, run):
    expected = "no worker serves work pool pool; start one with `stoker worker start -p pool`"
    assert why(world, run, Outlook()) == expected
    assert why(world, run, Outlook(workers={"w": a_worker(pool="other")})) == expected


def test_no_worker_for_the_queue(world, run):
    outlook = Outlook(workers={"w": a_worker(queues=["x"])})
    assert why(world, run, outlook) == "no worker of work pool pool serves work queue default"


def test_full_workers(world, run):
    world.worker("w", limit=1)
    world.host(slots=8)
    outlook = Outlook(workers={"w": a_worker(limit=1)})
    assert why(world, world.submit(), outlook) == (
        "its workers run all that they take at a time (bold-oak 1 of 1)"
    )


@pytest.mark.parametrize("state", [HostState.REQUESTED, HostState.LAUNCHED])
def test_a_launching_host(world, run, state):
    host = Host(id="h", pool="pool", lane=world.lane(), state=state, requested=999.0)
    world.do(lambda unit: unit.records.put_host(host))
    world.now = 1001.5
    assert why(world, run) == "a host has been launching for 2.5 s"
    outlook = Outlook(workers={"w": a_worker()}, cold_start={"pool": 1.25})
    assert why(world, run, outlook) == (
        "a host has been launching for 2.5 s; that takes about 1.2 s here"
    )


def test_launches_that_fail(world, run):
    failures = {("pool", world.lane()): "no such file: python9"}
    outlook = Outlook(workers={"w": a_worker()}, failures=failures)
    assert why(world, run, outlook) == (
        "the last host could not be launched (no such file: python9); another try follows"
    )


@pytest.mark.parametrize("once", [False, True])
def test_a_host_whose_socket_is_gone(world, run, once):
    world.host("h1", slots=1, once=once, ready=False)
    assert why(world, run) == (
        "1 hosts have room for it, but no connection; it starts when one is back"
    )


def test_taken_slots(world, run):
    world.host("h1", slots=1)
    world.host("h2", slots=1)
    world.submit()
    assert why(world, world.submit()) == (
        "all slots of 2 hosts are taken; it starts when a run ends"
    )


def test_a_host_that_is_about_to_be_launched(world, run):
    assert why(world, run) == "a host is about to be launched for it"


def test_a_cancelled_run_waits_for_nothing(world, run):
    world.do(lambda unit: cancel(unit, run.id))
    assert why(world, run) is None


def test_hosts_that_are_used_once_and_taken(world):
    lane = world.deployment("own", isolation="host").lane
    for name in ("h1", "h2"):
        world.host(name, slots=1, once=True, lane=lane)
        world.submit("f/own")
    assert "2 hosts are used by one run each" in (why(world, world.submit("f/own")) or "")


def test_a_run_for_later(world):
    run = world.submit(scheduled_time=86_400.0)
    assert why(world, run) == "it is for later; it may begin at 1970-01-02 00:00:00 UTC"


def test_a_run_that_crashed_and_begins_again_later(world):
    world.deployment(crash_retries=1, crash_retry_delay=60.0)
    run = world.submit()
    world.host()
    world.start(run)
    world.do(lambda unit: lose(unit, unit.records.flow_run(run.id), "it died"))
    assert why(world, run) == (
        "attempt 1 crashed; the next one may begin at 1970-01-01 00:17:40 UTC"
    )


def test_a_paused_run(world, run):
    world.host()
    world.start(run)
    held = HoldRun(run_id=run.id, timeout=60.0, suspend=False)
    world.do(lambda unit: hold(unit, held))
    assert why(world, run) == (
        f"it is paused; `stoker flow-run resume {run.id}` lets it go on; "
        "it fails at 1970-01-01 00:17:40 UTC otherwise"
    )


def test_a_run_that_is_being_suspended_and_then_is(world, run):
    world.host()
    world.start(run)
    world.do(lambda unit: hold(unit, HoldRun(run_id=run.id, suspend=True)))
    assert why(world, run) == "its process is being ended; then it is suspended"
    world.do(lambda unit: lose(unit, unit.records.flow_run(run.id), "it died"))
    assert why(world, run) == (
        f"it is suspended: it has given back its slot; `stoker flow-run resume {run.id}` "
        "lets it go on"
    )
