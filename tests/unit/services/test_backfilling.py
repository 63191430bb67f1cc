"""Backfills: some runs at a time, each instant once, whoever is killed in between."""

import asyncio
from typing import Any

import pytest

from stoker.domain.deployments import Parameter
from stoker.domain.errors import Invalid, NotFound
from stoker.domain.schedules import Backfill, Schedule
from stoker.domain.states import StateType
from stoker.ports.store import RunFilter
from stoker.services import administration
from stoker.services.dispatcher import Dispatcher
from stoker.services.schedules import backfilling
from stoker.services.schedules.backfiller import Backfiller
from stoker.services.schedules.backfilling import planned

DAY = 86_400.0


class Fill:
    """A deployment, a backfill of it, and the server that makes its runs."""

    def __init__(self, world) -> None:
        self.world = world

    def begin(self, limit: int = 2, days: int = 5, instant: str | None = None, **fields: Any):
        schedule = Schedule(**{"cron": "0 6 * * *", "timezone": "Europe/Berlin", **fields})
        plan = planned(schedule, 0.0, days * DAY, limit, instant)

        def work(unit) -> Backfill:
            found = administration.need_deployment(unit.records, "f/d")
            return backfilling.begin(unit, found, plan)

        return self.world.do(work)

    def serve(self) -> None:
        """A server starts, makes what there is room for, and is gone."""
        dispatcher = Dispatcher(self.world.store, self, ack_timeout=5)
        asyncio.run(Backfiller(dispatcher, self).once())

    def now(self) -> float:
        return self.world.now

    def boot(self) -> float:
        return self.world.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("it does not wait")

    def runs(self):
        found = self.world.read(lambda records: records.flow_runs(RunFilter(limit=1000)))
        return sorted(found, key=lambda run: run.instant)

    def stored(self, one: Backfill) -> Backfill:
        return self.world.read(lambda records: records.backfill(one.id))

    def end_one(self) -> None:
        """One of its queued runs is over."""
        run = next(run for run in self.runs() if not run.state.is_terminal)
        self.world.do(lambda unit: backfilling.cancel(unit, run.id))


@pytest.fixture
def fill(world) -> Fill:
    return Fill(world)


def test_so_many_runs_at_a_time_until_each_instant_has_had_one(fill):
    one = fill.begin(limit=2)
    assert one.total == 5
    seen = []
    for _ in range(5):
        fill.serve()
        seen.append((len(fill.runs()), sum(not run.state.is_terminal for run in fill.runs())))
        fill.end_one()
    assert seen == [(2, 2), (3, 2), (4, 2), (5, 2), (5, 1)]
    assert [run.instant for run in fill.runs()] == [5 * 3600 + day * DAY for day in range(5)]
    assert (fill.stored(one).state, fill.stored(one).made) == ("COMPLETED", 5)


def test_the_same_again_goes_on_with_the_same_backfill(fill):
    first = fill.begin(limit=2)
    fill.serve()
    again = fill.begin(limit=3)
    assert (again.id, again.made, again.limit) == (first.id, 2, 3)
    fill.serve()
    assert len(fill.runs()) == 3
    assert fill.begin(limit=2, days=4).id != first.id


def test_two_servers_at_once_double_nothing(fill):
    fill.begin(limit=100, days=60)

    async def both() -> None:
        servers = [
            Backfiller(Dispatcher(fill.world.store, fill, ack_timeout=5), fill) for _ in range(3)
        ]
        await asyncio.gather(*(server.once() for server in servers))

    asyncio.run(both())
    assert [run.instant for run in fill.runs()] == [5 * 3600 + day * DAY for day in range(60)]


def test_a_run_may_take_its_instant_as_a_parameter(fill):
    fill.begin(instant="day", parameters={"x": 1})
    fill.serve()
    run = fill.runs()[0]
    assert run.parameters == {"x": 1, "day": "1970-01-01T06:00:00+01:00"}
    assert run.tags == ["auto-scheduled", "backfill"]
    assert run.due == fill.now()


def test_one_that_is_cancelled_makes_no_more_runs_and_can_go_on(fill):
    one = fill.begin(limit=2)
    fill.serve()
    fill.world.do(lambda unit: backfilling.cancel_backfill(unit, one.id))
    fill.serve()
    assert [run.state.type for run in fill.runs()] == [StateType.CANCELLED] * 2
    assert fill.stored(one).state == "CANCELLED"
    assert fill.begin(limit=9).id == one.id
    fill.serve()
    assert len(fill.runs()) == 5
    with pytest.raises(NotFound, match="there is no backfill 'x'"):
        fill.world.do(lambda unit: backfilling.cancel_backfill(unit, "x"))


def test_with_its_deployment_it_stops(fill):
    one = fill.begin()
    fill.world.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    fill.serve()
    assert fill.runs() == []
    assert fill.stored(one).state == "CANCELLED"


def test_what_is_impossible_is_refused(fill, world):
    with pytest.raises(Invalid, match="limit: 1 run or more at a time, not 0"):
        fill.begin(limit=0)
    with pytest.raises(Invalid, match="to: must be later than from"):
        fill.begin(days=0)
    with pytest.raises(Invalid, match="from, to: 100000 runs at the most"):
        fill.begin(days=5000, cron="* * * * *")
    with pytest.raises(Invalid, match=r"from, to: cron 0 0 29 2 .* never fires in this time"):
        fill.begin(cron="0 0 29 2 *")
    world.deployment(signature=[Parameter(name="x")])
    with pytest.raises(Invalid, match="parameters: f/d has no parameter 'day'"):
        fill.begin(instant="day")
