"""The contract of `ScheduleRecords`."""

from typing import Any

from stoker.domain.runs import FlowRun
from stoker.domain.schedules import Backfill, DeploymentSchedule, Schedule
from stoker.domain.states import StateRecord, StateType


def a_schedule(name: str = "s", **fields: Any) -> DeploymentSchedule:
    fields = {"deployment_id": "d", "slug": name, "cursor": 1.0, "version": -1, **fields}
    return DeploymentSchedule(id=name, schedule=Schedule(interval=60.0), **fields)


def a_backfill(name: str = "b", **fields: Any) -> Backfill:
    fields = {"deployment_id": "d", "key": f"key-{name}", "version": -1, **fields}
    times = {"start": 0.0, "stop": 9.0, "cursor": 0.0, "limit": 1, "total": 3}
    return Backfill(id=name, schedule=Schedule(interval=3.0), **times, **fields)


def a_run(run_id: str, kind: StateType, **fields: Any) -> FlowRun:
    state = StateRecord(kind, kind.title(), 1.0)
    return FlowRun(id=run_id, name="n", flow_name="f", state=state, **fields)


def do(store, work):
    return store.write(work).result(10)


def test_a_schedule_comes_back_as_it_was_put(store):
    one = a_schedule(next=60.0, created=3.0, updated=4.0)
    assert do(store, lambda records: records.put_schedule(one))
    assert one.version == 0
    assert do(store, lambda records: records.schedule("s")) == one
    assert do(store, lambda records: records.schedule("t")) is None


def test_who_has_read_an_older_version_changes_nothing(store):
    do(store, lambda records: records.put_schedule(a_schedule(next=60.0)))
    first = do(store, lambda records: records.schedule("s"))
    second = do(store, lambda records: records.schedule("s"))
    first.next, second.next = 120.0, 180.0
    assert do(store, lambda records: records.put_schedule(first))
    assert not do(store, lambda records: records.put_schedule(second))
    assert do(store, lambda records: records.schedule("s")).next == 120.0


def test_who_has_read_what_was_deleted_meanwhile_does_not_bring_it_back(store):
    do(store, lambda records: records.put_schedule(a_schedule(next=60.0)))
    read = do(store, lambda records: records.schedule("s"))
    do(store, lambda records: records.delete_schedule("s"))
    assert not do(store, lambda records: records.put_schedule(read))
    assert do(store, lambda records: records.schedule("s")) is None
    assert not do(store, lambda records: records.put_backfill(a_backfill(version=3)))
    assert do(store, lambda records: records.backfill("b")) is None


def test_schedules_that_are_due_come_by_their_time(store):
    def work(records):
        for name, at in {"late": 10.0, "later": 20.0, "off": None, "soon": 90.0}.items():
            records.put_schedule(a_schedule(name, next=at))
        due = [one.slug for one in records.schedules_due(20.0, 5)]
        few = [one.slug for one in records.schedules_due(20.0, 1)]
        return due, few, records.next_schedule()

    assert do(store, work) == (["late", "later"], ["late"], 10.0)


def test_without_a_schedule_nothing_is_next(store):
    do(store, lambda records: records.put_schedule(a_schedule(next=None)))
    assert do(store, lambda records: records.next_schedule()) is None


def test_schedules_of_a_deployment_come_by_name_until_they_are_deleted(store):
    def work(records):
        for name in ("b", "a"):
            records.put_schedule(a_schedule(name))
        records.put_schedule(a_schedule("c", deployment_id="other"))
        before = [one.slug for one in records.schedules_of("d")]
        records.delete_schedule("a")
        return before, [one.slug for one in records.schedules_of("d")]

    assert do(store, work) == (["a", "b"], ["b"])


def test_a_backfill_comes_back_by_id_and_by_what_was_asked_for(store):
    one = a_backfill(param_instant="day", made=2)
    assert do(store, lambda records: records.put_backfill(one))
    assert do(store, lambda records: records.backfill("b")) == one
    assert do(store, lambda records: records.backfill("key-b")) == one
    assert do(store, lambda records: records.backfill("c")) is None
    second = a_backfill(made=5)
    assert not do(store, lambda records: records.put_backfill(second))


def test_backfills_are_listed_newest_first_and_running_ones_oldest_first(store):
    def work(records):
        for name, state in {"1": "RUNNING", "2": "COMPLETED", "3": "RUNNING"}.items():
            records.put_backfill(a_backfill(name, state=state))
        records.put_backfill(a_backfill("4", deployment_id="other"))
        return (
            [one.id for one in records.backfills("d")],
            [one.id for one in records.backfills(limit=2)],
            [one.id for one in records.backfills_running()],
        )

    assert do(store, work) == (["3", "2", "1"], ["4", "3"], ["1", "3", "4"])


def test_the_open_runs_of_a_schedule_are_counted(store):
    def work(records):
        runs = [
            a_run("1", StateType.SCHEDULED, schedule_id="s", instant=1.0, queued=True),
            a_run("2", StateType.RUNNING, schedule_id="s", instant=2.0),
            a_run("3", StateType.COMPLETED, schedule_id="s", instant=3.0, ended=4.0),
            a_run("4", StateType.SCHEDULED, schedule_id="t", instant=1.0, queued=True),
            a_run("5", StateType.SCHEDULED, queued=True),
        ]
        records.insert_runs(runs, [None] * len(runs))
        return records.open_occurrences("s"), records.queued_occurrences("s")

    assert do(store, work) == (2, ["1"])
