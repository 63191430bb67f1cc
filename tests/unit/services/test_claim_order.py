"""Claims by groups take the same runs, in the same order, as a claim that reads every run."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stoker.domain.deployments import CollisionStrategy
from stoker.domain.requests import StartRun
from stoker.domain.states import ACTIVE, StateType
from stoker.ports.store import RunFilter
from stoker.services import administration
from stoker.services.fleet import registering
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.submission import submit

TEMPLATE = {
    "variables": {"properties": {"memory": {"type": "integer", "default": 1}}},
    "job_configuration": {"memory": "{{ memory }}"},
}
QUEUES = {"a": 1, "b": 1, "c": 2}
"""Queues by priority."""
LANES = (1, 2)
DEPLOYMENTS = ["a11", "a12", "a21", "b11", "c11", "c21"]
"""Named after queue, lane and a number."""
LIMITS = st.sampled_from([None, None, 0, 1, 2])

STEP = st.one_of(
    st.tuples(st.just("submit"), st.lists(st.sampled_from(DEPLOYMENTS), min_size=1, max_size=4)),
    st.tuples(st.just("finish"), st.integers(0, 9)),
    st.tuples(st.just("hand back"), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("limit deployment"), st.tuples(st.sampled_from(DEPLOYMENTS), LIMITS)),
    st.tuples(st.just("limit queue"), st.tuples(st.sampled_from(list(QUEUES)), LIMITS)),
    st.tuples(st.just("pause queue"), st.tuples(st.sampled_from(list(QUEUES)), st.booleans())),
    st.tuples(st.just("limit pool"), LIMITS),
)


class Naive:
    """What a claim has to take, by reading all runs and all leases."""

    def __init__(self, world) -> None:
        def look(records):
            which = RunFilter(states=(StateType.SCHEDULED, *ACTIVE), limit=1000)
            runs = records.flow_runs(which)
            return (
                records.pool("pool"),
                {queue.name: queue for queue in records.queues("pool")},
                {one.id: one for one in records.deployments("pool")},
                runs,
                [lease for run in runs if (lease := records.lease(run.id))],
            )

        self.pool, self.queues, self.deployments, runs, leases = world.read(look)
        self.queued = [run for run in runs if run.queued]
        self.used = Counter[str](pool=len(leases))
        for lease in leases:
            self.used.update([f"queue {lease.queue}", f"deployment {lease.deployment_id}"])
            self.used[f"host {lease.host_id}"] += 1
        self.hosts = {host.lane: host for host in world.ready.values()}

    def claim(self) -> list[str]:
        ordered = sorted(
            self.queued, key=lambda run: (self.queues[run.queue].priority, run.due, run.id)
        )
        return [run.id for run in ordered if self._take(run)]

    def _take(self, run) -> bool:
        queue, deployment = self.queues[run.queue], self.deployments[run.deployment_id]
        host = self.hosts[run.lane]
        limits = {
            "pool": self.pool.concurrency_limit,
            f"queue {queue.name}": 0 if queue.paused else queue.concurrency_limit,
            f"deployment {deployment.id}": deployment.concurrency_limit,
            f"host {host.id}": host.slots,
        }
        if any(limit is not None and self.used[name] >= limit for name, limit in limits.items()):
            return False
        self.used.update(limits.keys())
        return True


def deploy(world, name: str, limit: int | None) -> None:
    world.deployment(
        name, queue=name[0], job_variables={"memory": int(name[1])}, concurrency_limit=limit
    )


def happen(world, what: str, how) -> None:
    """One step, with nothing claimed."""
    ready, world.ready = world.ready, {}
    world.now += 1
    try:
        _happen(world, what, how)
    finally:
        world.ready = ready


def _happen(world, what: str, how) -> None:
    match what, how:
        case "submit", names:
            requests = [StartRun(deployment=f"f/{name}") for name in names]
            world.do(lambda unit: submit(unit, requests))
        case "limit deployment", (name, limit):
            deploy(world, name, limit)
        case "limit queue", (name, limit):
            world.queue(name, priority=QUEUES[name], concurrency_limit=limit)
        case "pause queue", (name, paused):
            world.queue(name, priority=QUEUES[name], paused=paused)
        case "limit pool", limit:
            changes = {"concurrency_limit": limit}
            world.do(lambda unit: administration.update_pool(unit, "pool", changes))
        case kind, number:
            states = (StateType.SCHEDULED,) if kind == "cancel" else (StateType.PENDING,)
            found = world.read(lambda records: records.flow_runs(RunFilter(states=states)))
            if found:
                end(world, kind, found[number % len(found)])


def end(world, kind: str, run) -> None:
    if kind == "cancel":
        world.do(lambda unit: cancel(unit, run.id))
    elif kind == "hand back":
        world.do(lambda unit: registering.release(unit, [(run.id, run.attempt)]))
    else:
        world.finish(run)


@pytest.mark.timeout(120)
def test_claims_take_what_a_claim_takes_that_reads_everything(new_world):
    @settings(
        max_examples=80,
        deadline=None,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        slots=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        limits=st.lists(LIMITS, min_size=len(DEPLOYMENTS), max_size=len(DEPLOYMENTS)),
        steps=st.lists(STEP, min_size=5, max_size=30),
    )
    def check(slots, limits, steps) -> None:
        world = new_world()
        world.pool(base_job_template=TEMPLATE)
        world.worker()
        for name, priority in QUEUES.items():
            world.queue(name, priority=priority)
        for name, limit in zip(DEPLOYMENTS, limits, strict=True):
            deploy(world, name, limit)
        for lane, number in zip(LANES, slots, strict=True):
            world.host(f"h{lane}", lane=world.lane(memory=lane), slots=number)
        for what, how in steps:
            happen(world, what, how)
            expected = Naive(world).claim()
            world.claim()
            claimed = [run for run in expected if world.state(run) is StateType.PENDING]
            assert claimed == expected
            assert sorted(world.given()) == sorted(expected)
        world.close()

    check()


def test_more_new_runs_than_the_limit_are_cancelled_where_none_is_to_wait(world):
    world.deployment("one", concurrency_limit=2, collision_strategy=CollisionStrategy.CANCEL_NEW)
    world.host(slots=1)
    requests = [StartRun(deployment="f/one")] * 3
    runs = world.do(lambda unit: submit(unit, requests))
    assert [world.state(run) for run in runs] == [
        StateType.PENDING,
        StateType.SCHEDULED,
        StateType.CANCELLED,
    ], "what waits for a slot has a place already"
    assert "CANCEL_NEW" in world.run(runs[2]).state.message
    world.finish(runs[0])
    assert world.state(world.submit("f/one")) is StateType.SCHEDULED
    assert world.state(world.submit("f/one")) is StateType.CANCELLED
