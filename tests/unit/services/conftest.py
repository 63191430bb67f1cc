"""The server's rules over a real store, with a time that the test sets."""

from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.deployments import Deployment
from stoker.domain.hosts import Host, HostState, ProcessIdentity
from stoker.domain.leases import Lease
from stoker.domain.pools import Machine, Worker, WorkPool, WorkQueue
from stoker.domain.reports import Finished, Frame, Report, Started
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.servers import Server
from stoker.domain.states import StateRecord, StateType
from stoker.services import administration
from stoker.services.claims import lending
from stoker.services.fleet import registering
from stoker.services.replicas.members import register_alone
from stoker.services.runs.ingest import ingest
from stoker.services.runs.submission import submit
from stoker.services.settling import finish
from stoker.services.unit import ReadyHost, Unit
from stoker.storage.sqlite.store import SqliteStore

MACHINE = Machine("here", "boot-1")


class World:
    """A store, the hosts whose sockets are open, and the time. Its one server is ``s``.

    Attributes:
        now: Seconds since the epoch.
        ready: Hosts that may be given runs, by id.
        last: The `Unit` of the last transaction: what it caused.
    """

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder / "stoker.db", synchronous="OFF", readers=1)
        self.now = 1000.0
        self.ready: dict[str, ReadyHost] = {}
        self.last: Any = None
        self._seq = 0
        server = Server(id="s", address="", version="", started=0.0, lease_until=inf)
        self.store.write(lambda records: register_alone(records, server)).result(10)

    def close(self) -> None:
        self.store.close()

    def do(self, work: Callable[[Unit], Any]) -> Any:
        """Run a unit of work and the claims that follow, as the dispatcher does."""
        ready = list(self.ready.values())

        def transaction(records) -> Any:
            unit = Unit(records, self.now)
            result = work(unit)
            finish(unit, ready)
            return result, unit

        result, self.last = self.store.write(transaction).result(10)
        for host_id in self.last.draining:
            self.ready.pop(host_id, None)
        return result

    def read(self, work: Callable[[Any], Any]) -> Any:
        return self.store.read(work).result(10)

    # What there is.

    def pool(self, name: str = "pool", **fields: Any) -> WorkPool:
        return self.do(
            lambda unit: administration.create_pool(unit, WorkPool(id="", name=name, **fields))
        )

    def queue(self, name: str, pool: str = "pool", **fields: Any) -> WorkQueue:
        queue = WorkQueue(pool=pool, name=name, **fields)
        return self.do(lambda unit: administration.put_queue(unit, queue))

    def deployment(self, name: str = "d", pool: str = "pool", **fields: Any) -> Deployment:
        deployment = Deployment(
            id="",
            name=name,
            flow_name="f",
            entrypoint=fields.pop("entrypoint", "flows.py:f"),
            path="/project",
            pool=pool,
            **fields,
        )
        return self.do(lambda unit: administration.put_deployment(unit, deployment))

    def worker(self, name: str = "w", pool: str = "pool", **fields: Any) -> Worker:
        fields.setdefault("machine", MACHINE)
        fields.setdefault("server_id", "s")
        worker = Worker(id=name, name=name, pool=pool, **fields)
        self.do(lambda unit: registering.register_worker(unit, worker, []))
        return worker

    def host(
        self, name: str = "h", pool: str = "pool", *, ready: bool = True, **fields: Any
    ) -> Host:
        """A host that is up; ``ready``: its socket is open and it has said what it holds."""
        if "lane" not in fields:
            fields["lane"] = self.lane(pool)
        fields.setdefault("worker_id", "w")
        fields.setdefault("state", HostState.UP)
        fields.setdefault("process", ProcessIdentity(len(self.ready) + 1, 1, MACHINE))
        fields.setdefault("requested", self.now)
        fields.setdefault("registered", self.now)
        fields.setdefault("idle_since", self.now)
        fields.setdefault("lease_until", self.now + 30)
        host = Host(id=name, pool=pool, **fields)

        def work(unit: Unit) -> ReadyHost:
            unit.records.put_host(host)
            return registering.ready_host(unit, host)

        found = self.do(work)
        if ready:
            self.ready[name] = found
            self.claim(pool)
        return host

    def lane(self, pool: str = "pool", **job_variables: Any) -> str:
        found = self.read(lambda records: records.pool(pool))
        return administration.lane_of(
            found, administration.resolve(found.base_job_template, job_variables)
        )

    # What happens.

    def claim(self, pool: str = "pool") -> list[str]:
        self.do(lambda unit: unit.claimable.add(pool))
        return self.given()

    def given(self) -> list[str]:
        """Runs that the last transaction gave to hosts, in order."""
        return [job.run_id for jobs in self.last.assigned.values() for job in jobs]

    def submit(self, deployment: str = "f/d", **fields: Any) -> FlowRun:
        (run,) = self.do(lambda unit: submit(unit, [StartRun(deployment=deployment, **fields)]))
        return run

    def child(self, parent: FlowRun | str, deployment: str = "f/d", **fields: Any) -> FlowRun:
        """Start a run that another waits for."""
        parent_id = parent if isinstance(parent, str) else parent.id
        request = StartRun(deployment=deployment, parent_run_id=parent_id, **fields)

        def work(unit: Unit) -> FlowRun:
            (run,) = submit(unit, [request])
            lending.begin_wait(unit, parent_id, run)
            return run

        return self.do(work)

    def frames(self, *frames: Frame, host: str | None = "h") -> None:
        self.do(lambda unit: ingest(unit, host, frames))

    def report(self, run: FlowRun | str, *reports: Report, **fields: Any) -> None:
        """A frame of a run's current attempt."""
        found = self.run(run)
        self._seq += 1
        attempt = fields.pop("attempt", found.attempt)
        fields.setdefault("host", found.host_id)
        self.frames(Frame(found.id, attempt, self._seq, list(reports)), **fields)

    def start(self, run: FlowRun | str) -> None:
        self.report(run, Started(self.now))

    def finish(self, run: FlowRun | str, kind: StateType = StateType.COMPLETED) -> None:
        self.report(run, Finished(StateRecord(kind, kind.title(), self.now)))

    # How it is.

    def run(self, run: FlowRun | str) -> FlowRun:
        run_id = run if isinstance(run, str) else run.id
        return self.read(lambda records: records.flow_run(run_id))

    def state(self, run: FlowRun | str) -> StateType:
        return self.run(run).state.type

    def states(self, run: FlowRun) -> list[str]:
        return [state.name for state in self.read(lambda records: records.states(run.id))]

    def lease(self, run: FlowRun | str) -> Lease | None:
        run_id = run if isinstance(run, str) else run.id
        return self.read(lambda records: records.lease(run_id))

    def deployment_id(self, name: str) -> str:
        return self.read(lambda records: records.deployment(name)).id

    def host_of(self, run: FlowRun | str) -> str | None:
        lease = self.lease(run)
        return lease.host_id if lease else None

    def stored(self, host: str = "h") -> Host:
        return self.read(lambda records: records.host(host))

    def hosts(self, pool: str = "pool") -> list[Host]:
        return self.read(lambda records: records.hosts(pool))


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[Callable[[], World]]:
    """Make worlds, each in a folder of its own."""
    made: list[World] = []

    def make() -> World:
        made.append(World(tmp_path / f"world-{len(made)}"))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(new_world: Callable[[], World]) -> World:
    """A world with a pool named ``pool``, a worker ``w`` and a deployment ``f/d``."""
    made = new_world()
    made.pool()
    made.worker()
    made.deployment()
    return made
