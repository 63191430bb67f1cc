"""The contract of `RetentionRecords`, and the rules of pruning and rolling up."""

from typing import Any

import pytest

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.ids import new_id
from stoker.domain.pauses import Pause
from stoker.domain.rollups import Rollup
from stoker.domain.runs import FlowRun, LogLine, TaskRun
from stoker.domain.schedules import Backfill, Schedule
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.domain.transitions import Transition
from stoker.services.operations.pruning import Ages, Pruned, count, prune_logs, prune_runs, steps
from stoker.services.operations.rolling_up import roll_up
from stoker.services.unit import Unit

HOUR = 3600.0
DAY = 86_400.0
NOW = 100 * DAY


def state(kind: StateType, at: float) -> StateRecord:
    return StateRecord(kind, kind.title(), at)


class Shop:
    """A store with runs that are over, or not."""

    def __init__(self, store) -> None:
        self.store = store

    def do(self, work, now: float = NOW) -> Any:
        return self.store.write(lambda records: work(Unit(records, now))).result(10)

    def run(self, run_id: str, ended: float | None, **fields: Any) -> None:
        """A run that began 10 s before its end, and 12 s after it was submitted."""
        kind = fields.pop("kind", StateType.COMPLETED)
        file = fields.pop("file", "")
        begun = 0.0 if ended is None else ended - 10
        fields = {"pool": "p", "deployment": "f/d", "deployment_id": "d", **fields}
        run = FlowRun(
            id=run_id,
            name="n",
            flow_name="f",
            state=state(StateType.RUNNING, begun),
            attempt=1,
            anatomy=StartAnatomy(submitted=begun - 2, first_line=begun),
            **fields,
        )

        def put(unit: Unit) -> None:
            unit.records.insert_runs([run], [None])
            unit.records.add_logs(run_id, [LogLine(at=begun, level=20, logger="l", message="m")])
            task = TaskRun(
                id=f"t-{run_id}",
                flow_run_id=run_id,
                task_name="t",
                name="t",
                state=state(StateType.COMPLETED, begun),
            )
            unit.records.put_task_runs([task])
            unit.records.put_pause(Pause(run_id=run_id, key="k"))
            if ended is None:
                return
            result = ResultRecord("json", file=file) if file else None
            for version, made in enumerate((StateType.RUNNING, kind)):
                change = Transition(
                    run_id=run_id,
                    version=version,
                    state=state(made, begun if made is StateType.RUNNING else ended),
                    attempt=1,
                    run_count=1,
                    first_start=made is StateType.RUNNING,
                    result=result if made is not StateType.RUNNING else None,
                )
                assert unit.records.apply([change]) == [True]

        self.do(put)

    def left(self) -> set[str]:
        known = ("a", "b", "c", "d", "e")
        return self.do(lambda unit: {id for id in known if unit.records.flow_run(id)})

    def sums(self) -> list[Rollup]:
        return self.do(lambda unit: unit.records.rollups(0, 10**6))


@pytest.fixture
def shop(store) -> Shop:
    return Shop(store)


def test_old_runs_go_with_all_that_they_left_and_young_ones_stay(shop) -> None:
    shop.run("a", NOW - 3 * DAY, file="big")
    shop.run("b", NOW - 3 * DAY)
    shop.run("c", NOW - DAY)
    assert shop.do(lambda unit: count(unit, Ages(runs=2 * DAY))).runs == 2
    pruned = shop.do(lambda unit: prune_runs(unit, NOW - 2 * DAY))
    assert pruned == Pruned(runs=2, files=["big"])
    assert shop.left() == {"c"}
    for id, number in (("a", 0), ("c", 1)):
        assert len(shop.do(lambda unit, id=id: unit.records.logs(id, 0, 9))) == number
        assert len(shop.do(lambda unit, id=id: unit.records.task_runs(id))) == number
    assert shop.do(lambda unit: unit.records.states("a")) == []
    assert shop.do(lambda unit: unit.records.states("c"))
    assert shop.do(lambda unit: unit.records.pause("a", "k")) is None
    assert shop.do(lambda unit: unit.records.pause("c", "k")) is not None
    assert shop.do(lambda unit: prune_runs(unit, NOW - 2 * DAY)) == Pruned()


def test_what_an_open_run_needs_stays(shop) -> None:
    shop.run("a", NOW - 3 * DAY)
    shop.run("b", None)
    shop.run("c", NOW - 3 * DAY, parent_run_id="b")
    shop.run("d", NOW - 3 * DAY)
    shop.run("e", None, parent_run_id="d")
    shop.do(lambda unit: unit.records.add_wait("b", "a"))
    assert shop.do(lambda unit: prune_runs(unit, NOW)).runs == 0
    shop.do(lambda unit: unit.records.drop_wait("b", "a"))
    assert shop.do(lambda unit: prune_runs(unit, NOW)).runs == 1
    assert shop.left() == {"b", "c", "d", "e"}


def test_ends_are_counted_once_and_the_sums_outlive_the_runs(shop) -> None:
    ended = NOW - 3 * DAY
    shop.run("a", ended)
    shop.run("b", ended + 1, kind=StateType.FAILED)
    shop.run("c", ended + HOUR, kind=StateType.CRASHED)
    shop.run("d", None)
    found = shop.do(lambda unit: unit.records.unrolled_runs(0.0, 10))
    assert found == [("a", ended), ("b", ended + 1), ("c", ended + HOUR)]
    assert shop.do(lambda unit: unit.records.unrolled_runs(ended, 1)) == [("b", ended + 1)]
    assert shop.do(lambda unit: roll_up(unit, ["a"])) == 1
    # Somebody else is at the same: with what is over, what is not, and what is counted already.
    assert shop.do(lambda unit: roll_up(unit, ["a", "b", "d", "zzz"])) == 1
    assert shop.do(lambda unit: prune_runs(unit, NOW)).runs == 3, "what is left is counted first"
    first, second = shop.sums()
    assert (first.hour, first.pool, first.deployment) == (int(ended // HOUR), "p", "f/d")
    assert (first.completed, first.failed, first.crashed, second.crashed) == (1, 1, 0, 1)
    assert first.durations.count == 2
    assert first.durations.quantile(0.5) == pytest.approx(10, rel=0.06)
    assert first.starts.quantile(0.99) == pytest.approx(2, rel=0.06)
    assert shop.do(lambda unit: unit.records.unrolled_runs(0.0, 10)) == []


def test_work_that_fails_is_not_counted(shop) -> None:
    shop.run("a", NOW - DAY)

    def fails(unit: Unit) -> None:
        roll_up(unit, ["a"])
        raise RuntimeError("the server is killed here")

    with pytest.raises(RuntimeError):
        shop.do(fails)
    assert shop.sums() == []
    assert shop.do(lambda unit: roll_up(unit, ["a"])) == 1


def test_old_lines_go_and_the_last_one_stays(shop) -> None:
    shop.run("a", None)
    lines = [LogLine(at=NOW - 5 * DAY + n, level=20, logger="l", message=f"{n}") for n in range(5)]
    shop.do(lambda unit: unit.records.add_logs("a", lines))
    assert shop.do(lambda unit: prune_logs(unit, NOW - DAY)).logs == 5
    (left,) = shop.do(lambda unit: unit.records.logs("a", 0, 9))
    assert left.message == "4"
    shop.do(lambda unit: unit.records.add_logs("a", lines[:1]))
    assert [one.message for one in shop.do(lambda unit: unit.records.logs("a", left.id, 9))] == [
        "0"
    ]


def test_a_backfill_that_is_over_goes_after_its_runs(shop) -> None:
    def put(unit: Unit) -> list[str]:
        kept = []
        for at, state in ((3, "COMPLETED"), (3, "CANCELLED"), (3, "RUNNING"), (1, "COMPLETED")):
            id = new_id(NOW - at * DAY)
            times = {"start": 0.0, "stop": 9.0, "cursor": 0.0, "limit": 1, "total": 3}
            schedule = Schedule(interval=3.0)
            one = Backfill(
                id=id,
                deployment_id="d",
                key=id,
                schedule=schedule,
                state=state,
                version=-1,
                **times,
            )
            assert unit.records.put_backfill(one)
            kept.append(id)
        return kept

    first, second, *others = shop.do(put)
    shop.run("a", NOW - 3 * DAY, schedule_id=first, instant=1.0)
    steps_of_runs = steps(Ages(runs=2 * DAY))
    left = lambda: {one.id for one in shop.do(lambda unit: unit.records.backfills())}  # noqa: E731
    shop.do(steps_of_runs[1])
    assert left() == {first, *others}, "its runs are still there"
    for step in steps_of_runs:
        shop.do(step)
    assert left() == set(others)
    assert second not in left()


def test_nothing_is_pruned_unless_it_is_said(shop) -> None:
    assert steps(Ages()) == []
