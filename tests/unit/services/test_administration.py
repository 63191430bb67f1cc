"""Making and changing pools, queues and deployments, and what is refused."""

import pytest

from stoker.domain.errors import Conflict, Invalid, NotFound
from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import WarmKnobs
from stoker.domain.requests import HoldRun
from stoker.domain.states import StateType
from stoker.services import administration
from stoker.services.runs.losing import lose
from stoker.services.runs.pausing import hold


def update(world, name: str = "pool", **changes):
    return world.do(lambda unit: administration.update_pool(unit, name, changes))


def delete(world, name: str = "pool") -> None:
    world.do(lambda unit: administration.delete_pool(unit, name))


def test_a_new_pool_has_an_id_a_template_and_a_default_queue(world):
    pool = world.pool("new")
    assert pool.id
    assert pool.created == 1000.0
    assert "env" in pool.base_job_template["variables"]["properties"]
    assert world.read(lambda records: [queue.name for queue in records.queues("new")]) == [
        "default"
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "teleport"}, "no pool type 'teleport'; there is: process"),
        ({"name": "a/b"}, "cannot name a work pool"),
        ({"name": ""}, "cannot name a work pool"),
        ({"name": " a"}, "cannot name a work pool"),
        ({"name": "a\nb"}, "cannot name a work pool"),
        ({"name": "x" * 201}, "cannot name a work pool"),
        ({"concurrency_limit": -1}, "a concurrency limit is 0 or more"),
        ({"warm": {"min": -1}}, "0 or more"),
        ({"warm": {"buffer": -1}}, "0 or more"),
        ({"warm": {"idle_timeout": -1}}, "0 or more"),
        ({"warm": {"slots_per_host": 0}}, "slots_per_host is 1 or more"),
        ({"warm": {"max": 0}}, "max is 1 or more"),
        ({"warm": {"min": 5, "max": 4}}, "not below min"),
        ({"warm": {"max_runs": 0}}, "max_runs is more than 0, or none"),
        ({"warm": {"max_age": 0.0}}, "max_age is more than 0"),
        ({"warm": {"max_memory_growth": -1.0}}, "max_memory_growth is more than 0"),
        ({"fence_after": 0.0}, "fence_after is more than 0 seconds"),
        ({"base_job_template": {"variables": 1}}, "no base job template"),
    ],
)
def test_an_impossible_pool_is_refused(world, fields, message):
    if "warm" in fields:
        fields = {"warm": WarmKnobs(**fields["warm"])}
    with pytest.raises(Invalid, match=message):
        world.pool(**{"name": "new", **fields})
    assert world.read(lambda records: records.pool("new")) is None


@pytest.mark.parametrize("name", ["x" * 200, "a b", "ä.ö-_:", "1"])
def test_names_that_are_allowed(world, name):
    assert world.pool(name).name == name


def test_a_name_is_taken_once(world):
    with pytest.raises(Conflict, match="there is a work pool 'pool' already"):
        world.pool()


def test_a_change_is_checked_and_leaves_the_rest(world):
    before = world.read(lambda records: records.pool("pool"))
    with pytest.raises(Invalid):
        update(world, warm={"max": 0})
    assert world.read(lambda records: records.pool("pool")) == before
    changed = update(world, concurrency_limit=3)
    assert (changed.concurrency_limit, changed.warm) == (3, before.warm)
    with pytest.raises(NotFound, match=r"no work pool 'x'; make it with"):
        update(world, "x", paused=True)


def test_a_template_that_a_deployment_does_not_fit_is_refused(world):
    world.deployment("w", job_variables={"working_dir": "/w"})
    with pytest.raises(Invalid, match="no variable 'working_dir'"):
        update(world, base_job_template={"variables": {"properties": {"env": {}}}})


def test_a_pool_with_deployments_or_runs_stays(world):
    with pytest.raises(Conflict, match=r"has deployments \(f/d\)"):
        delete(world)
    world.host()
    run = world.submit()
    world.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    with pytest.raises(Conflict, match="running flow runs"):
        delete(world)
    world.finish(run)
    delete(world)
    assert world.read(lambda records: records.pool("pool")) is None
    assert world.read(lambda records: records.queues("pool")) == []
    with pytest.raises(NotFound):
        delete(world)


def test_the_hosts_of_a_deleted_pool_leave(world):
    world.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    world.host()
    ordered = Host(id="o", pool="pool", lane="l", worker_id="w")
    world.do(lambda unit: unit.records.put_host(ordered))
    delete(world)
    assert (world.stored().state, world.stored("o").state) == (
        HostState.DRAINING,
        HostState.DEAD,
    )
    assert world.last.draining == {"h"}
    assert world.last.demand == {"pool"}, "its workers are told what they have left"


@pytest.mark.parametrize(
    ("name", "fields", "error", "message"),
    [
        ("q", {"pool": "x"}, NotFound, "no work pool 'x'"),
        ("a/b", {}, Invalid, "cannot name a work queue"),
        ("q", {"concurrency_limit": -1}, Invalid, "0 or more"),
        ("q", {"priority": 0}, Invalid, "priority is 1"),
    ],
)
def test_an_impossible_queue_is_refused(world, name, fields, error, message):
    with pytest.raises(error, match=message):
        world.queue(name, **fields)


def test_a_queue_is_replaced_by_name(world):
    world.queue("q", priority=5)
    world.queue("q", priority=7, concurrency_limit=1)
    queues = world.read(lambda records: records.queues("pool"))
    assert [(queue.name, queue.priority) for queue in queues] == [("q", 7), ("default", 100)]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"pool": "x"}, NotFound, "no work pool 'x'"),
        ({"queue": "x"}, NotFound, "has no queue 'x'; make it with"),
        ({"name": "a/b"}, Invalid, "cannot name a deployment"),
        ({"entrypoint": "flows.py"}, Invalid, "is not like path/file.py:flow_name"),
        ({"entrypoint": ":f"}, Invalid, "is not like"),
        ({"entrypoint": "flows.py:"}, Invalid, "is not like"),
        ({"isolation": "vm"}, Invalid, "there is: fork, host"),
        ({"job_variables": {"cpu": 1}}, Invalid, "no variable 'cpu'"),
        ({"job_variables": {"env": ["A"]}}, Invalid, "must be of type object"),
    ],
)
def test_an_impossible_deployment_is_refused(world, fields, error, message):
    with pytest.raises(error, match=message):
        world.deployment(**fields)


def test_a_flow_with_a_name_that_no_path_can_hold_is_refused(world):
    deployment = world.deployment()
    deployment.flow_name = "a/b"
    with pytest.raises(Invalid, match="cannot name a flow"):
        world.do(lambda unit: administration.put_deployment(unit, deployment))


def test_a_deployment_is_replaced_by_flow_and_name(world):
    before = world.read(lambda records: records.deployment("f/d"))
    world.now = 2000.0
    after = world.deployment(entrypoint="other.py:f", job_variables={"env": {"A": "1"}})
    assert (after.id, after.created, after.updated) == (before.id, 1000.0, 2000.0)
    assert after.code.file == "other.py"
    assert after.code.env == {"A": "1"}
    assert after.lane == before.lane
    assert len(world.read(lambda records: records.deployments())) == 1


def test_the_queued_runs_of_a_deleted_deployment_are_cancelled_and_its_running_ones_go_on(world):
    world.deployment("other")
    world.host(slots=1)
    running = world.submit()
    queued, other = world.submit(), world.submit("f/other")
    world.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    assert world.state(running) is StateType.PENDING
    assert world.run(queued).state.message == "its deployment was deleted"
    assert world.state(queued) is StateType.CANCELLED
    assert world.state(other) is StateType.SCHEDULED
    with pytest.raises(NotFound, match="no deployment 'f/d'"):
        world.do(lambda unit: administration.delete_deployment(unit, "f/d"))


def test_what_a_deleted_deployment_has_shelved_is_cancelled_and_what_is_paused_goes_on(world):
    world.host(slots=8)
    suspended, suspending, paused = (world.submit() for _ in range(3))
    later = world.submit(scheduled_time=9000.0)
    for run in (suspended, suspending, paused):
        world.start(run)
        held = HoldRun(run_id=run.id, suspend=run is not paused)
        world.do(lambda unit, held=held: hold(unit, held))
    world.do(lambda unit: lose(unit, unit.records.flow_run(suspended.id), "it died"))
    world.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    names = [world.run(run).state.name for run in (suspended, suspending, paused, later)]
    assert names == ["Cancelled", "Cancelling", "Paused", "Cancelled"]


def test_deleting_a_pool_cancels_what_a_deployment_that_moved_has_left_in_it(world):
    run = world.submit()
    world.pool("other")
    world.deployment(pool="other")
    delete(world)
    found = world.run(run)
    assert (found.state.name, found.state.message) == ("Cancelled", "its work pool was deleted")


def test_deleting_a_deployment_cancels_what_it_has_left_in_another_pool(world):
    run = world.submit()
    world.pool("other")
    world.deployment(pool="other")
    world.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    found = world.run(run)
    assert (found.state.name, found.state.message) == ("Cancelled", "its deployment was deleted")


def test_knobs_that_are_not_given_stay_as_they_are(world):
    update(world, warm={"max": 9, "max_runs": 5, "max_memory_growth": None})
    pool = update(world, warm={"min": 2})
    assert pool.warm == WarmKnobs(min=2, max=9, max_runs=5, max_memory_growth=None)
    assert update(world, warm={"max_runs": None}).warm.max_runs is None
