"""Any order of starts, waits, timeouts, crashes and cancels keeps the limits and goes on."""

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stoker.domain.hosts import HostState
from stoker.domain.states import ACTIVE, StateType
from stoker.ports.store import RunFilter
from stoker.services.claims import lending
from stoker.services.fleet import registering
from stoker.services.lookup import need_run
from stoker.services.runs.cancelling import cancel

TEMPLATE = {
    "variables": {"properties": {"memory": {"type": "integer", "default": 1}}},
    "job_configuration": {"memory": "{{ memory }}"},
}
QUEUES = ("a", "b")
WORKERS = ("w1", "w2")
LANES = (1, 2)
LIMITS = st.sampled_from([None, 1, 1, 2, 3])


class Lending(RuleBasedStateMachine):
    """Runs of two queues and two lanes on the hosts of two workers, all with limits."""

    new_world: ClassVar[staticmethod]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).new_world()
        self.waiting: dict[str, set[str]] = {}
        self.names: dict[str, str] = {}
        self.dead_hosts = 0

    def teardown(self) -> None:
        self.world.close()

    @initialize(
        pool=LIMITS,
        queues=st.tuples(LIMITS, LIMITS),
        workers=st.tuples(LIMITS, LIMITS),
        deployments=st.tuples(LIMITS, LIMITS, LIMITS, LIMITS),
    )
    def set_up(self, pool, queues, workers, deployments) -> None:
        world = self.world
        world.pool(base_job_template=TEMPLATE, concurrency_limit=pool)
        self.pool_limit = pool
        self.queue_limits = dict(zip(QUEUES, queues, strict=True))
        self.worker_limits = dict(zip(WORKERS, workers, strict=True))
        self.deployment_limits: dict[str, int | None] = {}
        self.given_limits = iter(deployments)
        for queue, limit in self.queue_limits.items():
            world.queue(queue, concurrency_limit=limit)
            for lane in LANES:
                self.deploy(queue, lane, next(self.given_limits))
        for worker, limit in self.worker_limits.items():
            world.worker(worker, limit=limit)
        for worker, lane in zip(WORKERS, LANES, strict=True):
            self.add_host(worker, lane, 2)
        self.add_host("w1", 2, 1)

    def deploy(self, queue: str, lane: int, limit: int | None) -> None:
        made = self.world.deployment(
            f"{queue}{lane}",
            queue=queue,
            job_variables={"memory": lane},
            concurrency_limit=limit,
        )
        self.deployment_limits[made.id] = limit
        self.settle()

    def add_host(self, worker: str, lane: int, slots: int) -> None:
        name = f"{worker}-{lane}-{self.dead_hosts}"
        lane_key = self.world.lane(memory=lane)
        self.world.host(name, worker_id=worker, lane=lane_key, slots=slots)
        self.settle()

    # What has happened, as the runs see it.

    def settle(self) -> None:
        for run in self.world.last.ended:
            self.waiting.pop(run.id, None)
        for waiter, child in self.world.last.resumed:
            waits = self.waiting.get(waiter, set())
            waits.discard(child.id)
            if not waits:
                self.waiting.pop(waiter, None)

    def runs(self, *kinds: StateType) -> list[str]:
        found = self.world.read(
            lambda records: records.flow_runs(RunFilter(states=kinds, limit=1000))
        )
        return sorted(run.id for run in found)

    def pick(self, data, runs) -> str:
        """Runs by the order of their making, so that an example can be run again."""
        return data.draw(st.sampled_from(sorted(runs, key=self.number)), label="run")

    def number(self, run_id: str) -> int:
        return int(self.names[run_id])

    def executing(self) -> list[str]:
        return [run for run in self.runs(*ACTIVE) if run not in self.waiting]

    def name(self, run) -> None:
        self.world.now += 1
        self.names[run.id] = str(len(self.names))

    # What can happen.

    @rule(queue=st.sampled_from(QUEUES), lane=st.sampled_from(LANES))
    def submit(self, queue, lane) -> None:
        self.name(self.world.submit(f"f/{queue}{lane}"))
        self.settle()

    @precondition(lambda self: self.names)
    @rule(
        data=st.data(),
        queue=st.sampled_from(QUEUES),
        lane=st.sampled_from(LANES),
        same=st.booleans(),
        more=st.booleans(),
    )
    def start_child_and_wait(self, data, queue, lane, same, more) -> None:
        parents = [run for run in self.runs(StateType.RUNNING) if more or run not in self.waiting]
        held = {waiter for waiter, _ in self.world.read(lambda records: records.held_waits())}
        parents = [run for run in parents if run not in held]
        if not parents:
            return
        parent = self.pick(data, parents)
        name = self.world.run(parent).deployment if same else f"f/{queue}{lane}"
        self.waiting.setdefault(parent, set())
        child = self.world.child(parent, name)
        self.name(child)
        self.waiting[parent].add(child.id)
        self.settle()

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def wait_for_another(self, data) -> None:
        """A run waits for one that it did not start, and that needs nothing of it to end."""
        waiters = [run for run in self.runs(StateType.RUNNING) if run not in self.waiting]
        others = self.runs(StateType.SCHEDULED, *ACTIVE)
        needs = self.needs()
        pairs = [(a, b) for a in waiters for b in others if a not in self.below(b, needs)]
        if not pairs:
            return
        pairs.sort(key=lambda pair: tuple(map(self.number, pair)))
        waiter, child = data.draw(st.sampled_from(pairs), label="waiter and child")
        self.waiting[waiter] = {child}
        self.world.do(lambda unit: lending.begin_wait(unit, waiter, need_run(unit.records, child)))
        self.settle()

    def needs(self) -> dict[str, set[str]]:
        """Which run can end only after which others: waited for, or holding what it lent."""
        found = {waiter: set(children) for waiter, children in self.waiting.items()}
        for lease in self.look()[1].values():
            for lender in (
                lease.pool_from,
                lease.queue_from,
                lease.worker_from,
                lease.slot_from,
                lease.deployment_from,
            ):
                if lender is not None:
                    found.setdefault(lender, set()).add(lease.run_id)
        return found

    def below(self, run: str, needs: dict[str, set[str]]) -> set[str]:
        found, todo = {run}, [run]
        while todo:
            for other in needs.get(todo.pop(), set()) - found:
                found.add(other)
                todo.append(other)
        return found

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def a_wait_times_out(self, data) -> None:
        held = set(self.world.read(lambda records: records.held_waits()))
        pairs = [(w, c) for w, children in self.waiting.items() for c in children]
        pairs = [pair for pair in pairs if pair not in held]
        if not pairs:
            return
        pairs.sort(key=lambda pair: tuple(map(self.number, pair)))
        waiter, child = data.draw(st.sampled_from(pairs), label="waiter and child")
        self.world.do(lambda unit: lending.end_wait(unit, waiter, need_run(unit.records, child)))
        self.settle()

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def start(self, data) -> None:
        runs = self.runs(StateType.PENDING)
        if runs:
            self.world.start(self.pick(data, runs))
            self.settle()

    @precondition(lambda self: self.names)
    @rule(data=st.data(), kind=st.sampled_from([StateType.COMPLETED, StateType.FAILED]))
    def finish(self, data, kind) -> None:
        runs = self.executing()
        if runs:
            self.world.finish(self.pick(data, runs), kind)
            self.settle()

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def crash(self, data) -> None:
        """A process can die whatever it does, while it waits too."""
        runs = self.runs(*ACTIVE)
        if runs:
            self.world.finish(self.pick(data, runs), StateType.CRASHED)
            self.settle()

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def be_cancelled(self, data) -> None:
        runs = self.runs(StateType.SCHEDULED, *ACTIVE)
        if runs:
            run = self.pick(data, runs)
            self.world.do(lambda unit: cancel(unit, run))
            self.settle()

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def be_handed_back(self, data) -> None:
        runs = self.runs(StateType.PENDING)
        if runs:
            run = self.world.run(self.pick(data, runs))
            self.world.do(lambda unit: registering.release(unit, [(run.id, run.attempt)]))
            self.settle()

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def lose_a_host(self, data) -> None:
        if self.dead_hosts < 3:
            self.dead_hosts += 1
            host = data.draw(st.sampled_from(sorted(self.world.ready)), label="host")
            worker, lane, _ = host.split("-")
            slots = self.world.ready.pop(host).slots
            self.world.do(lambda unit: registering.lost(unit, host, "test"))
            self.settle()
            self.add_host(worker, int(lane), slots)

    @rule(queue=st.sampled_from(QUEUES), lane=st.sampled_from(LANES), limit=LIMITS)
    def raise_a_deployments_limit(self, queue, lane, limit) -> None:
        """A limit below its use blocks and ends nothing: then it would not hold for a while."""
        before = self.deployment_limits[self.world.deployment_id(f"f/{queue}{lane}")]
        if limit is None or (before is not None and limit >= before):
            self.deploy(queue, lane, limit)

    # What always holds.

    def look(self):
        def work(records):
            which = RunFilter(states=(StateType.SCHEDULED, *ACTIVE), limit=1000)
            runs = {run.id: run for run in records.flow_runs(which)}
            leases = {
                lease.run_id: lease
                for host in records.hosts()
                for lease in records.leases_of(host.id)
            }
            return runs, leases, records.held_waits(), records.usage("pool")

        return self.world.read(work)

    @precondition(lambda self: self.names)
    @invariant()
    def limits_hold_and_leases_belong(self) -> None:
        runs, leases, held, usage = self.look()
        active = {run.id for run in runs.values() if run.state.type in ACTIVE}
        assert active == set(leases), "a lease is what an active run has"
        executing = [lease for run, lease in leases.items() if run not in self.waiting]
        count = Counter[str]()
        for lease in executing:
            count.update({"pool": 1, "queue " + lease.queue: 1, "worker " + lease.worker_id: 1})
            count[f"deployment {lease.deployment_id}"] += 1
        limits = {"pool": self.pool_limit}
        limits |= {f"queue {name}": limit for name, limit in self.queue_limits.items()}
        limits |= {f"worker {name}": limit for name, limit in self.worker_limits.items()}
        limits |= {f"deployment {name}": limit for name, limit in self.deployment_limits.items()}
        for name, limit in limits.items():
            assert limit is None or count[name] <= limit, f"{name} executes {count[name]}"
        for lease in leases.values():
            for key in ("pool", "queue", "worker", "slot", "deployment"):
                lender = getattr(lease, f"{key}_from")
                if lender is None:
                    continue
                assert lender in leases, f"{key} is borrowed of a run that has none"
                assert lender in self.waiting, f"{key} is borrowed of a run that executes"
                assert key == "slot" or self.same(key, lease, leases[lender])
        assert {waiter for waiter, _ in held} <= set(leases)
        assert usage.pool == sum(lease.pool_from is None for lease in leases.values())

    def same(self, key: str, one, two) -> bool:
        field = f"{key}_id" if key in ("worker", "deployment") else key
        return getattr(one, field) == getattr(two, field)

    @precondition(lambda self: self.names)
    @invariant()
    def something_goes_on(self) -> None:
        """Where nothing executes, nothing waits that a ready host could take."""
        runs, leases, held, _ = self.look()
        if any(run not in self.waiting for run in leases):
            return
        held_pairs = set(held)
        waited_for = {
            child
            for waiter, children in self.waiting.items()
            for child in children
            if (waiter, child) not in held_pairs
        }
        stuck = [
            run.id
            for run in runs.values()
            if run.state.type is StateType.SCHEDULED and (run.id in waited_for or not leases)
        ]
        note(f"nothing executes; held: {held}, queued: {stuck}")
        assert not held, "a held wait has nothing left to wait for"
        assert not stuck, "queued runs find no slot though nothing executes"


@pytest.mark.timeout(300)
def test_lending_keeps_every_limit_and_never_stands_still(new_world):
    class Machine(Lending):
        pass

    Machine.new_world = staticmethod(new_world)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            report_multiple_bugs=False,
            phases=[phase for phase in Phase if phase is not Phase.explain],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_the_machine_has_hosts_for_every_lane(new_world):
    world = new_world()
    Lending.new_world = staticmethod(lambda: world)
    machine = Lending()
    machine.set_up(None, (None, None), (None, None), (None,) * 4)
    assert {host.lane for host in world.hosts() if host.state is HostState.UP} == {
        world.lane(memory=lane) for lane in LANES
    }
