"""A deep queue: many queued runs in many claim groups, most of them blocked and first in order."""

import os
import time
from collections.abc import Iterator
from itertools import islice

from stoker.domain.deployments import Deployment
from stoker.domain.hosts import Host, HostState
from stoker.domain.ids import new_id
from stoker.domain.leases import Lease
from stoker.domain.pools import WarmKnobs, Worker, WorkPool, WorkQueue
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.ports.store import Records, Store
from stoker.process_identity import identify, this_machine
from stoker.services import administration
from stoker.services.unit import Unit

POOL = "deep"
GROUPS = 1000
BLOCKED = 900
"""Groups in front that a full limit blocks: their deployment's, or of a third their queue's."""
FULL_QUEUES = 3
OPEN_QUEUES = 5
LANES = 2
SLOTS = 50
"""Slots of a lane's host that takes runs."""
LOT = 10_000
"""Runs that are stored in one transaction."""

TEMPLATE = {
    "variables": {"properties": {"memory": {"type": "integer", "default": 1}}},
    "job_configuration": {"memory": "{{ memory }}"},
}


class Deep:
    """The pool and its deployments, in a store that is empty before.

    The deployments in front have a limit of one run and one that executes, or are in a queue that
    is as full: on a host of their own, so that the others' slots are free.

    Attributes:
        lanes: The lanes' keys.
        open: Deployments that nothing blocks.
        blocked: Those in front.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lanes: list[str] = []
        self.open: list[Deployment] = []
        self.blocked: list[Deployment] = []
        store.write(self._set_up).result()

    def _set_up(self, records: Records) -> None:
        unit = Unit(records, time.time())
        warm = WarmKnobs(min=0, max=LANES, slots_per_host=SLOTS)
        pool = WorkPool(id="", name=POOL, base_job_template=TEMPLATE, warm=warm)
        administration.create_pool(unit, pool)
        for number in range(FULL_QUEUES):
            queue = WorkQueue(pool=POOL, name=f"full-{number}", concurrency_limit=1)
            administration.put_queue(unit, queue)
        for number in range(OPEN_QUEUES):
            administration.put_queue(unit, WorkQueue(pool=POOL, name=f"open-{number}"))
        for number in range(GROUPS):
            in_front = number < BLOCKED
            by_queue = in_front and number % 3 == 0
            queue = f"full-{number % FULL_QUEUES}" if by_queue else f"open-{number % OPEN_QUEUES}"
            deployment = Deployment(
                id="",
                name=f"d{number}",
                flow_name="f",
                entrypoint="flows.py:f",
                path="/project",
                pool=POOL,
                queue=queue,
                job_variables={"memory": number % LANES},
                concurrency_limit=1 if in_front and not by_queue else None,
            )
            made = administration.put_deployment(unit, deployment)
            (self.blocked if in_front else self.open).append(made)
        self.lanes = sorted({one.lane for one in self.open})
        self._occupy(unit)

    def _occupy(self, unit: Unit) -> None:
        """Have one run of each limit execute, on a host that this process seems to be."""
        records, me = unit.records, identify(os.getpid())
        worker = Worker(id="w", name="w", pool=POOL, machine=this_machine(), process=me)
        records.put_worker(worker)
        host = Host(
            id="busy",
            pool=POOL,
            lane=self.lanes[0],
            worker_id="w",
            state=HostState.DRAINING,
            slots=GROUPS,
            process=me,
            registered=unit.now,
            lease_until=unit.now + 1e6,
        )
        records.put_host(host)
        taken = set[str]()
        for deployment in self.blocked:
            key = deployment.id if deployment.concurrency_limit else deployment.queue
            if key in taken:
                continue
            taken.add(key)
            run = self._run(deployment, unit.now - 7200)
            run.state = StateRecord(StateType.RUNNING, "Running", unit.now)
            run.queued, run.attempt, run.host_id = False, 1, host.id
            records.insert_runs([run], [None])
            records.put_lease(
                Lease(
                    run_id=run.id,
                    attempt=1,
                    pool=POOL,
                    queue=deployment.queue,
                    worker_id="w",
                    host_id=host.id,
                    deployment_id=deployment.id,
                )
            )

    def fill(self, depth: int) -> None:
        """Queue so many runs, in the groups by turns: those that are blocked come first."""
        share = depth * BLOCKED // GROUPS
        now = time.time()
        runs = self._runs(self.blocked, share, now - 3600)
        self._store_all(runs)
        self._store_all(self._runs(self.open, depth - share, now - 60))

    def _runs(self, of: list[Deployment], number: int, begin: float) -> Iterator[FlowRun]:
        for n in range(number):
            yield self._run(of[n % len(of)], begin + n * 1e-5)

    def _store_all(self, runs: Iterator[FlowRun]) -> None:
        while lot := list(islice(runs, LOT)):
            self._store.write(
                lambda records, lot=lot: records.insert_runs(lot, [None] * len(lot))
            ).result()

    @staticmethod
    def _run(deployment: Deployment, due: float) -> FlowRun:
        return FlowRun(
            id=new_id(due),
            name="deep",
            flow_name=deployment.flow_name,
            state=StateRecord(StateType.SCHEDULED, "Scheduled", due),
            deployment=deployment.full_name,
            deployment_id=deployment.id,
            pool=POOL,
            queue=deployment.queue,
            lane=deployment.lane,
            created=due,
            due=due,
            queued=True,
        )
