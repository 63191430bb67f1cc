"""Two servers on one store look at the same schedules and backfills at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from stoker.domain.deployments import Deployment
from stoker.domain.pools import WorkPool
from stoker.domain.runs import FlowRun
from stoker.domain.schedules import Schedule
from stoker.ports.store import Records, RunFilter, Store
from stoker.services import administration
from stoker.services.dispatcher import Dispatcher
from stoker.services.schedules import backfilling, scheduling
from stoker.services.schedules.backfiller import Backfiller
from stoker.services.schedules.scheduler import Scheduler
from stoker.services.unit import Unit

ROUNDS, STEP = 25, 2


class Clock:
    """The time of both servers."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def boot(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def set_up(store: Store) -> Deployment:
    """A deployment with two schedules and a backfill."""

    def work(records: Records) -> Deployment:
        unit = Unit(records, 1000.0)
        administration.create_pool(unit, WorkPool(id="", name="pool"))
        made = Deployment(
            id="", name="d", flow_name="f", entrypoint="a.py:f", path="/p", pool="pool"
        )
        made.schedules = [Schedule(interval=1.0, slug="s"), Schedule(interval=2.0, slug="t")]
        deployment = administration.put_deployment(unit, made)
        plan = backfilling.planned(Schedule(interval=60.0), 0.0, 6000.0, 1000, None)
        backfilling.begin(unit, deployment, plan)
        return deployment

    return store.write(work).result(20)


def runs_of(store: Store) -> list[FlowRun]:
    return store.read(lambda records: records.flow_runs(RunFilter(limit=1000))).result(20)


def test_each_occurrence_has_one_run(opener: Callable[[Path], Store], tmp_path: Path) -> None:
    stores = [opener(tmp_path), opener(tmp_path)]
    try:
        deployment = set_up(stores[0])
        clock = Clock()

        async def main() -> None:
            dispatchers = [Dispatcher(store, clock, ack_timeout=5) for store in stores]
            schedulers = [Scheduler(one, clock) for one in dispatchers]
            backfillers = [Backfiller(one, clock) for one in dispatchers]
            for number in range(ROUNDS):
                clock.at += STEP
                looks: list[Awaitable[object]] = [one.once() for one in schedulers]
                looks += [one.once() for one in backfillers]
                # A change in the middle of it must not fail, nor lose what is due.
                active = number % 4 != 1
                looks.append(
                    dispatchers[number % 2].transact(
                        lambda unit, active=active: scheduling.set_active(
                            unit, deployment, "t", active=active
                        )
                    )
                )
                await asyncio.gather(*looks)
            await schedulers[0].once()

        asyncio.run(main())
        found = [(run.schedule_id, run.instant) for run in runs_of(stores[0])]
        schedules = stores[0].read(lambda records: records.schedules_of(deployment.id)).result(20)
    finally:
        for store in stores:
            store.close()
    assert len(found) == len(set(found))
    (every,) = [one.id for one in schedules if one.slug == "s"]
    instants = sorted(instant or 0.0 for key, instant in found if key == every)
    assert instants == [1001.0 + n for n in range(ROUNDS * STEP)]
    known = {one.id for one in schedules}
    assert sum(key not in known for key, _ in found) == 100
