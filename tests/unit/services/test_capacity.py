"""How many hosts a pool has: kept, asked for as demand grows, drained when idle."""

import pytest

from stoker.domain.hosts import HostState
from stoker.domain.pools import Machine, Worker
from stoker.domain.requests import StartRun
from stoker.services import administration
from stoker.services.fleet.capacity import orders_of, plan
from stoker.services.runs.submission import submit

TEMPLATE = {
    "variables": {
        "properties": {
            "memory": {"type": "integer", "default": 1},
            "disk": {"type": "integer", "default": 1},
        }
    },
    "job_configuration": {"memory": "{{ memory }}", "disk": "{{ disk }}"},
}


def one_worker(name: str = "w", **fields) -> Worker:
    return Worker(id=name, name=name, pool="pool", machine=Machine("here", "boot"), **fields)


def knobs(world, **fields) -> None:
    changes = {"warm": fields}
    world.do(lambda unit: administration.update_pool(unit, "pool", changes))


def queue(world, number: int, deployment: str = "f/d", **fields) -> list[str]:
    requests = [StartRun(deployment=deployment, **fields)] * number
    return [run.id for run in world.do(lambda unit: submit(unit, requests))]


def planned(world, *workers: Worker, blocked=None):
    found = workers or (one_worker(),)
    return world.do(lambda unit: plan(unit, "pool", found, blocked or {}, world.ready))


def asked(world, *workers: Worker, **fields) -> int:
    return len(planned(world, *workers, **fields).requested)


def alive(world, *states: HostState) -> list[str]:
    return [host.id for host in world.hosts() if not states or host.state in states]


def test_a_pool_costs_nothing_until_asked(world):
    assert asked(world) == 0
    assert asked(world) == 0


def test_the_least_number_is_kept_and_not_asked_for_twice(world):
    knobs(world, min=2)
    requested = planned(world).requested
    assert [host.state for host in requested] == [HostState.REQUESTED] * 2
    assert {host.lane for host in requested} == {world.lane()}
    assert requested[0].slots == 8
    assert asked(world) == 0


@pytest.mark.parametrize(
    ("options", "queued", "hosts"),
    [
        ({}, 1, 1),
        ({}, 9, 2),
        ({"slots_per_host": 1}, 3, 3),
        ({"slots_per_host": 1}, 30, 4),
        ({"buffer": 8}, 1, 2),
        ({"min": 1}, 9, 2),
    ],
)
def test_demand_asks_for_hosts_up_to_the_most(world, options, queued, hosts):
    knobs(world, **options)
    queue(world, queued)
    assert asked(world) == hosts
    assert asked(world) == 0, "what is on its way counts"


def test_what_executes_counts_too(world):
    knobs(world, slots_per_host=2)
    world.host(slots=2)
    queue(world, 3)
    assert asked(world) == 1


@pytest.mark.parametrize(
    "limit", [{"concurrency_limit": 8}, {"paused": True}], ids=["full", "paused"]
)
def test_a_pools_limit_holds_demand_back(world, limit):
    world.do(lambda unit: administration.update_pool(unit, "pool", limit))
    queue(world, 100)
    assert asked(world) == (1 if "concurrency_limit" in limit else 0)


def test_a_queues_limit_holds_demand_back(world):
    world.queue("q", concurrency_limit=2)
    world.deployment("q", queue="q")
    world.queue("stopped", paused=True)
    world.deployment("stopped", queue="stopped")
    knobs(world, slots_per_host=1, max=50)
    queue(world, 10, "f/q")
    queue(world, 10, "f/stopped")
    assert asked(world) == 2


def test_a_pools_limit_is_shared_by_its_queues(world):
    world.queue("q", priority=1)
    world.deployment("q", queue="q")
    changes = {"concurrency_limit": 3, "warm": {"slots_per_host": 1, "max": 50}}
    world.do(lambda unit: administration.update_pool(unit, "pool", changes))
    queue(world, 2, "f/q")
    queue(world, 10)
    assert asked(world) == 3


def test_nothing_is_launched_in_a_lane_whose_launches_fail_until_its_time(world):
    queue(world, 1)
    blocked = {world.lane(): 1010.0}
    assert asked(world, blocked=blocked) == 0
    world.now = 1010.0
    assert asked(world, blocked=blocked) == 1


def test_without_a_worker_nothing_is_asked_for(world):
    queue(world, 1)
    assert world.do(lambda unit: plan(unit, "pool", [], {}, {})).requested == []
    assert asked(world, one_worker(draining=True)) == 0


def test_a_pool_that_is_gone_needs_nothing(world):
    assert world.do(lambda unit: plan(unit, "gone", [], {}, {})).requested == []


# Lanes


def lanes(world) -> None:
    warm = {"min": 1, "slots_per_host": 1, "max": 2}
    changes = {"base_job_template": TEMPLATE, "warm": warm}
    world.do(lambda unit: administration.update_pool(unit, "pool", changes))


def test_only_the_pools_own_lane_is_kept_warm(world):
    lanes(world)
    world.deployment("big", job_variables={"memory": 2})
    (host,) = planned(world).requested
    assert host.lane == world.lane()
    assert host.infrastructure == {"memory": 1, "disk": 1}


def test_each_lane_has_hosts_of_its_own(world):
    lanes(world)
    world.deployment("big", job_variables={"memory": 2})
    queue(world, 1, "f/big")
    hosts = planned(world).requested
    assert {host.lane: host.infrastructure["memory"] for host in hosts} == {
        world.lane(): 1,
        world.lane(memory=2): 2,
    }


def test_a_run_with_variables_over_those_of_its_deployment_gets_a_host(world):
    lanes(world)
    world.deployment("big", job_variables={"memory": 2})
    (run,) = queue(world, 1, "f/big", job_variables={"disk": 9})
    hosts = {host.lane: host.infrastructure for host in planned(world).requested}
    assert hosts[world.run(run).lane] == {"memory": 2, "disk": 9}


def test_a_queued_run_whose_variables_make_no_sense_any_more_holds_up_nobody(world):
    lanes(world)
    (run,) = queue(world, 1, job_variables={"disk": 9})
    queue(world, 1)
    template = {**TEMPLATE, "variables": {"properties": {"memory": {"default": 1}}}}
    world.do(lambda unit: administration.update_pool(unit, "pool", {"base_job_template": template}))
    assert asked(world) == 1
    assert world.run(run).state.name == "Cancelled"


def test_a_deployment_that_resolves_no_more_holds_up_nobody(world):
    lanes(world)
    broken = world.deployment("broken")
    broken.job_variables = {"gpu": 1}
    queue(world, 1, "f/broken")
    world.do(lambda unit: unit.records.put_deployment(broken))
    queue(world, 1)
    assert {host.lane for host in planned(world).requested} == {world.lane()}


def test_queued_runs_follow_a_changed_template_to_the_hosts_of_their_new_lane(world):
    lanes(world)
    runs = queue(world, 2)
    before = world.lane()
    changed = {
        "variables": TEMPLATE["variables"],
        "job_configuration": {**TEMPLATE["job_configuration"], "cpu": 4},
    }
    world.do(lambda unit: administration.update_pool(unit, "pool", {"base_job_template": changed}))
    assert world.lane() != before
    assert {world.run(run).lane for run in runs} == {world.lane()}
    assert {host.lane for host in planned(world).requested} == {world.lane()}


def test_queued_runs_follow_their_deployment_into_another_lane(world):
    lanes(world)
    own, others = queue(world, 1, job_variables={"disk": 9}), queue(world, 1)
    world.deployment("stays")
    stays = queue(world, 1, "f/stays")
    world.deployment(job_variables={"memory": 3})
    assert world.run(own[0]).lane == world.lane(memory=3, disk=9)
    assert world.run(others[0]).lane == world.lane(memory=3)
    assert world.run(stays[0]).lane == world.lane()


# Workers


def test_the_worker_with_the_fewest_hosts_is_asked(world):
    world.worker("v")
    knobs(world, min=3)
    hosts = planned(world, one_worker("w"), one_worker("v")).requested
    assert sorted(host.worker_id for host in hosts) in (["v", "v", "w"], ["v", "w", "w"])


def test_a_worker_launches_no_more_than_its_limit_has_use_for(world):
    knobs(world, slots_per_host=2, max=10)
    queue(world, 20)
    assert asked(world, one_worker(limit=3)) == 2
    assert asked(world, one_worker(limit=3)) == 0
    assert asked(world, one_worker(limit=3), one_worker("v")) == 8


def test_a_workers_limit_does_not_keep_other_lanes_from_their_first_host(world):
    lanes(world)
    assert asked(world, one_worker(limit=1)) == 1
    world.deployment("big", job_variables={"memory": 2})
    queue(world, 1, "f/big")
    (host,) = planned(world, one_worker(limit=1)).requested
    assert host.lane == world.lane(memory=2)


def test_hosts_serve_the_queues_of_their_worker(world):
    world.queue("q")
    world.deployment("q", queue="q")
    queue(world, 1, "f/q")
    queue(world, 1)
    own, general = one_worker("w", queues=["q"]), one_worker("v")
    hosts = planned(world, own, general).requested
    assert {host.worker_id: host.queues for host in hosts} == {"w": ["q"], "v": []}


def test_a_queue_that_no_worker_serves_asks_for_nothing(world):
    queue(world, 1)
    assert asked(world, one_worker(queues=["other"])) == 0


def test_least_and_most_count_over_all_workers(world):
    world.queue("q")
    world.deployment("q", queue="q")
    knobs(world, min=1, max=3, slots_per_host=1)
    own, general = one_worker("w", queues=["q"]), one_worker("v")
    assert asked(world, own, general) == 1
    queue(world, 9, "f/q")
    queue(world, 9)
    assert asked(world, own, general) == 2
    assert len(alive(world)) == 3


def test_the_orders_of_a_worker_are_its_living_hosts(world):
    knobs(world, min=2)
    first, second = planned(world).requested
    world.host("other", worker_id="v", ready=False)
    orders = world.read(lambda records: orders_of(records, "w", "pool"))
    assert [order.host_id for order in orders] == [first.id, second.id]
    assert orders[0].process is None
    assert orders[0].slots == 8


# Idle hosts


def test_an_idle_host_leaves_after_its_time(world):
    world.host()
    assert planned(world).next_idle == 1300.0
    world.now = 1299.0
    assert planned(world).next_idle == 1300.0
    assert alive(world, HostState.UP) == ["h"]
    world.now = 1300.0
    assert planned(world).next_idle is None
    assert world.last.draining == {"h"}
    assert alive(world, HostState.DRAINING) == ["h"]


def test_the_least_number_stays_though_idle(world):
    knobs(world, min=1)
    world.host("h1", idle_since=900.0)
    world.host("h2", idle_since=950.0)
    world.now = 9999.0
    planned(world)
    assert alive(world, HostState.DRAINING) == ["h1"]
    assert planned(world).next_idle is None


def test_an_idle_host_of_a_lane_that_nothing_uses_any_more_leaves(world):
    lanes(world)
    world.host("new")
    world.host("old", lane=world.lane(memory=2))
    world.now = 1299.0
    assert planned(world).next_idle == 1300.0
    world.now = 1300.0
    planned(world)
    assert alive(world, HostState.UP) == ["new"]


def test_a_busy_host_of_an_old_lane_stays(world):
    lanes(world)
    world.deployment("big", job_variables={"memory": 2})
    world.host("new")
    world.host("old", lane=world.lane(memory=2), slots=1)
    (run,) = queue(world, 1, "f/big")
    assert world.host_of(run) == "old"
    world.do(lambda unit: administration.delete_deployment(unit, "f/big"))
    world.now = 9999.0
    planned(world)
    assert alive(world, HostState.UP) == ["new", "old"]


def test_hosts_of_queues_that_no_worker_serves_any_more_leave_and_keep_no_place(world):
    world.queue("q")
    knobs(world, min=1, max=1, slots_per_host=1)
    world.host("old", queues=["q"], ready=False)
    world.host("dead-end", queues=["q"], worker_id="v", ready=False)
    assert asked(world) == 1
    world.now = 1300.0
    planned(world)
    assert alive(world, HostState.DRAINING) == ["dead-end", "old"]


def test_the_hosts_of_a_worker_that_is_not_connected_now_keep_their_place(world):
    world.queue("q")
    world.worker("v", queues=["q"])
    knobs(world, min=1, max=1)
    world.host(queues=["q"], worker_id="v", ready=False)
    world.now = 9999.0
    assert asked(world) == 0
    assert alive(world, HostState.UP) == ["h"]


def test_a_busy_host_is_not_drained(world):
    knobs(world, slots_per_host=1)
    world.host("h1", slots=1)
    world.host("h2", slots=1)
    busy = world.host_of(world.submit())
    world.now = 9999.0
    planned(world)
    assert alive(world, HostState.UP) == [busy]
    assert len(alive(world, HostState.DRAINING)) == 1


# Nested runs


def test_one_host_above_the_most_is_launched_for_a_run_that_is_waited_for(world):
    lanes(world)
    world.deployment("big", job_variables={"memory": 2})
    world.host("h1", slots=1, lane=world.lane(memory=2))
    world.host("h2", slots=1, lane=world.lane(memory=2))
    busy = queue(world, 2, "f/big")
    for run in busy:
        world.start(run)
    queue(world, 5, "f/big")
    world.host("small", slots=1)
    parent = world.submit()
    world.start(parent)
    assert asked(world) == 0
    world.child(parent, "f/big")
    (host,) = planned(world).requested
    assert host.lane == world.lane(memory=2)
    assert asked(world) == 0


def test_no_host_is_launched_for_a_nested_run_of_a_paused_queue(world):
    world.queue("q", paused=True)
    world.deployment("q", queue="q")
    world.host()
    parent = world.submit()
    world.start(parent)
    knobs(world, max=1)
    world.child(parent, "f/q")
    assert asked(world) == 0
