"""Steps of hosts, and of the runs on them."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import ProcessIdentity
from stoker.domain.reports import AwaitingRetry, Finished, Frame, Report, Started
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.ports.store import Records
from stoker.services.administration import lane_of, resolve
from stoker.services.fleet import registering
from stoker.services.runs.ingest import ingest
from stoker.services.unit import Unit
from stoker.testing.state_machine.scene import HOSTS, MACHINE, PLACES
from stoker.testing.state_machine.sides import Side

EXECUTED = (StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED)
ENDS = (StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED)


class HostSteps:
    """What hosts do. Mixed into the machine."""

    now: float
    frames: int
    first: Side
    sides: dict[str, Side]
    same: Callable[[Callable[[Unit], Any]], dict[str, Any]]
    pick: Callable[..., FlowRun]
    have: Callable[..., bool]
    runs: Callable[..., list[FlowRun]]

    @rule(name=st.sampled_from(HOSTS))
    def launch(self, name: str) -> None:
        """A host is up, for the first time or again."""
        if name not in self.first.ready:
            self.launch_host(name)

    def launch_host(self, name: str) -> None:
        """Have a host up, with room for runs."""
        place = PLACES[name]

        def lane(records: Records) -> str:
            pool = records.pool(place.pool)
            assert pool is not None
            return lane_of(pool, resolve(pool.base_job_template, {"size": place.size}))

        host = Host(
            id=name,
            pool=place.pool,
            lane=self.first.store.read(lane).result(9),
            worker_id=place.worker,
            queues=list(place.queues),
            state=HostState.UP,
            slots=place.slots,
            once=place.once,
            process=ProcessIdentity(1, 1, MACHINE),
            requested=self.now,
            registered=self.now,
            idle_since=self.now,
            lease_until=self.now + 30,
        )

        def work(unit: Unit) -> None:
            known = unit.records.host(name)
            if known is not None and unit.records.leases_of(name):
                # It drains yet; what it has goes with it.
                registering.lost(unit, name, "another took its place")
            unit.records.put_host(host)
            unit.claimable.add(place.pool)

        for side in self.sides.values():
            side.ready[name] = registering.ready_host(Unit(_nothing, self.now), host)
        self.same(work)

    @rule(name=st.sampled_from(HOSTS))
    def renew(self, name: str) -> None:
        """A heartbeat."""
        self.same(lambda unit: registering.renew(unit, name, self.now + 30))

    @rule(name=st.sampled_from(HOSTS))
    def crash(self, name: str) -> None:
        """A host is proved dead."""
        for side in self.sides.values():
            side.ready.pop(name, None)
        self.same(lambda unit: registering.lost(unit, name, "killed"))

    @rule(name=st.sampled_from(HOSTS))
    def drain(self, name: str) -> None:
        """A host takes no more runs."""
        self.same(lambda unit: registering.drain(unit, name, "told to"))

    @precondition(lambda self: self.have(StateType.PENDING))
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        """A host gives back what it has not begun."""
        run = self.pick(data, StateType.PENDING)
        self.same(lambda unit: registering.release(unit, [(run.id, run.attempt)], run.host_id))

    @rule(name=st.sampled_from(HOSTS), data=st.data())
    def compare(self, name: str, data: st.DataObject) -> None:
        """A host is connected again, and says what it holds: some of what it should."""
        there = [(run.id, run.attempt) for run in self.runs() if run.host_id == name]
        held = data.draw(st.lists(st.sampled_from(there), unique=True)) if there else []
        self.same(lambda unit: registering.reconcile(unit, name, held))

    def report(self, runs: list[FlowRun], report: Report) -> None:
        """Runs of one host report the same, in one unit of work."""
        self.frames += 1
        frames = [Frame(run.id, run.attempt, self.frames, [report]) for run in runs]
        self.same(lambda unit: ingest(unit, runs[0].host_id, frames))

    def _beside(self, run: FlowRun) -> list[FlowRun]:
        """The runs on a run's host in the same state."""
        alike = self.runs(run.state.type)
        return [one for one in alike if one.host_id == run.host_id]

    @precondition(lambda self: self.have(StateType.PENDING))
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        """A run begins."""
        self.report([self.pick(data, StateType.PENDING)], Started(self.now))

    @precondition(lambda self: self.have(StateType.PENDING))
    @rule()
    def start_all(self) -> None:
        """All that wait for it begin."""
        pending = self.runs(StateType.PENDING)
        for host_id in sorted({run.host_id or "" for run in pending}):
            self.report([run for run in pending if run.host_id == host_id], Started(self.now))

    @precondition(lambda self: self.have(StateType.RUNNING))
    @rule(data=st.data())
    def try_again(self, data: st.DataObject) -> None:
        """The flow's function is called again, after a while."""
        run = self.pick(data, StateType.RUNNING)
        self.report([run], AwaitingRetry(self.now, "failed"))
        self.report([run], Started(self.now, run_count=run.run_count + 1))

    @precondition(lambda self: self.have(*EXECUTED))
    @rule(data=st.data(), kind=st.sampled_from(ENDS), whole=st.booleans())
    def finish(self, data: st.DataObject, kind: StateType, whole: bool) -> None:
        """A run ends, or all of its host."""
        run = self.pick(data, *EXECUTED)
        runs = self._beside(run) if whole else [run]
        self.report(runs, Finished(StateRecord(kind, kind.title(), self.now)))

    @precondition(lambda self: self.have(StateType.PENDING, *EXECUTED))
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A child dies."""
        run = self.pick(data, StateType.PENDING, *EXECUTED)
        gone = StateRecord(StateType.CRASHED, "Crashed", self.now, "killed")
        self.report([run], Finished(gone, lost=True))

    @precondition(lambda self: self.have())
    @rule(data=st.data(), back=st.integers(0, 1))
    def report_twice(self, data: st.DataObject, back: int) -> None:
        """An older attempt, or a number that was seen: it changes nothing."""
        run = self.pick(data)
        over = Finished(StateRecord(StateType.FAILED, "Failed", self.now))
        frame = Frame(run.id, run.attempt - back, 0, [over])
        self.same(lambda unit: ingest(unit, run.host_id, [frame]))


_nothing: Any = None
