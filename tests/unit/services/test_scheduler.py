"""The scheduler, with a time that the test sets: whatever happens, an occurrence is run once."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from stoker.domain.deployments import Parameter
from stoker.domain.errors import Conflict, Invalid, NotFound
from stoker.domain.runs import FlowRun
from stoker.domain.schedules import DeploymentSchedule, Schedule
from stoker.domain.scheduling.catching_up import firing
from stoker.domain.states import StateType
from stoker.ports.store import RunFilter
from stoker.services import administration
from stoker.services.dispatcher import Dispatcher
from stoker.services.schedules import scheduling
from stoker.services.schedules.scheduler import STILL, Scheduler, fire


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test that is a coroutine function."""

    @functools.wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        asyncio.run(test(*args, **fixtures))

    return run


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Wall:
    """A wall clock that the test sets, and a machine's time that follows it unless it leaps."""

    def __init__(self, start: float) -> None:
        self.wall, self.since_boot = start, 0.0

    def now(self) -> float:
        return self.wall

    def boot(self) -> float:
        return self.since_boot

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.since_boot += seconds

    async def sleep(self, seconds: float) -> None:
        self.go(seconds)


class Town:
    """A store, a deployment, and the servers that look after its schedules."""

    def __init__(self, world, start: float = 10_000.0) -> None:
        self.world, self.clock = world, Wall(start)
        self.start_server()

    def start_server(self) -> Scheduler:
        """A server starts, and no other is there any more."""
        dispatcher = Dispatcher(self.world.store, self.clock, ack_timeout=5)
        self.server = Scheduler(dispatcher, self.clock)
        return self.server

    def do(self, work) -> Any:
        self.world.now = self.clock.now()
        return self.world.do(work)

    def add(self, deployment: str = "f/d", **fields: Any) -> DeploymentSchedule:
        def work(unit):
            found = administration.need_deployment(unit.records, deployment)
            return scheduling.add(unit, found, Schedule(**fields))

        return self.do(work)

    def change(self, change, *args: Any, deployment: str = "f/d", **fields: Any) -> Any:
        def work(unit):
            found = administration.need_deployment(unit.records, deployment)
            return change(unit, found, *args, **fields)

        return self.do(work)

    async def pass_time(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, while the server looks whenever one is due."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.go(min(step, end - self.clock.now()))
            await self.server.once()

    def runs(self) -> list[FlowRun]:
        found = self.world.read(lambda records: records.flow_runs(RunFilter(limit=10_000)))
        return sorted(found, key=lambda run: (run.instant or 0.0, run.id))

    def instants(self) -> list[float]:
        return [run.instant or 0.0 for run in self.runs()]


@pytest.fixture
def town(world) -> Town:
    return Town(world)


@in_a_loop
async def test_each_occurrence_is_run_once_at_its_time(town):
    town.add(interval=10.0, parameters={"x": 1}, slug="ten")
    await town.pass_time(35)
    assert town.instants() == [10_010, 10_020, 10_030]
    assert [run.created for run in town.runs()] == town.instants()
    run = town.runs()[0]
    assert run.parameters == {"x": 1}
    assert run.tags == ["auto-scheduled"]
    assert (run.due, run.queued) == (10_010, True)


@pytest.mark.parametrize(
    ("catchup", "expected"),
    [
        ({"catchup": "all"}, [10_010 + 10 * n for n in range(30)]),
        ({"catchup": "all", "max_catchup": 3}, [10_270, 10_280, 10_290, 10_300]),
        ({"catchup": "latest"}, [10_290, 10_300]),
        ({"catchup": "none"}, [10_300]),
    ],
)
@in_a_loop
async def test_what_was_missed_while_no_server_was_up(town, catchup, expected):
    town.add(interval=10.0, **catchup)
    town.clock.go(295)
    town.start_server()
    await town.server.once()
    await town.pass_time(5)
    assert town.instants() == expected


@in_a_loop
async def test_more_than_fit_into_a_transaction_are_run_in_order(town):
    town.add(interval=1.0)
    town.clock.go(351)
    town.start_server()
    await town.server.once()
    assert town.instants() == [10_001 + n for n in range(351)]
    assert town.instants() == [run.instant for run in sorted(town.runs(), key=lambda one: one.id)]


@in_a_loop
async def test_a_server_that_stood_still_has_missed_what_was_due(town):
    town.add(interval=10.0, catchup="none", slug="none")
    await town.pass_time(10)
    town.clock.go(STILL + 100)
    await town.server.once()
    assert town.instants() == [10_010]
    await town.pass_time(10)
    assert len(town.instants()) == 2


@in_a_loop
async def test_a_late_look_is_no_missed_time(town):
    town.add(interval=10.0, catchup="none")
    await town.pass_time(4)
    town.clock.go(9)
    await town.server.once()
    assert town.instants() == [10_010]


@in_a_loop
async def test_what_is_due_while_a_server_catches_up_is_not_missed(town, monkeypatch):
    town.add(interval=1.0, slug="behind")
    town.add(interval=10.0, catchup="none", slug="none")
    quick = town.server._fire

    async def slow(what) -> None:
        await quick(what)
        if what.schedule.slug == "behind" and town.clock.now() < 10_026:
            town.clock.go(8)

    monkeypatch.setattr(town.server, "_fire", slow)
    town.clock.go(10)
    await town.server.once()
    assert [one for one in town.instants() if one % 10 == 0] == [10_010, 10_010, 10_020, 10_020]


@in_a_loop
async def test_its_runs_are_told_of(town):
    town.add(interval=10.0)
    await town.pass_time(10)
    (run,) = town.runs()
    told = town.world.read(lambda records: records.events_before(2**62, 100))
    assert [one.event for one in told if one.run_id == run.id] == ["flow-run.Scheduled"]


@in_a_loop
async def test_a_schedule_that_is_deleted_while_it_fires_stays_deleted(town):
    town.add(interval=10.0, slug="s")
    town.clock.go(10)
    due = town.world.read(lambda records: records.schedules_due(town.clock.now(), 5))
    town.change(scheduling.delete, "s")
    (what,) = [firing(one, town.clock.now(), 0.0, 100) for one in due]
    assert what is not None
    assert town.do(lambda unit: fire(unit, what)) == 0
    await town.pass_time(50)
    assert town.instants() == []


@in_a_loop
async def test_two_servers_at_once_double_nothing(town, world):
    town.add(interval=1.0)
    town.add(cron="* * * * *")
    first = town.server
    others = [town.start_server() for _ in range(3)]
    for _ in range(40):
        town.clock.go(2)
        await asyncio.gather(*(one.once() for one in (first, *others)))
    found = [(run.schedule_id, run.instant) for run in town.runs()]
    assert len(found) == len(set(found)) == 80 + 2


@in_a_loop
async def test_a_clock_set_back_doubles_nothing_and_one_set_forward_loses_nothing(town):
    town.add(interval=10.0)
    await town.pass_time(30)
    town.clock.wall -= 25
    await town.pass_time(40)
    assert town.instants() == [10_010, 10_020, 10_030, 10_040]
    town.clock.wall += 40
    await town.server.once()
    assert town.instants() == [10_010 + 10 * n for n in range(8)]


@in_a_loop
async def test_what_was_due_while_a_schedule_was_paused_is_not_run(town):
    town.add(interval=10.0, slug="s")
    await town.pass_time(10)
    town.change(scheduling.set_active, "s", active=False)
    await town.pass_time(100)
    paused = town.change(scheduling.set_active, "s", active=False)
    assert (paused.next, town.instants()) == (None, [10_010])
    resumed = town.change(scheduling.set_active, "s", active=True)
    assert resumed.next == 10_120
    await town.pass_time(10)
    assert town.instants() == [10_010, 10_120]


@in_a_loop
async def test_a_schedule_that_is_off_from_the_beginning_fires_when_it_is_resumed(town):
    town.add(interval=10.0, slug="s", active=False)
    await town.pass_time(50)
    assert town.instants() == []
    town.change(scheduling.set_active, "s", active=True)
    await town.pass_time(10)
    assert town.instants() == [10_060]


@in_a_loop
async def test_a_schedule_that_is_deleted_fires_no_more(town):
    town.add(interval=10.0, slug="s")
    await town.pass_time(10)
    town.change(scheduling.delete, "s")
    await town.pass_time(50)
    assert town.instants() == [10_010]
    with pytest.raises(NotFound, match="has no schedule 's'; it has: none"):
        town.change(scheduling.delete, "s")


@in_a_loop
async def test_with_its_deployment_a_schedule_is_gone(town):
    town.add(interval=10.0, slug="s")
    town.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    await town.pass_time(50)
    assert town.instants() == []
    assert town.world.read(lambda records: records.next_schedule()) is None


@in_a_loop
async def test_deploying_again_neither_loses_nor_doubles_an_occurrence(town, world):
    same = Schedule(interval=10.0, slug="same")

    def deploy(*schedules: Schedule) -> None:
        world.now = town.clock.now()
        world.deployment(schedules=list(schedules))

    deploy(same, Schedule(interval=30.0, slug="gone"), Schedule(interval=15.0, slug="other"))
    town.clock.go(25)
    # Two were due and not run yet: deploying must not move what stays as it is.
    deploy(same, Schedule(interval=20.0, slug="other"))
    await town.server.once()
    deployment_id = town.runs()[0].deployment_id

    def schedules():
        return world.read(lambda records: records.schedules_of(deployment_id))

    ids = {one.slug: one.id for one in schedules()}
    assert set(ids) == {"same", "other"}
    assert [run.instant for run in town.runs() if run.schedule_id == ids["same"]] == [
        10_010,
        10_020,
    ]
    await town.pass_time(15)
    other = [run.instant for run in town.runs() if run.schedule_id == ids["other"]]
    assert other == [10_040]
    world.deployment()
    assert len(schedules()) == 2
    deploy()
    assert schedules() == []


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        # 2:00 and 2:30 do not exist: they fire when the clocks are set, at 3:00, with its own.
        ("2026-03-29", ["01:00", "01:30", "02:00"]),
        # 2:00 and 2:30 come twice: they fire the first time.
        ("2026-10-25", ["00:00", "00:30", "02:00"]),
    ],
)
@in_a_loop
async def test_where_clocks_are_set_each_occurrence_is_run_once(world, day, expected):
    town = Town(world, at(f"{day}T00:00Z") - 1)
    town.add(cron="0,30 2-4 * * *", timezone="Europe/Berlin")
    await town.pass_time(2 * 3600 + 1, step=60.0)
    found = [datetime.fromtimestamp(one, UTC).strftime("%H:%M") for one in town.instants()]
    assert found == expected


@in_a_loop
async def test_a_schedule_whose_parameters_do_not_fit_any_more_says_so(town, world):
    town.add(interval=10.0, parameters={"x": 1})
    world.deployment(signature=[Parameter(name="y")])
    await town.pass_time(10)
    (run,) = town.runs()
    assert run.state.type is StateType.CANCELLED
    assert "f/d has no parameter 'x'" in run.state.message


@in_a_loop
async def test_wrong_schedules_are_refused(town, world):
    world.deployment(signature=[Parameter(name="y", required=True)])
    with pytest.raises(Invalid, match="parameters: f/d has no parameter 'x' and needs 'y'"):
        town.add(interval=10.0, parameters={"x": 1})
    town.add(interval=10.0, parameters={"y": 1}, slug="s")
    with pytest.raises(Conflict, match="slug: f/d has a schedule 's' already"):
        town.add(interval=20.0, parameters={"y": 1}, slug="s")
    with pytest.raises(Invalid, match="cannot name a schedule"):
        town.add(interval=20.0, parameters={"y": 1}, slug="a/b")
    twice = [Schedule(interval=5.0, parameters={"y": 1})] * 2
    with pytest.raises(Invalid, match="slug: 2 schedules, and more than one is called interval-"):
        town.change(scheduling.replace_all, twice)


@in_a_loop
async def test_one_schedule_that_fails_holds_back_no_other(town, monkeypatch):
    town.add(interval=10.0, slug="bad")
    town.add(interval=10.0, slug="good")
    bad = town.world.read(
        lambda records: [one.id for one in records.schedules_due(99_999, 5) if one.slug == "bad"]
    )
    whole = town.server._fire

    async def broken(what) -> None:
        if what.schedule.id in bad:
            raise OSError("no")
        await whole(what)

    monkeypatch.setattr(town.server, "_fire", broken)
    town.clock.go(10)
    with pytest.raises(OSError, match="no"):
        await town.server.once()
    assert len(town.runs()) == 1
    monkeypatch.undo()
    await town.server.once()
    assert town.instants() == [10_010, 10_010]


@in_a_loop
async def test_a_server_that_has_just_started_leaves_to_others_what_they_are_about_to_run(town):
    town.add(interval=10.0, catchup="none")
    other = town.server
    town.clock.go(10.5)
    again = await town.start_server().once()
    assert town.clock.now() < again < town.clock.now() + 1
    assert town.instants() == [], "it is neither run nor given up"
    await other.once()
    await town.server.once()
    assert town.instants() == [10_010]
    town.clock.go(9.6)
    await town.start_server().once()
    town.clock.go(2.0)
    assert await town.server.once() == 10_030
    assert town.instants() == [10_010], "nobody has run it: it was missed"
