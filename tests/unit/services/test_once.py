"""Hosts that take one run each: one is always ready, and none gets a second run."""

import pytest

from stoker.domain.hosts import HostState
from stoker.domain.pools import Machine, Worker
from stoker.domain.states import StateType
from stoker.services import administration
from stoker.services.fleet import registering
from stoker.services.fleet.capacity import orders_of, plan


def planned(world, *workers: Worker, blocked=None):
    found = workers or (one_worker(),)
    return world.do(lambda unit: plan(unit, "pool", found, blocked or {}, world.ready))


def one_worker(name: str = "w", **fields) -> Worker:
    return Worker(id=name, name=name, pool="pool", machine=Machine("here", "boot"), **fields)


def knobs(world, **fields) -> None:
    world.do(lambda unit: administration.update_pool(unit, "pool", {"warm": fields}))


def lane(world) -> str:
    return world.read(lambda records: records.deployment("f/own")).lane


def spare(world, name: str, **fields):
    return world.host(name, slots=1, once=True, lane=lane(world), **fields)


def come_up(world, *hosts) -> None:
    for host in hosts:
        spare(world, host.id)


@pytest.fixture
def own(world):
    """A world with a deployment ``f/own`` of runs that have a host each."""
    world.deployment("own", isolation="host")
    return world


# How many there are.


def test_one_is_ready_as_long_as_something_is_deployed_on_them(own):
    (host,) = planned(own).requested
    assert (host.once, host.slots, host.lane) == (True, 1, lane(own))
    assert lane(own) != own.lane()
    (order,) = own.read(lambda records: orders_of(records, "w", "pool"))
    assert (order.once, order.slots) == (True, 1)
    assert planned(own).requested == []
    come_up(own, host)
    own.now = 9999.0
    planned(own)
    assert own.last.draining == set(), "a spare one stays"
    own.do(lambda unit: administration.delete_deployment(unit, "f/own"))
    assert "pool" in own.last.demand
    planned(own)
    assert own.last.draining == {host.id}


def test_buffer_says_how_many(own):
    knobs(own, buffer=3)
    assert len(planned(own).requested) == 3


def test_the_most_counts_slots(own):
    knobs(own, max=2, slots_per_host=3)
    for _ in range(20):
        own.submit("f/own")
    assert len(planned(own).requested) == 6
    come_up(own, *[host for host in own.hosts() if host.once])
    assert planned(own).requested == [], "their processes are still there"


def test_the_next_is_ordered_as_soon_as_one_is_used(own):
    spare(own, "h1")
    assert planned(own).requested == []
    own.submit("f/own")
    assert "pool" in own.last.demand
    assert len(planned(own).requested) == 1


def test_surplus_leaves_after_its_time(own):
    spare(own, "h1")
    spare(own, "h2")
    assert planned(own).next_idle == 1300.0
    own.now = 1300.0
    planned(own)
    assert own.last.draining == {"h1"}


def test_a_worn_spare_is_replaced_first(own):
    spare(own, "h1")
    own.do(lambda unit: registering.worn(unit, "h1", "old"))
    (new,) = planned(own).requested
    assert (new.replaces, new.once) == ("h1", True)
    come_up(own, new)


def test_a_worn_spare_that_another_stands_for_is_not_replaced(own):
    for name in ("h1", "h2"):
        spare(own, name)
        own.submit("f/own")
    spare(own, "h3")
    spare(own, "h4")
    own.do(lambda unit: registering.worn(unit, "h4", "old"))
    assert planned(own).requested == []


def test_workers_keep_one_for_the_queues_that_they_serve(own):
    own.queue("q")
    assert planned(own, one_worker(queues=["q"])).requested == []
    own.deployment("own", isolation="host", queue="q")
    assert len(planned(own, one_worker(queues=["q"])).requested) == 1


def test_a_run_with_variables_of_its_own_gets_a_host_of_its_own(own):
    template = {
        "variables": {"properties": {"memory": {"type": "integer", "default": 1}}},
        "job_configuration": {"memory": "{{ memory }}"},
    }
    own.do(lambda unit: administration.update_pool(unit, "pool", {"base_job_template": template}))
    run = own.submit("f/own", job_variables={"memory": 2})
    hosts = {host.infrastructure["memory"]: host for host in planned(own).requested}
    assert hosts[2].once
    assert hosts[2].lane == own.run(run).lane
    assert hosts[1].lane == lane(own)


def test_a_deployment_can_change_its_isolation(own):
    runs = [own.submit("f/own") for _ in range(2)]
    own.deployment("own")
    assert {own.run(run).lane for run in runs} == {own.lane()}
    own.deployment("own", isolation="host")
    assert {own.run(run).lane for run in runs} == {lane(own)} != {own.lane()}


# What they are given.


def test_none_gets_a_second_run(own):
    spare(own, "h1")
    first, second = own.submit("f/own"), own.submit("f/own")
    assert own.host_of(first) == "h1"
    assert own.state(second) is StateType.SCHEDULED
    assert own.stored("h1").state is HostState.DRAINING
    assert first.id in own.stored("h1").message
    # Its socket is still there, and its slot is free again.
    own.finish(first)
    assert own.state(second) is StateType.SCHEDULED
    spare(own, "h2")
    assert own.host_of(second) == "h2"


def test_none_gets_a_second_run_in_the_same_transaction(own):
    runs = [own.submit("f/own") for _ in range(3)]
    spare(own, "h1", ready=False)
    spare(own, "h2", ready=False)
    for name in ("h1", "h2"):
        stored = own.stored(name)
        own.ready[name] = own.do(lambda unit, host=stored: registering.ready_host(unit, host))
    own.claim()
    assert own.last.used == {"h1", "h2"}
    assert sorted(own.given()) == sorted(run.id for run in runs[:2])
    assert all(len(jobs) == 1 for jobs in own.last.assigned.values())


def test_a_run_that_never_reached_its_host_gets_another(own):
    spare(own, "h1")
    run = own.submit("f/own")
    own.do(lambda unit: registering.reconcile(unit, "h1", []))
    assert own.state(run) is StateType.SCHEDULED
    assert own.stored("h1").state is HostState.DRAINING
    spare(own, "h2")
    assert own.host_of(run) == "h2"


def test_runs_of_other_deployments_go_elsewhere(own):
    spare(own, "h1")
    run = own.submit()
    assert own.state(run) is StateType.SCHEDULED
    own.host("h")
    assert own.host_of(run) == "h"
    own.submit("f/own")
    assert own.stored("h").state is HostState.UP


def test_a_host_that_has_its_run_keeps_draining_when_it_connects_again(own):
    import hashlib

    token_hash = hashlib.sha256(b"token").hexdigest()
    spare(own, "h1", token_hash=token_hash)
    own.submit("f/own")
    process = own.stored("h1").process
    own.do(lambda unit: registering.register_host(unit, "h1", "token", process, own.now + 30))
    assert own.stored("h1").state is HostState.DRAINING


# Nested runs.


def test_a_chain_of_waits_is_longer_than_the_most(own):
    knobs(own, max=1, slots_per_host=2)
    (first,) = planned(own).requested
    come_up(own, first)
    run = own.submit("f/own")
    own.start(run)
    for depth in range(5):
        child = own.child(run, "f/own")
        for host in planned(own).requested:
            come_up(own, host)
        assert own.host_of(child) is not None, depth
        own.start(child)
        run = child


def test_a_run_of_a_shared_host_waits_for_one_of_its_own_and_the_other_way_round(own):
    knobs(own, max=1, slots_per_host=1)
    own.do(lambda unit: administration.update_pool(unit, "pool", {"concurrency_limit": 1}))
    own.host("h", slots=1)
    spare(own, "h1")
    parent = own.submit()
    own.start(parent)
    child = own.child(parent, "f/own")
    assert (own.host_of(parent), own.host_of(child)) == ("h", "h1")
    own.start(child)
    grandchild = own.child(child)
    assert own.host_of(grandchild) == "h", "the slot that its grandparent lends"


def test_runs_that_execute_are_bounded_by_the_most(own):
    knobs(own, max=1, slots_per_host=2)
    for name in ("h1", "h2"):
        spare(own, name)
        own.start(own.submit("f/own"))
    own.submit("f/own")
    assert planned(own).requested == []
