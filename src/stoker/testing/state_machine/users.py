"""Steps of users."""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from msgspec.structs import replace

from stoker.domain.requests import HoldRun, StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.domain.transitions import Command, Transition, Wish, decide
from stoker.services import administration
from stoker.services.claims import lending
from stoker.services.runs import pausing, rerunning, submission
from stoker.services.runs.cancelling import cancel
from stoker.services.unit import Unit
from stoker.testing.state_machine.scene import NAMES, PLANS, POOLS, QUEUES
from stoker.testing.state_machine.sides import Side

OVER = (StateType.FAILED, StateType.CRASHED, StateType.CANCELLED, StateType.COMPLETED)
NOT_STARTED = (StateType.PENDING, StateType.SCHEDULED)
LIMITS = st.sampled_from([None, 1, 2, 3, None, 0])


class UserSteps:
    """What users do. Mixed into the machine."""

    now: float
    sides: dict[str, Side]
    stale: list[FlowRun]
    same: Callable[[Callable[[Unit], Any]], dict[str, Any]]
    pick: Callable[..., FlowRun]
    have: Callable[..., bool]

    def submit_some(self, wanted: Sequence[tuple[str, int]], **more: Any) -> None:
        """Submit so many runs of deployments, in one unit of work."""
        requests = [
            StartRun(deployment=f"f/{name}", **more)
            for name, number in wanted
            for _ in range(number)
        ]
        self.same(lambda unit: submission.submit(unit, requests))

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), number=st.integers(1, 3))
    def submit(self, names: list[str], number: int) -> None:
        """Several runs of several deployments."""
        self.submit_some([(name, number) for name in names])

    @rule(name=st.sampled_from(NAMES), later=st.sampled_from([-5.0, 1.0, 40.0]))
    def submit_for_later(self, name: str, later: float) -> None:
        """A run that is due later, or was due before."""
        self.submit_some([(name, 2)], scheduled_time=self.now + later)

    @rule(key=st.sampled_from(["k1", "k2"]), name=st.sampled_from(NAMES))
    def submit_with_key(self, key: str, name: str) -> None:
        """A run that there may be already."""
        self.submit_some([(name, 2)], idempotency_key=key)

    @rule(name=st.sampled_from(NAMES), size=st.sampled_from(["small", "big"]))
    def submit_elsewhere(self, name: str, size: str) -> None:
        """A run with infrastructure of its own."""
        self.submit_some([(name, 1)], job_variables={"size": size})

    @precondition(lambda self: self.have(StateType.RUNNING))
    @rule(data=st.data(), names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=2))
    def submit_children(self, data: st.DataObject, names: list[str]) -> None:
        """A running run starts others, and waits for them."""
        parent = self.pick(data, StateType.RUNNING)
        requests = [StartRun(deployment=f"f/{name}", parent_run_id=parent.id) for name in names]

        def work(unit: Unit) -> None:
            for run in submission.submit(unit, requests):
                lending.begin_wait(unit, parent.id, run)

        self.same(work)

    @precondition(lambda self: self.have(StateType.RUNNING))
    @rule(data=st.data())
    def stop_waiting(self, data: st.DataObject) -> None:
        """The time of a wait is over."""
        waiter = self.pick(data, StateType.RUNNING)

        def work(unit: Unit) -> None:
            for child_id in unit.records.waits_of(waiter.id):
                child = unit.records.flow_run(child_id)
                if child is not None:
                    lending.end_wait(unit, waiter.id, child)

        self.same(work)

    @precondition(lambda self: self.have())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel a run, in whichever state it is."""
        run = self.pick(data)
        self.same(lambda unit: cancel(unit, run.id).state)

    @precondition(lambda self: self.have(*OVER))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Run again what is over."""
        run = self.pick(data, *OVER)
        self.same(lambda unit: rerunning.rerun(unit, run.id, force=True))

    @precondition(lambda self: self.have(StateType.RUNNING, *NOT_STARTED))
    @rule(data=st.data(), suspend=st.booleans(), timeout=st.sampled_from([None, 20.0]))
    def hold(self, data: st.DataObject, suspend: bool, timeout: float | None) -> None:
        """Pause or suspend a run."""
        run = self.pick(data, StateType.RUNNING, *NOT_STARTED)
        request = HoldRun(run_id=run.id, timeout=timeout, suspend=suspend)
        self.same(lambda unit: pausing.hold(unit, request).state)

    @precondition(lambda self: self.have(StateType.PAUSED))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        """Let it go on."""
        run = self.pick(data, StateType.PAUSED)
        self.same(lambda unit: pausing.resume(unit, run.id).state)

    @rule(
        name=st.sampled_from(POOLS),
        limit=LIMITS,
        paused=st.sampled_from([False, False, False, True]),
    )
    def change_pool(self, name: str, limit: int | None, paused: bool) -> None:
        """Another limit, or a pause, of a pool."""
        changes = {"concurrency_limit": limit, "paused": paused}
        self.same(lambda unit: administration.update_pool(unit, name, changes))

    @rule(
        queue=st.sampled_from(QUEUES),
        limit=LIMITS,
        paused=st.sampled_from([False, False, False, True]),
        priority=st.sampled_from([1, 5, 9]),
    )
    def change_queue(self, queue: Any, limit: int | None, paused: bool, priority: int) -> None:
        """Another limit or priority, or a pause, of a queue."""
        changed = replace(queue, concurrency_limit=limit, paused=paused, priority=priority)
        self.same(lambda unit: administration.put_queue(unit, changed))

    @rule(
        name=st.sampled_from(NAMES),
        limit=LIMITS,
        size=st.sampled_from(["small", "small", "big"]),
        pool=st.sampled_from(["main", "main", "side"]),
    )
    def deploy(self, name: str, limit: int | None, size: str, pool: str) -> None:
        """Another limit, lane or pool of a deployment, or the deployment anew."""
        plan = PLANS[name]
        queue = plan.queue if pool == plan.pool else "default"
        plan = replace(plan, limit=limit, size=size, pool=pool, queue=queue)
        self.same(lambda unit: administration.put_deployment(unit, plan.deployment))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        """Delete a deployment."""
        self.same(lambda unit: administration.delete_deployment(unit, f"f/{name}"))

    @precondition(lambda self: bool(self.stale))
    @rule(command=st.sampled_from([Command.CANCEL, Command.CLAIM, Command.START]))
    def act_on_what_was(self, command: Command) -> None:
        """Somebody changes runs as they were before others changed them: nothing comes of it."""
        wish = Wish(command=command, at=self.now, host_id="h1")
        decided = [one for run in self.stale if isinstance(one := decide(run, wish), Transition)]
        came = self.same(lambda unit: unit.records.apply(decided))
        assert came["result"] == [False] * len(decided)
