"""Giving queued runs the slots of hosts: limits, order, and the choice of a host."""

import itertools

import pytest

from stoker.domain.hosts import HostState
from stoker.domain.limits import RunLimits
from stoker.domain.requests import StartRun
from stoker.domain.states import StateType
from stoker.domain.templates import PROCESS_TEMPLATE, with_defaults
from stoker.services import administration
from stoker.services.fleet import registering
from stoker.services.runs.submission import submit

TEMPLATE = {
    "variables": {"properties": {"memory": {"type": "integer", "default": 1}, "env": {}}},
    "job_configuration": {"memory": "{{ memory }}", "env": "{{ env }}"},
}


def batch(world, number: int, deployment: str = "f/d") -> list[str]:
    requests = [StartRun(deployment=deployment)] * number
    runs = world.do(lambda unit: submit(unit, requests))
    world.now += 1
    return [run.id for run in runs]


def pool_is(world, **changes) -> None:
    world.do(lambda unit: administration.update_pool(unit, "pool", changes))


@pytest.mark.parametrize("slots", [1, 3])
def test_a_host_gets_as_many_runs_as_it_has_slots(world, slots):
    world.host(slots=slots)
    runs = batch(world, 5)
    assert world.given() == runs[:slots]
    for number in range(slots, 5):
        world.finish(runs[number - slots])
        assert world.given() == [runs[number]]


def test_a_pool_runs_no_more_than_its_limit(world):
    pool_is(world, concurrency_limit=2)
    world.host("h1", slots=8)
    world.host("h2", slots=8)
    runs = batch(world, 4)
    assert world.given() == runs[:2]
    world.finish(runs[0])
    assert world.given() == [runs[2]]
    pool_is(world, concurrency_limit=3)
    assert world.given() == [runs[3]]


def test_a_limit_of_nothing_starts_nothing(world):
    pool_is(world, concurrency_limit=0)
    world.host(slots=8)
    batch(world, 1)
    assert world.given() == []
    pool_is(world, concurrency_limit=None)
    assert len(world.given()) == 1


def test_a_full_queue_never_blocks_another(world):
    world.queue("small", priority=1, concurrency_limit=1)
    world.deployment("s", queue="small")
    world.host(slots=8)
    small, others = batch(world, 3, "f/s"), batch(world, 3)
    assert [world.state(run) for run in small] == [StateType.PENDING] + [StateType.SCHEDULED] * 2
    assert all(world.state(run) is StateType.PENDING for run in others)


def test_a_worker_runs_no_more_than_its_limit_over_all_its_hosts(world):
    world.worker("w", limit=2)
    world.worker("v")
    world.host("h1", slots=2)
    world.host("h2", slots=2)
    runs = batch(world, 3)
    assert world.given() == runs[:2]
    world.host("h3", worker_id="v", slots=8)
    assert world.given() == [runs[2]]


def test_hosts_that_were_adopted_count_against_the_limit_of_their_new_worker(world):
    world.worker("w", limit=8)
    world.host("h1", slots=8)
    world.host("h2", slots=8)
    world.worker("v", limit=2, machine=world.stored("h1").process.machine)
    world.do(lambda unit: registering.adopt(unit, ["v"], lambda _: True))
    runs = batch(world, 3)
    assert [world.state(run) for run in runs] == [StateType.PENDING] * 2 + [StateType.SCHEDULED]
    assert {world.lease(run).worker_id for run in runs[:2]} == {"v"}


def test_a_paused_pool_starts_nothing_until_it_goes_on(world):
    pool_is(world, paused=True)
    world.host(slots=8)
    runs = batch(world, 2)
    assert world.given() == []
    pool_is(world, paused=False)
    assert world.given() == runs


def test_a_paused_queue_starts_nothing_and_holds_up_nobody(world):
    world.queue("q", priority=1, paused=True)
    world.deployment("q", queue="q")
    world.host(slots=1)
    paused, free = batch(world, 1, "f/q"), batch(world, 1)
    assert world.given() == free
    world.queue("q", priority=1)
    world.finish(free[0])
    assert world.given() == paused


def test_priority_goes_before_age(world):
    for name, priority in (("low", 200), ("high", 1), ("middle", 50)):
        world.queue(name, priority=priority)
        world.deployment(name, queue=name)
    low, middle, high = (batch(world, 2, f"f/{name}") for name in ("low", "middle", "high"))
    normal = batch(world, 2)
    world.host(slots=8)
    assert world.given() == high + middle + normal + low


def test_queues_of_one_priority_take_turns_by_age(world):
    world.queue("a")
    world.queue("b")
    for name in ("a", "b"):
        world.deployment(name, queue=name)
    expected = [*batch(world, 1, "f/b"), *batch(world, 1, "f/a"), *batch(world, 1, "f/b")]
    pool_is(world, concurrency_limit=1)
    world.host(slots=8)
    assert world.given() == expected[:1]
    for before, after in itertools.pairwise(expected):
        world.finish(before)
        assert world.given() == [after]


def test_lanes_take_turns_by_age_under_a_limit(world):
    world.pool("lanes", base_job_template=TEMPLATE, concurrency_limit=0)
    expected = []
    for memory in (3, 1, 2, 1, 3):
        world.deployment(f"m{memory}", pool="lanes", job_variables={"memory": memory})
        expected += batch(world, 1, f"f/m{memory}")
    for memory in (1, 2, 3):
        world.host(f"h{memory}", "lanes", slots=8, lane=world.lane("lanes", memory=memory))
    world.do(lambda unit: administration.update_pool(unit, "lanes", {"concurrency_limit": 1}))
    assert world.given() == expected[:1]
    for before, after in itertools.pairwise(expected):
        world.finish(before)
        assert world.given() == [after]


def test_a_run_goes_to_hosts_of_its_lane_alone(world):
    world.pool("lanes", base_job_template=TEMPLATE)
    world.deployment("one", pool="lanes")
    world.deployment("two", pool="lanes", job_variables={"memory": 2})
    world.host("h1", "lanes", slots=8)
    (two,) = batch(world, 1, "f/two")
    assert world.given() == []
    (one,) = batch(world, 1, "f/one")
    assert (world.host_of(one), world.host_of(two)) == ("h1", None)
    world.host("h2", "lanes", slots=8, lane=world.lane("lanes", memory=2))
    assert world.host_of(two) == "h2"


def test_a_host_gets_runs_of_the_queues_that_it_serves(world):
    world.queue("q")
    world.deployment("q", queue="q")
    world.host("h1", queues=["q"], slots=8)
    default, own = batch(world, 1), batch(world, 1, "f/q")
    assert world.host_of(default[0]) is None
    assert world.host_of(own[0]) == "h1"
    world.host("h2", slots=8)
    assert world.host_of(default[0]) == "h2"


def test_a_host_that_has_the_code_warm_is_chosen_then_the_least_busy(world):
    code = world.deployment("warm", entrypoint="other.py:f").code
    for name in ("h1", "h2", "h3"):
        world.host(name, slots=3)
    world.ready["h2"].codes.add(code.key)
    runs = batch(world, 5, "f/warm")
    assert [world.host_of(run) for run in runs] == ["h2", "h2", "h2", "h1", "h3"]
    cold = batch(world, 2)
    assert sorted(world.host_of(run) for run in cold) == ["h1", "h3"]


@pytest.mark.parametrize("state", [s for s in HostState if s is not HostState.UP])
def test_a_host_that_is_not_up_gets_nothing_though_its_socket_is_open(world, state):
    world.host("h1", state=state, slots=8)
    world.host("h2", slots=1)
    runs = batch(world, 3)
    assert [world.host_of(run) for run in runs] == ["h2", None, None]


def test_a_host_that_begins_to_drain_gets_nothing_in_that_transaction(world):
    world.host(slots=1)
    first, second = batch(world, 2)

    def work(unit):
        registering.drain(unit, "h", "test")
        registering.release(unit, [(first, 1)])

    world.do(work)
    assert world.given() == []
    assert world.state(second) is StateType.SCHEDULED


def test_a_job_is_complete(world):
    deployment = world.deployment(
        "full", parameters={"x": 1}, tags=["t"], timeout=5.0, job_variables={"env": {"A": "1"}}
    )
    world.host()
    run = world.submit("f/full", job_variables={"env": {"B": 2}}, name="n", parent_run_id="p")
    (job,) = world.last.assigned["h"]
    assert (job.run_id, job.attempt, job.function) == (run.id, 1, "f")
    assert job.code == deployment.code
    assert job.code.env == {"A": "1"}, "the import environment is the deployment's alone"
    assert job.env == {"B": "2"}
    assert (job.parameters, job.tags, job.timeout) == ({"x": 1}, ["t"], 5.0)
    assert (job.flow_name, job.run_name, job.deployment) == ("f", "n", "f/full")
    assert job.parent_run_id == "p"


def test_a_run_may_bring_code_variables_of_its_own(world):
    world.host()
    world.submit(job_variables={"working_dir": "/elsewhere", "env": {"B": "2"}})
    (job,) = world.last.assigned["h"]
    assert (job.code.working_dir, job.code.env, job.env) == ("/elsewhere", {}, {"B": "2"})


def test_what_acts_at_the_start_makes_a_code_of_its_own(world):
    deployment = world.deployment("d", job_variables={"env": {"A": "1", "LANG": "C"}})
    world.host()
    env = {"LANG": None, "OMP_NUM_THREADS": 2, "TZ": "UTC", "B": None}
    world.submit("f/d", job_variables={"env": env})
    (job,) = world.last.assigned["h"]
    assert job.code.env == {"A": "1", "LANG": None, "OMP_NUM_THREADS": "2"}
    assert job.code.key != deployment.code.key
    assert job.env == {"TZ": "UTC", "B": None}


def test_limits_are_the_pool_s_the_deployment_s_and_the_run_s_own(world):
    template = with_defaults(PROCESS_TEMPLATE, {"max_memory": 500, "max_log": 1})
    pool_is(world, base_job_template=template)
    world.deployment("limited", job_variables={"max_log": 2, "rlimits": {"nofile": 64}})
    world.host(slots=2)
    world.submit("f/limited")
    (plain,) = world.last.assigned["h"]
    assert plain.limits == RunLimits(max_memory=500, max_log=2, rlimits={"nofile": 64})
    world.submit("f/limited", job_variables={"max_memory": None, "private_working_dir": True})
    (own,) = world.last.assigned["h"]
    assert own.limits == RunLimits(max_log=2, rlimits={"nofile": 64}, private_working_dir=True)
    assert own.code == plain.code


def test_a_variable_of_the_template_acts_wherever_that_uses_it(world):
    template = {
        "variables": {"properties": {"size": {"default": 10}, "region": {"default": "a"}}},
        "job_configuration": {"max_memory": "{{ size }}", "env": {"REGION": "{{ region }}"}},
    }
    world.do(lambda unit: administration.update_pool(unit, "pool", {"base_job_template": template}))
    world.host()
    world.submit(job_variables={"size": 5, "region": "b"})
    (job,) = world.last.assigned["h"]
    assert (job.limits.max_memory, job.code.env) == (5, {"REGION": "b"})


def test_a_run_whose_variables_the_pool_does_not_know_any_more_is_cancelled(world):
    run = world.submit(job_variables={"working_dir": "/w"})
    template = {**PROCESS_TEMPLATE, "variables": {"properties": {"env": {}, "python": {}}}}
    pool_is(world, base_job_template=template)
    world.host()
    assert world.state(run) is StateType.CANCELLED
    assert "no variable 'working_dir'" in world.run(run).state.message
    assert world.host_of(world.submit()) == "h"


def test_a_run_whose_deployment_is_gone_is_cancelled_and_blocks_nobody(world):
    world.deployment("gone")
    gone = [world.submit("f/gone") for _ in range(3)]
    world.now += 1
    last = world.submit()
    found = world.read(lambda records: records.deployment("f/gone"))
    world.do(lambda unit: unit.records.delete_deployment(found.id))
    world.host(slots=1)
    assert [world.state(run) for run in gone] == [StateType.CANCELLED] * 3
    assert world.host_of(last) == "h"


def test_a_hot_start_has_no_stamps_of_a_launch(world):
    world.host(registered=1000.0, launched=999.5, requested=999.0)
    world.now = 1005.0
    anatomy = world.run(world.submit()).anatomy
    assert (anatomy.submitted, anatomy.claimed, anatomy.registered) == (1005.0, 1005.0, None)


def test_a_cold_start_tells_how_its_host_came(world):
    run = world.submit()
    world.now = 1005.0
    world.host(requested=1001.0, launched=1002.0)
    anatomy = world.run(run).anatomy
    assert (anatomy.submitted, anatomy.launch_requested) == (1000.0, 1001.0)
    assert (anatomy.launched, anatomy.registered, anatomy.claimed) == (1002.0, 1005.0, 1005.0)


def test_claiming_writes_lease_attempt_and_history(world):
    world.host()
    run = world.run(world.submit())
    lease = world.lease(run)
    assert (lease.attempt, lease.pool, lease.queue, lease.worker_id, lease.host_id) == (
        1,
        "pool",
        "default",
        "w",
        "h",
    )
    assert (run.attempt, run.version, run.host_id) == (1, 1, "h")
    assert world.states(run) == ["Pending"]
