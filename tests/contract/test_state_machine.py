"""The same steps on SQLite, on Postgres and in memory: what can be read stays the same."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stoker.domain.deployments import Deployment
from stoker.domain.errors import StokerError
from stoker.domain.hosts import Host, HostState, ProcessIdentity
from stoker.domain.pools import Machine, Worker, WorkPool
from stoker.domain.reports import Finished, Frame, Started
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.servers import Server
from stoker.domain.states import ACTIVE, StateRecord, StateType
from stoker.domain.transitions import Command, Wish
from stoker.ports.store import Records, RunFilter, Store
from stoker.services import administration
from stoker.services.changing import change
from stoker.services.claims import lending
from stoker.services.claims.claiming import claim
from stoker.services.fleet import registering
from stoker.services.fleet.sweeping import SweepRules, sweep
from stoker.services.replicas.members import register_alone
from stoker.services.runs import submission
from stoker.services.runs.cancelling import cancel
from stoker.services.runs.ingest import ingest
from stoker.services.unit import ReadyHost, Unit
from stoker.storage.postgres.store import PostgresStore
from stoker.storage.sqlite.store import SqliteStore
from stoker.testing.memory import MemoryStore
from stoker.testing.postgres import PostgresServer

MACHINE = Machine("here", "boot-1")
DEPLOYMENTS = ("free", "limited")
HOSTS = ("h1", "h2", "h3")


class Side:
    """One of the three stores, and what its server holds in memory."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ready: dict[str, ReadyHost] = {}

    def do(self, work: Callable[[Unit], Any], now: float) -> Any:
        """Run a unit and the claims that follow, as the dispatcher does; say what came of it."""

        def transaction(records: Records) -> Any:
            unit = Unit(records, now)
            result = work(unit)
            for pool in sorted(unit.claimable):
                claim(unit, pool, list(self.ready.values()))
            return result, unit

        try:
            result, unit = self.store.write(transaction).result(60)
        except StokerError as error:
            return type(error).__name__, str(error)
        for host_id in unit.draining | unit.used:
            self.ready.pop(host_id, None)
        assigned = [(job.run_id, job.attempt) for jobs in unit.assigned.values() for job in jobs]
        cancels = [(one.run_id, one.attempt) for one in unit.cancels]
        return result, assigned, cancels, sorted(run.id for run in unit.ended)


def seen(records: Records) -> dict[str, Any]:
    """All that the machine's steps can change, as it can be read."""
    runs = records.flow_runs(RunFilter(limit=1000))
    usage = records.usage("pool")
    return {
        "runs": runs,
        "states": [records.states(run.id) for run in runs],
        "leases": [records.lease(run.id) for run in runs],
        "usage": (usage.pool, usage.queues, usage.workers, usage.hosts),
        "waits": [(records.waits_of(run.id), sorted(records.waiters(run.id))) for run in runs],
        "lenders": [records.lenders(run.id) for run in runs],
        "held": records.held_waits(),
        "queued": sorted(map(repr, records.queued_counts("pool"))),
        "nested": records.queued_nested("pool", 10),
        "groups": records.group_counts("pool", 10),
        "order": [
            records.queued("pool", one.queue, one.lane, 100)
            for one in sorted(records.queued_counts("pool"), key=repr)
        ],
        "due": records.next_due(),
        "pool": records.pool("pool"),
        "queues": records.queues("pool"),
        "deployments": records.deployments(),
        "hosts": [records.host(name) for name in HOSTS],
        "workers": records.workers(),
    }


class Machinery(RuleBasedStateMachine):
    """Steps of users, hosts and time; each is taken on all three."""

    stores: ClassVar[Any]
    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.sides = {name: Side(store) for name, store in type(self).stores().items()}
        self.now = 1_000_000.0
        self.ids = 0
        self.frames = 0

    def teardown(self) -> None:
        for name, side in self.sides.items():
            if name != "postgres":
                side.store.close()

    def same(self, work: Callable[[Unit], Any]) -> Any:
        """Take a step on each side; what comes of it must be the same."""
        first = self.ids
        outcomes: dict[str, Any] = {}
        for name, side in self.sides.items():
            self.ids = first
            outcomes[name] = side.do(work, self.now)
        assert outcomes["postgres"] == outcomes["sqlite"]
        assert outcomes["memory"] == outcomes["sqlite"]
        came = outcomes["memory"]
        if len(came) == 4:
            self.steps["runs"] += self.ids - first
            self.steps["given"] += len(came[1])
            self.steps["ended"] += len(came[3])
        return came

    def new_id(self, at: float) -> str:
        self.ids += 1
        return f"{self.ids:06}"

    def runs(self, *kinds: StateType) -> list[FlowRun]:
        which = RunFilter(states=kinds, limit=1000)
        return self.sides["memory"].store.read(lambda records: records.flow_runs(which)).result(9)

    def pick(self, data: st.DataObject, *kinds: StateType) -> FlowRun:
        found = self.runs(*kinds)
        assume(found)
        return data.draw(st.sampled_from(found))

    @initialize()
    def prepare(self) -> None:
        modules: list[Any] = [administration, submission]
        for module in modules:
            module.new_id = self.new_id
        submission.readable_name = lambda: "name"
        server = Server(id="s", address="", version="", started=0.0, lease_until=inf)
        self.same(lambda unit: register_alone(unit.records, server) and None)
        self.same(lambda unit: administration.create_pool(unit, WorkPool(id="", name="pool")))
        for name in DEPLOYMENTS:
            limit = 1 if name == "limited" else None
            self.same(lambda unit, name=name, limit=limit: self._deploy(unit, name, limit))
        worker = Worker(
            id="w", name="w", pool="pool", machine=MACHINE, server_id="s", last_seen=self.now
        )
        self.same(lambda unit: registering.register_worker(unit, worker, []))
        self._launch("h1", 2)

    def _deploy(self, unit: Unit, name: str, limit: int | None) -> Deployment:
        deployment = Deployment(
            id="",
            name=name,
            flow_name="f",
            entrypoint="flows.py:f",
            path="/project",
            pool="pool",
            concurrency_limit=limit,
        )
        return administration.put_deployment(unit, deployment)

    # What users do

    @rule(name=st.sampled_from(DEPLOYMENTS), number=st.integers(1, 3))
    def submit(self, name: str, number: int) -> None:
        request = StartRun(deployment=f"f/{name}")
        self.same(lambda unit: submission.submit(unit, [request] * number))

    @rule(key=st.sampled_from(["k1", "k2"]))
    def submit_with_key(self, key: str) -> None:
        request = StartRun(deployment="f/free", idempotency_key=key)
        self.same(lambda unit: submission.submit(unit, [request]))

    @rule(data=st.data(), name=st.sampled_from(DEPLOYMENTS))
    def submit_child(self, data: st.DataObject, name: str) -> None:
        parent = self.pick(data, StateType.RUNNING)
        request = StartRun(deployment=f"f/{name}", parent_run_id=parent.id)

        def work(unit: Unit) -> str:
            (run,) = submission.submit(unit, [request])
            lending.begin_wait(unit, parent.id, run)
            return run.id

        self.same(work)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run = self.pick(data)
        self.same(lambda unit: cancel(unit, run.id).state)

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        run = self.pick(data, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)

        def work(unit: Unit) -> Any:
            found = unit.records.flow_run(run.id)
            assert found is not None
            return change(unit, found, Wish(command=Command.RERUN, at=unit.now))

        self.same(work)

    @rule(limit=st.sampled_from([3, None, 2, 1, 0]))
    def change_limit(self, limit: int | None) -> None:
        changes = {"concurrency_limit": limit}
        self.same(lambda unit: administration.update_pool(unit, "pool", changes))

    @rule(limit=st.sampled_from([None, 1, 2]))
    def change_deployment(self, limit: int | None) -> None:
        self.same(lambda unit: self._deploy(unit, "limited", limit))

    @rule(paused=st.sampled_from([False, False, True]))
    def pause(self, paused: bool) -> None:
        self.same(lambda unit: administration.update_pool(unit, "pool", {"paused": paused}))

    @rule()
    def delete(self) -> None:
        self.same(lambda unit: administration.delete_deployment(unit, "f/limited"))

    # What hosts do

    @rule(name=st.sampled_from(HOSTS), slots=st.integers(1, 2))
    def launch(self, name: str, slots: int) -> None:
        assume(name not in self.sides["memory"].ready)
        self._launch(name, slots)

    def _launch(self, name: str, slots: int) -> None:
        lane = self.sides["memory"].store.read(_lane).result(9)
        host = Host(
            id=name,
            pool="pool",
            lane=lane,
            worker_id="w",
            state=HostState.UP,
            slots=slots,
            process=ProcessIdentity(1, 1, MACHINE),
            requested=self.now,
            registered=self.now,
            idle_since=self.now,
            lease_until=self.now + 30,
        )
        self.same(lambda unit: unit.records.put_host(host))
        for side in self.sides.values():
            side.ready[name] = registering.ready_host(Unit(_nothing, self.now), host)
        self.same(lambda unit: unit.claimable.add("pool"))

    @rule(name=st.sampled_from(HOSTS))
    def renew(self, name: str) -> None:
        self.same(lambda unit: registering.renew(unit, name, self.now + 30))

    @rule(name=st.sampled_from(HOSTS))
    def crash(self, name: str) -> None:
        for side in self.sides.values():
            side.ready.pop(name, None)
        self.same(lambda unit: registering.lost(unit, name, "killed") and None)

    @rule(name=st.sampled_from(HOSTS))
    def drain(self, name: str) -> None:
        self.same(lambda unit: registering.drain(unit, name, "told to"))

    def _report(self, run: FlowRun, report: Any) -> None:
        self.frames += 1
        frame = Frame(run.id, run.attempt, self.frames, [report])
        self.same(lambda unit: ingest(unit, run.host_id, [frame]))

    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self._report(self.pick(data, StateType.PENDING), Started(self.now))

    @rule(data=st.data(), kind=st.sampled_from([StateType.COMPLETED, StateType.FAILED]))
    def finish(self, data: st.DataObject, kind: StateType) -> None:
        run = self.pick(data, StateType.RUNNING, StateType.CANCELLING)
        self._report(run, Finished(StateRecord(kind, kind.title(), self.now)))

    @rule(data=st.data())
    def report_twice(self, data: st.DataObject) -> None:
        """An older attempt, or a number that was seen: it changes nothing."""
        run = self.pick(data)
        frame = Frame(run.id, max(0, run.attempt - 1), 1, [Started(self.now)])
        self.same(lambda unit: ingest(unit, run.host_id, [frame]))

    # Time

    @rule(seconds=st.sampled_from([1.0, 31.0, 700.0]))
    def advance_clock(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        rules = SweepRules(
            up_since=0.0,
            lease=30.0,
            launch_timeout=60.0,
            workers=["w"],
            asked=HOSTS,
            is_dead=lambda _: None,
        )
        self.same(lambda unit: [host.id for host in sweep(unit, rules)])

    @invariant()
    def all_look_the_same(self) -> None:
        found = {name: side.store.read(seen).result(30) for name, side in self.sides.items()}
        for what, expected in found["sqlite"].items():
            assert found["postgres"][what] == expected, what
            assert found["memory"][what] == expected, what

    @invariant()
    def leases_match_states(self) -> None:
        for run in self.runs():
            lease = self.sides["memory"].store.read(lambda r, i=run.id: r.lease(i)).result(9)
            assert (lease is not None) == (run.state.type in ACTIVE)


_nothing: Any = None


def _lane(records: Records) -> str:
    pool = records.pool("pool")
    assert pool is not None
    return administration.lane_of(pool, administration.resolve(pool.base_job_template, {}))


@pytest.fixture
def stores(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Makes three empty stores."""
    for module, name in ((administration, "new_id"), (submission, "new_id")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(submission, "readable_name", submission.readable_name)
    url = postgres_server.create_database()
    database = url.rpartition("/")[2]
    with ExitStack() as stack:
        shared = PostgresStore(url, readers=1)
        stack.callback(shared.close)
        names = postgres_server.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'schema_migrations'",
            database,
        )
        tables = ", ".join(name for (name,) in names)

        def make() -> dict[str, Store]:
            postgres_server.execute(f"TRUNCATE {tables}", database)
            folder = stack.enter_context(TemporaryDirectory())
            embedded = SqliteStore(Path(folder) / "stoker.db", synchronous="OFF", readers=1)
            return {"sqlite": embedded, "postgres": shared, "memory": MemoryStore()}

        yield make


def test_three_stores_follow_the_same_rules(stores):
    class Bounded(Machinery):
        pass

    Bounded.stores = stores
    case = Bounded.TestCase
    case.settings = settings(
        max_examples=8,
        stateful_step_count=30,
        # To find shorter steps that fail would take minutes: what failed first is told at once.
        phases=[Phase.reuse, Phase.generate],
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    case().runTest()
    taken = Bounded.steps
    assert taken["runs"] > 10, taken
    assert taken["given"] > 5, taken
