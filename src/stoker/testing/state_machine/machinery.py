"""The machine: what users, hosts and time do, and what is compared after each step."""

from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from stoker.domain.pools import WorkPool
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.servers import Server
from stoker.domain.states import StateType
from stoker.ports.store import RunFilter, Store
from stoker.services import administration
from stoker.services.claims import lending
from stoker.services.fleet import registering
from stoker.services.replicas.members import register_alone
from stoker.services.runs import submission
from stoker.services.runs.promoting import promote
from stoker.services.unit import Unit
from stoker.testing.state_machine import laws
from stoker.testing.state_machine.hosts import HostSteps
from stoker.testing.state_machine.scene import NAMES, PLANS, POOLS, QUEUES, TEMPLATE, WORKERS
from stoker.testing.state_machine.sides import NUMBERS, Side
from stoker.testing.state_machine.times import TimeSteps
from stoker.testing.state_machine.users import UserSteps
from stoker.testing.state_machine.views import MANY, same_as, seen


class Machinery(UserSteps, HostSteps, TimeSteps, RuleBasedStateMachine):
    """Each step is taken on all stores that ``make`` makes; the first one says what is expected.

    Attributes:
        kept: Names of the stores that are used again, and not closed.
        steps: What the steps came to, over all examples.
    """

    kept: ClassVar[frozenset[str]] = frozenset()
    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.sides = {name: Side(store) for name, store in self.make().items()}
        self.first = next(iter(self.sides.values()))
        self.now = 1_000_000.0
        self.frames = 0
        self.taken = 0
        self.facts: laws.Facts | None = None
        self.stale: list[FlowRun] = []
        NUMBERS.last = 0

    def make(self) -> dict[str, Store]:
        """Make empty stores, by name."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Close the stores."""
        for name, side in self.sides.items():
            if name not in self.kept:
                side.store.close()

    @initialize()
    def prepare(self) -> None:
        """Set up what is there at the beginning."""
        server = Server(id="s", address="", version="", started=0.0, lease_until=inf)
        self.same(lambda unit: register_alone(unit.records, server))
        self.same(self._set_up)
        for name in ("h1", "h2", "h4"):
            self.launch_host(name)
        self.submit_some([(name, 2) for name in NAMES])
        self.start_all()
        self.same(self._begin_waits)
        self.submit_some([("big", 1), ("beside", 1)], scheduled_time=self.now + 1.0)
        self.now += 1.0
        self.same(promote)

    def _set_up(self, unit: Unit) -> None:
        for name in POOLS:
            pool = WorkPool(id="", name=name, base_job_template=TEMPLATE)
            administration.create_pool(unit, pool)
        for queue in QUEUES:
            administration.put_queue(unit, queue)
        for plan in PLANS.values():
            administration.put_deployment(unit, plan.deployment)
        for worker in WORKERS:
            registering.register_worker(unit, worker, [])

    def _begin_waits(self, unit: Unit) -> None:
        """Runs that run wait for others, of other deployments and of their own."""
        which = RunFilter(states=[StateType.RUNNING], limit=MANY)
        for parent in unit.records.flow_runs(which)[:3]:
            requests = [StartRun(deployment=name) for name in (parent.deployment or "", "f/fast")]
            for child in submission.submit(unit, requests):
                lending.begin_wait(unit, parent.id, child)

    def same(self, work: Callable[[Unit], Any]) -> dict[str, Any]:
        """Take a step on each side; what comes of it must be the same."""
        first, came = NUMBERS.last, dict[str, dict[str, Any]]()
        for name, side in self.sides.items():
            NUMBERS.last = first
            came[name] = side.do(work, self.now)
        expected = next(iter(came.values()))
        for name, found in came.items():
            same_as(expected, found, name)
        self.steps["given"] += sum(len(jobs) for jobs in expected.get("assigned", {}).values())
        self.steps["ended"] += len(expected.get("ended", ()))
        self.steps["refused"] += "refused" in expected
        self.steps["resumed"] += len(expected.get("resumed", ()))
        return expected

    def runs(self, *kinds: StateType) -> list[FlowRun]:
        """The runs in some states, or all."""
        which = RunFilter(states=kinds, limit=MANY)
        return self.first.store.read(lambda records: records.flow_runs(which)).result(9)

    def pick(self, data: st.DataObject, *kinds: StateType) -> FlowRun:
        """One of the runs in some states."""
        return data.draw(st.sampled_from(self.runs(*kinds)))

    def have(self, *kinds: StateType) -> bool:
        """Whether there is a run in one of some states, or any."""
        assert self.facts is not None
        return any(not kinds or run.state.type in kinds for run in self.facts.runs.values())

    @invariant()
    def all_look_the_same(self) -> None:
        """What can be read of one store can be read of each."""
        before, self.facts = self.facts, self.first.store.read(laws.Facts).result(30)
        self.taken += 1
        changed = laws.changed(before, self.facts)
        self._remember(before, self.facts)
        found = {
            name: side.store.read(lambda records: seen(records, changed, self.taken))
            for name, side in self.sides.items()
        }
        views = {name: future.result(30) for name, future in found.items()}
        expected = next(iter(views.values()))
        for name, view in views.items():
            same_as(expected, view, name)
        self._obey(before, self.facts, expected["states"])

    def _obey(self, before: laws.Facts | None, now: laws.Facts, states: dict[str, Any]) -> None:
        laws.leases_match_states(now)
        laws.no_limit_is_exceeded(before, now)
        laws.groups_begin_no_later_than_their_runs(now)
        laws.nobody_waits_for_nothing(now, self.first.ready)
        for run_id, history in states.items():
            laws.history_follows_the_table(now.runs[run_id], history)

    def _remember(self, before: laws.Facts | None, now: laws.Facts) -> None:
        """Keep some runs as they were, for whoever acts on what he read before."""
        known = before.runs if before is not None else {}
        self.stale += [
            run
            for run in known.values()
            if run.id in now.runs and run.version < now.runs[run.id].version
        ]
        del self.stale[:-5]
