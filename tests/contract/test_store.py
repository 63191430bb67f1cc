"""The contract of `Store`: what every store must do."""

import threading
from concurrent.futures import wait
from typing import Any

import pytest

from stoker.domain.anatomy import StartAnatomy, StartClass
from stoker.domain.deployments import Code, Deployment, Parameter
from stoker.domain.errors import Unavailable
from stoker.domain.hosts import Host, HostState, ProcessIdentity
from stoker.domain.leases import Lease
from stoker.domain.pools import Machine, WarmKnobs, Worker, WorkPool, WorkQueue
from stoker.domain.runs import FlowRun, LogLine, TaskRun
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.domain.transitions import Transition
from stoker.ports.store import GroupCount, QueuedCount, RunFilter

S = StateType


def state(kind: StateType, at: float = 1.0, message: str = "", name: str = "") -> StateRecord:
    return StateRecord(kind, name or kind.title(), at, message)


def a_run(run_id: str = "r", kind: StateType = S.SCHEDULED, **fields: Any) -> FlowRun:
    fields = {"name": "n", "flow_name": "f", "pool": "p", "queue": "q", "lane": "l", **fields}
    fields.setdefault("deployment_id", "d")
    fields.setdefault("queued", kind is S.SCHEDULED)
    return FlowRun(id=run_id, state=fields.pop("state", state(kind)), **fields)


def a_lease(run_id: str, **fields: Any) -> Lease:
    fields = {"pool": "p", "queue": "q", "worker_id": "w", "host_id": "h", **fields}
    return Lease(run_id=run_id, attempt=fields.pop("attempt", 1), **fields)


def a_change(run_id: str, version: int, kind: StateType, **fields: Any) -> Transition:
    fields = {"attempt": 1, "run_count": 0, **fields}
    fields.setdefault("state", state(kind, 5.0))
    return Transition(run_id=run_id, version=version, **fields)


class Shop:
    """A store with its calls made short."""

    def __init__(self, store) -> None:
        self.store = store

    def do(self, work):
        return self.store.write(work).result(10)

    def read(self, work):
        return self.store.read(work).result(10)

    def put(self, *runs: FlowRun, keys=None) -> None:
        self.do(lambda records: records.insert_runs(runs, keys or [None] * len(runs)))

    def run(self, run_id: str = "r") -> FlowRun:
        return self.read(lambda records: records.flow_run(run_id))

    def apply(self, *changes: Transition) -> list[bool]:
        return self.do(lambda records: records.apply(changes))

    def leases(self, *leases: Lease) -> None:
        self.do(lambda records: [records.put_lease(lease) for lease in leases])

    def lease(self, run_id: str) -> Lease | None:
        return self.read(lambda records: records.lease(run_id))

    def waits(self, *pairs: tuple[str, str]) -> None:
        self.do(lambda records: [records.add_wait(*pair) for pair in pairs])

    def found(self, **which: Any) -> list[str]:
        runs = self.read(lambda records: records.flow_runs(RunFilter(**which)))
        return [run.id for run in runs]


@pytest.fixture
def shop(store) -> Shop:
    return Shop(store)


# Flow runs


def test_every_field_of_a_run_is_kept(shop):
    run = a_run(
        name="näme",
        state=state(S.RUNNING, 2.5, "why\n“so”", "Retrying"),
        version=3,
        attempt=2,
        run_count=4,
        parameters={"x": [1, 2.5, None, True, {"y": "ü\x00"}]},
        tags=["a", "b"],
        deployment="f/d",
        deployment_id="d",
        parent_run_id="up",
        pool="p",
        queue="q",
        lane="l",
        job_variables={"env": {"A": "1"}},
        timeout=3.5,
        created=1.25,
        started=2.0,
        ended=9.0,
        host_id="h",
        anatomy=StartAnatomy(submitted=1.0, first_line=2.0, start_class=StartClass.WARM),
        due=1.5,
        queued=True,
        crashes=1,
        schedule_id="s",
        instant=1.75,
        paused_until=99.5,
    )
    unset = {name for name in run.__struct_fields__ if getattr(run, name) in (None, {}, [], 0)}
    assert unset == {"waiting_for", "result"}, "a new field belongs into this test"
    shop.put(run)
    assert shop.run() == run


def test_an_empty_run_is_kept_as_it_is(shop):
    bare = FlowRun(id="r", name="n", flow_name="f", state=state(S.SCHEDULED))
    shop.put(bare)
    assert shop.run() == bare


def test_an_unknown_run_is_none(shop):
    assert shop.run("nobody") is None
    assert shop.read(lambda records: records.states("nobody")) == []


def test_a_run_in_a_process_is_stored_once(shop):
    first, second = a_run(name="first"), a_run(name="second")
    assert shop.do(lambda records: records.insert_subflow(first)) is True
    assert shop.do(lambda records: records.insert_subflow(second)) is False
    assert shop.run().name == "first"


def test_a_run_is_seen_to_wait_in_the_transaction_that_stored_it(shop):
    def work(records) -> bool:
        records.insert_runs([a_run(queued=True)], [None])
        return records.any_queued("p")

    assert shop.do(work)


def test_a_key_finds_its_run_and_is_unique_in_its_deployment(shop):
    shop.put(a_run("a"), a_run("b"), a_run("c"), keys=["k", None, None])
    own = a_run("a").deployment_id
    found = shop.read(lambda records: records.runs_of_keys(own, ["k", "x"]))
    assert {key: run.id for key, run in found.items()} == {"k": "a"}
    assert shop.read(lambda records: records.runs_of_keys(own, [])) == {}
    assert shop.read(lambda records: records.runs_of_keys("other", ["k"])) == {}
    with pytest.raises(Exception, match=r"(?i)unique"):
        shop.put(a_run("e"), a_run("d"), keys=[None, "k"])
    assert shop.run("e") is None
    assert shop.run("d") is None
    shop.put(a_run("f", deployment_id="other"), keys=["k"])
    assert shop.read(lambda records: records.runs_of_keys("other", ["k"]))["k"].id == "f"


def test_runs_are_listed_newest_first_by_page_and_filter(shop):
    shop.put(
        a_run("1", S.RUNNING, deployment="f/a", flow_name="f"),
        a_run("2", S.COMPLETED, deployment="f/b", flow_name="f", pool="other"),
        a_run("3", S.FAILED, deployment=None, flow_name="g", parent_run_id="1"),
        a_run("4", S.RUNNING, deployment="f/a", flow_name="f", parent_run_id="1"),
    )
    assert shop.found() == ["4", "3", "2", "1"]
    assert shop.found(limit=2) == ["4", "3"]
    assert shop.found(limit=2, before="3") == ["2", "1"]
    assert shop.found(states=[S.RUNNING]) == ["4", "1"]
    assert shop.found(states=[S.FAILED, S.COMPLETED]) == ["3", "2"]
    assert shop.found(deployment="f/b") == ["2"]
    assert shop.found(flow="g") == ["3"]
    assert shop.found(pool="other") == ["2"]
    assert shop.found(parent="1") == ["4", "3"]
    assert shop.found(parent="1", states=[S.RUNNING], deployment="f/a") == ["4"]
    assert shop.found(deployment="f/a", before="4", states=[S.RUNNING, S.FAILED]) == ["1"]
    assert shop.found(deployment="f/a", pool="other") == []
    assert shop.found(parent="1", states=[S.FAILED], flow="g", before="4") == ["3"]


def test_open_runs_in_a_process_are_found_at_any_depth(shop):
    inner = {"deployment_id": None, "deployment": None}
    shop.put(
        a_run("r", S.RUNNING),
        a_run("s", S.RUNNING, parent_run_id="r", **inner),
        a_run("t", S.RUNNING, parent_run_id="s", **inner),
        a_run("over", S.COMPLETED, parent_run_id="r", ended=1.0, **inner),
        a_run("under", S.RUNNING, parent_run_id="over", **inner),
        a_run("deployed", S.RUNNING, parent_run_id="r"),
        a_run("below", S.RUNNING, parent_run_id="deployed", **inner),
    )
    found = shop.read(lambda records: records.open_subflows(["r"]))
    assert sorted(run.id for run in found) == ["s", "t", "under"]


def test_open_runs_of_a_script_are_those_without_a_deployment(shop):
    shop.put(
        a_run("a", S.RUNNING, host_id="s", deployment_id=None),
        a_run("b", S.COMPLETED, host_id="s", deployment_id=None, ended=1.0),
        a_run("c", S.RUNNING, host_id="s"),
        a_run("d", S.RUNNING, host_id="x", deployment_id=None),
    )
    assert [run.id for run in shop.read(lambda records: records.open_runs_of("s"))] == ["a"]


# Changes of state


def test_a_change_is_applied_with_its_history(shop):
    shop.put(a_run())
    pending = state(S.PENDING, 5.0, "on h")
    change = a_change("r", 0, S.PENDING, state=pending, attempt=1, run_count=2, host_id="h")
    assert shop.apply(change) == [True]
    run = shop.run()
    assert (run.state, run.version, run.attempt, run.run_count, run.host_id) == (
        pending,
        1,
        1,
        2,
        "h",
    )
    assert (run.started, run.ended, run.result) == (None, None, None)
    assert shop.read(lambda records: records.states("r")) == [pending]


def test_a_first_start_and_an_end_leave_their_times_and_the_result(shop):
    shop.put(a_run())
    shop.apply(a_change("r", 0, S.RUNNING, first_start=True))
    again = a_change("r", 1, S.RUNNING, state=state(S.RUNNING, 7.0, name="Retrying"))
    shop.apply(again)
    assert shop.run().started == 5.0
    result = ResultRecord("pickle", b"\x00\xff", "results/r")
    shop.apply(a_change("r", 2, S.COMPLETED, state=state(S.COMPLETED, 9.0), result=result))
    run = shop.run()
    assert (run.started, run.ended, run.result) == (5.0, 9.0, result)
    names = [one.name for one in shop.read(lambda records: records.states("r"))]
    assert names == ["Running", "Retrying", "Completed"]


def test_a_result_without_bytes_is_kept(shop):
    shop.put(a_run())
    shop.apply(a_change("r", 0, S.COMPLETED, result=ResultRecord("json")))
    assert shop.run().result == ResultRecord("json")


@pytest.mark.parametrize("version", [0, 2, -1])
def test_a_stale_change_changes_nothing(shop, version):
    run = a_run(kind=S.RUNNING, version=1, attempt=1, host_id="h")
    shop.put(run)
    shop.leases(a_lease("r"))
    shop.waits(("r", "child"))
    assert shop.apply(a_change("r", version, S.COMPLETED)) == [False]
    assert shop.run() == run
    assert shop.read(lambda records: records.states("r")) == []
    assert shop.lease("r") == a_lease("r")
    assert shop.read(lambda records: records.waits_of("r")) == ["child"]


def test_of_several_changes_each_stands_alone(shop):
    shop.put(a_run("a"), a_run("b"))
    applied = shop.apply(
        a_change("a", 0, S.PENDING),
        a_change("b", 9, S.PENDING),
        a_change("a", 0, S.PENDING),
        a_change("a", 1, S.RUNNING),
        a_change("nobody", 0, S.PENDING),
    )
    assert applied == [True, False, False, True, False]
    assert (shop.run("a").state.type, shop.run("b").state.type) == (S.RUNNING, S.SCHEDULED)


@pytest.mark.parametrize("kind", [S.COMPLETED, S.FAILED, S.CRASHED, S.CANCELLED, S.SCHEDULED])
def test_what_ends_an_attempt_takes_lease_and_waits(shop, kind):
    shop.put(a_run("r", S.RUNNING), a_run("other", S.RUNNING))
    shop.leases(a_lease("r"), a_lease("other"))
    shop.waits(("r", "c1"), ("r", "c2"), ("other", "c1"))
    shop.apply(a_change("r", 0, kind))
    assert shop.lease("r") is None
    assert shop.lease("other") is not None
    assert shop.read(lambda records: records.waits_of("r")) == []
    assert shop.read(lambda records: records.waits_of("other")) == ["c1"]


@pytest.mark.parametrize("kind", [S.PENDING, S.RUNNING, S.CANCELLING])
def test_what_ends_no_attempt_leaves_the_lease(shop, kind):
    shop.put(a_run("r", S.RUNNING))
    shop.leases(a_lease("r"))
    shop.waits(("r", "c"))
    shop.apply(a_change("r", 0, kind))
    assert shop.lease("r") == a_lease("r")
    assert shop.read(lambda records: records.waits_of("r")) == ["c"]


KEYS = ("pool_from", "queue_from", "worker_from", "slot_from")


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_were_lent_become_the_borrowers_own(shop, key):
    shop.put(a_run("lender", S.RUNNING), a_run("borrower", S.RUNNING))
    others = {other: "someone" for other in KEYS if other != key}
    shop.leases(a_lease("lender"), a_lease("borrower", **{key: "lender"}, **others))
    shop.apply(a_change("lender", 0, S.CRASHED))
    assert shop.lease("borrower") == a_lease("borrower", **others)


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_were_lent_on_stay_with_the_first_lender(shop, key):
    shop.put(*(a_run(name, S.RUNNING) for name in ("first", "middle", "last")))
    shop.leases(
        a_lease("first"), a_lease("middle", **{key: "first"}), a_lease("last", **{key: "middle"})
    )
    shop.apply(a_change("middle", 0, S.CRASHED))
    assert shop.lease("last") == a_lease("last", **{key: "first"})


def test_numbers_of_frames_go_up_and_begin_anew_with_an_attempt(shop):
    shop.put(a_run("r", S.PENDING, attempt=1), a_run("s", S.PENDING, attempt=1))

    def advance(seq: int, run_id: str = "r") -> bool:
        return shop.do(lambda records: records.advance(run_id, seq))

    assert [advance(1), advance(1), advance(3), advance(2), advance(3)] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert advance(1, "s")
    assert not advance(1, "nobody")
    shop.apply(a_change("r", 0, S.RUNNING, attempt=1))
    assert not advance(3)
    shop.apply(a_change("r", 1, S.PENDING, attempt=2))
    assert advance(1)


def test_anatomy_name_and_lane_can_be_set(shop):
    shop.put(a_run("r"), a_run("s"))
    anatomy = StartAnatomy(submitted=1.0, claimed=2.0, start_class=StartClass.COLD)

    def work(records) -> None:
        records.set_anatomy("r", anatomy)
        records.rename_run("r", "new")
        records.set_lane("r", "m")

    shop.do(work)
    run = shop.run()
    assert (run.anatomy, run.name, run.lane, run.version) == (anatomy, "new", "m", 0)
    assert shop.run("s").name == "n"


# What runs leave behind


def a_task_run(task_id: str = "t", kind: StateType = S.RUNNING, **fields: Any) -> TaskRun:
    fields = {"flow_run_id": "r", "task_name": "add", "name": "add-1", **fields}
    return TaskRun(id=task_id, state=state(kind, 2.0, "m", "Näme"), **fields)


def test_every_field_of_a_task_run_is_kept_and_they_are_listed_oldest_first(shop):
    two = a_task_run("2", S.COMPLETED, run_count=3, started=1.5, ended=2.5)
    one, other = a_task_run("1"), a_task_run("3", flow_run_id="x")
    shop.do(lambda records: records.put_task_runs([two, other, one]))
    assert shop.read(lambda records: records.task_runs("r")) == [one, two]


def test_a_task_run_is_replaced_until_it_is_over(shop):
    over = a_task_run(kind=S.FAILED, run_count=2, started=1.0, ended=2.0)
    for task_run in (a_task_run(), a_task_run(run_count=1), over, a_task_run(run_count=9)):
        shop.do(lambda records, one=task_run: records.put_task_runs([one]))
    assert shop.read(lambda records: records.task_runs("r")) == [over]


def test_log_lines_keep_their_order_and_can_be_read_on_from_any(shop):
    lines = [
        LogLine(at=float(9 - n), level=10 * n, logger="stdout", message=f"lïne {n}\x00\n")
        for n in range(1, 4)
    ]
    lines[1].task_run_id = "t"
    shop.do(lambda records: records.add_logs("r", lines[:2]))
    shop.do(lambda records: records.add_logs("other", lines))
    shop.do(lambda records: records.add_logs("r", lines[2:]))
    stored = shop.read(lambda records: records.logs("r", 0, 100))
    assert [
        LogLine(
            at=s.at, level=s.level, logger=s.logger, message=s.message, task_run_id=s.task_run_id
        )
        for s in stored
    ] == lines
    assert [line.id for line in stored] == sorted({line.id for line in stored})
    assert shop.read(lambda records: records.logs("r", stored[0].id, 1)) == stored[1:2]
    assert shop.read(lambda records: records.logs("r", stored[-1].id, 9)) == []


# Queues of runs


def test_queued_runs_are_those_of_one_group_oldest_first(shop):
    shop.put(
        a_run("3"),
        a_run("1"),
        a_run("2", S.RUNNING),
        a_run("4", queue="other"),
        a_run("5", lane="other"),
        a_run("6", pool="other"),
        a_run("7"),
    )
    queued = shop.read(lambda records: records.queued("p", "q", "l", 2))
    assert [run.id for run in queued] == ["1", "3"]
    counts = shop.read(lambda records: records.queued_counts("p"))
    assert sorted(counts, key=lambda count: (count.queue, count.lane)) == [
        QueuedCount("other", "l", 1),
        QueuedCount("q", "l", 3),
        QueuedCount("q", "other", 1),
    ]


def test_runs_of_a_group_are_in_the_order_of_their_due_times(shop):
    shop.put(a_run("1", due=3.0), a_run("2", due=1.0), a_run("3", due=1.0))
    queued = shop.read(lambda records: records.queued("p", "q", "l", 9))
    assert [run.id for run in queued] == ["2", "3", "1"]


def test_a_run_that_is_due_later_enters_its_queue_when_it_is_due(shop):
    later = {"due": 10.0, "queued": False}
    shop.put(a_run("1", **later), a_run("2", pool="x", due=11.0, queued=False))
    shop.put(a_run("3", S.CANCELLED, **later))
    assert shop.read(lambda records: records.queued("p", "q", "l", 9)) == []
    assert shop.read(lambda records: records.next_due()) == 10.0
    assert shop.do(lambda records: records.promote(9.9)) == []
    assert [run.id for run in shop.do(lambda records: records.promote(10.0))] == ["1"]
    assert [run.id for run in shop.read(lambda records: records.queued("p", "q", "l", 9))] == ["1"]
    assert shop.read(lambda records: records.next_due()) == 11.0
    assert [run.id for run in shop.do(lambda records: records.promote(12.0))] == ["2"]
    assert shop.read(lambda records: records.next_due()) is None


def test_a_change_says_whether_a_run_is_queued_and_from_when(shop):
    shop.put(a_run())
    shop.do(lambda records: records.apply([a_change("r", 0, S.PENDING, due=4.0)]))
    assert (shop.run().queued, shop.run().due) == (False, 4.0)
    shop.do(lambda records: records.apply([a_change("r", 1, S.SCHEDULED, due=4.0, queued=True)]))
    assert (shop.run().queued, shop.run().due) == (True, 4.0)


def test_nested_runs_are_those_that_another_waits_for(shop):
    shop.put(a_run("1"), a_run("2"), a_run("3", S.RUNNING), a_run("4", pool="x"), a_run("5"))
    shop.waits(("w", "2"), ("v", "2"), ("w", "1"), ("w", "3"), ("w", "4"))
    nested = shop.read(lambda records: records.queued_nested("p", 9))
    assert [run.id for run in nested] == ["1", "2"]


# Claim groups


def open_groups(shop, after=(-1.0, ""), limit=9, lane="l", queue="q"):
    return shop.read(lambda records: records.open_groups("p", lane, queue, after, limit))


def test_a_run_that_enters_its_queue_is_noted_in_its_group(shop):
    shop.put(
        a_run("1", due=3.0, deployment_id="b"),
        a_run("2", due=2.0, deployment_id="b"),
        a_run("3", due=2.5, deployment_id="a"),
        a_run("4", due=1.0, deployment_id="c", lane="other"),
        a_run("5", due=1.0, deployment_id="c", queued=False),
    )
    found = open_groups(shop)
    assert [(one.deployment_id, one.due, one.head) for one in found] == [
        ("b", 2.0, "2"),
        ("a", 2.5, "3"),
    ]
    first = shop.read(lambda records: records.first_of(found[0], 9))
    assert [run.id for run in first] == ["2", "1"]
    assert open_groups(shop, limit=1) == found[:1]
    assert open_groups(shop, after=(2.0, "2")) == found[1:]
    shop.do(lambda records: records.promote(1.0))
    shop.do(lambda records: records.set_lane("1", "new"))
    assert [one.head for one in open_groups(shop)] == ["5", "2", "3"]
    assert [one.head for one in open_groups(shop, lane="new")] == ["1"]


def test_a_run_that_is_queued_again_is_noted_in_its_group(shop):
    shop.put(a_run(deployment_id="d", due=4.0))
    (group,) = open_groups(shop)
    shop.apply(a_change("r", 0, S.PENDING, due=4.0))
    shop.do(lambda records: records.move_group(group, None))
    assert open_groups(shop) == []
    shop.apply(a_change("r", 1, S.SCHEDULED, due=4.0, queued=True))
    assert [(one.due, one.head) for one in open_groups(shop)] == [(4.0, "r")]


def test_a_group_is_not_emptied_where_a_run_has_entered_it_since(shop):
    shop.put(a_run("1", deployment_id="d", due=1.0))
    (before,) = open_groups(shop)
    shop.put(a_run("2", deployment_id="d", due=2.0))
    shop.do(lambda records: records.move_group(before, None))
    shop.do(lambda records: records.move_group(before, (9.0, "9")))
    (now,) = open_groups(shop)
    assert (now.due, now.head) == (1.0, "1")
    shop.do(lambda records: records.move_group(now, (2.0, "2")))
    assert [(one.due, one.head) for one in open_groups(shop)] == [(2.0, "2")]


def test_a_blocked_group_is_skipped_until_a_run_of_its_deployment_gives_back_its_key(shop):
    deployment = a_deployment(id="d", concurrency_limit=3)
    shop.do(lambda records: records.put_deployment(deployment))
    shop.put(a_run("1", deployment_id="d"), a_run("2", S.RUNNING, deployment_id="d"))
    shop.leases(
        a_lease("2", deployment_id="d"), a_lease("3", deployment_id="d", deployment_from="2")
    )
    (group,) = open_groups(shop)
    assert (group.limit, group.used) == (3, 1)
    assert shop.read(lambda records: records.deployment_use("d")) == 1
    shop.do(lambda records: records.block_group(group))
    assert open_groups(shop) == []
    assert shop.read(lambda records: records.group_counts("p", 9)) == []
    shop.apply(a_change("2", 0, S.COMPLETED))
    assert [one.used for one in open_groups(shop)] == [1], "the borrower has its own key now"
    shop.do(lambda records: records.block_group(group))
    shop.do(lambda records: records.unblock("d"))
    assert len(open_groups(shop)) == 1


def test_groups_are_counted_up_to_a_number(shop):
    shop.do(lambda records: records.put_deployment(a_deployment(id="d", concurrency_limit=1)))
    shop.put(*[a_run(str(n), deployment_id="d" if n < 2 else "e") for n in range(5)])
    count = GroupCount(queue="q", lane="l", deployment_id="d", runs=2, room=1)
    other = GroupCount(queue="q", lane="l", deployment_id="e", runs=2, room=None)
    assert shop.read(lambda records: records.group_counts("p", 2)) == [count, other]
    assert shop.read(lambda records: records.count_in("p", other, 9)) == 3
    assert shop.read(lambda records: records.count_in("p", other, 1)) == 1
    assert shop.read(lambda records: records.queued_of("e", 9)) == 3
    assert shop.read(lambda records: records.queued_of("e", 2)) == 2
    assert [run.lane for run in shop.read(lambda records: records.queued_lanes("p"))] == ["l"]


def test_a_group_without_runs_hides_no_lane(shop):
    shop.put(a_run("1", deployment_id="d"), a_run("2", deployment_id="e"))
    shop.apply(a_change("1", 0, S.CANCELLED))
    found = shop.read(lambda records: records.queued_lanes("p"))
    assert [run.id for run in found] == ["2"], "the group of the other is there yet"


def test_of_nested_runs_the_first_of_each_kind_are_read(shop):
    shop.put(
        *[a_run(f"a{n}", deployment_id="a") for n in range(5)],
        *[a_run(f"b{n}", deployment_id="b") for n in range(5)],
    )
    shop.waits(*[("w", f"{kind}{n}") for kind in "ab" for n in range(5)], ("v", "a4"))
    nested = shop.read(lambda records: records.queued_nested("p", 2))
    assert [run.id for run in nested] == ["a0", "a1", "a4", "b0", "b1"]


# Leases and waits


def test_every_field_of_a_lease_is_kept_and_replaced(shop):
    lease = a_lease("r", attempt=7, pool_from="a", queue_from="b", worker_from="c", slot_from="d")
    shop.leases(lease)
    assert shop.lease("r") == lease
    shop.do(lambda records: records.put_lease(a_lease("r")))
    assert shop.lease("r") == a_lease("r")
    assert shop.lease("nobody") is None


def test_usage_counts_the_keys_that_leases_own(shop):
    shop.leases(
        a_lease("1"),
        a_lease("2", queue="x", worker_id="v", host_id="g"),
        a_lease("3", pool_from="1", slot_from="1"),
        a_lease("4", host_id="g", queue_from="1", worker_from="1"),
        a_lease("5", pool="other"),
    )
    usage = shop.read(lambda records: records.usage("p"))
    assert usage.pool == 3
    assert usage.queues == {"q": 2, "x": 1}
    assert usage.workers == {"w": 2, "v": 1}
    assert usage.hosts == {"h": 1, "g": 2}
    assert shop.read(lambda records: records.usage("nobody")).pool == 0


def flags(lendable) -> tuple[str, bool, bool, bool, bool]:
    return (lendable.lease.run_id, lendable.pool, lendable.queue, lendable.worker, lendable.slot)


def test_lenders_are_the_chain_of_waits_nearest_first_with_what_is_not_lent(shop):
    shop.waits(("parent", "child"), ("grand", "parent"), ("great", "grand"), ("else", "other"))
    shop.leases(
        a_lease("grand"),
        a_lease("great"),
        a_lease("parent"),
        a_lease("else"),
        a_lease("b1", pool_from="grand", slot_from="great"),
        a_lease("b2", queue_from="grand", worker_from="parent"),
    )
    lenders = shop.read(lambda records: records.lenders("child"))
    assert [flags(one) for one in lenders] == [
        ("parent", True, True, False, True),
        ("grand", False, False, True, True),
        ("great", True, True, True, False),
    ]
    assert lenders[0].lease == a_lease("parent")
    assert shop.read(lambda records: records.lenders("great")) == []


def test_a_ring_of_waits_does_not_read_for_ever(shop):
    shop.waits(("a", "b"), ("b", "a"))
    shop.leases(a_lease("a"), a_lease("b"))
    lenders = shop.read(lambda records: records.lenders("a"))
    assert {one.lease.run_id for one in lenders} == {"a", "b"}


def test_a_wait_that_is_held_lends_to_nobody_below(shop):
    shop.waits(("parent", "child"), ("grand", "parent"))
    shop.leases(a_lease("parent"), a_lease("grand"))
    shop.do(lambda records: records.hold_wait("parent", "child"))
    assert shop.read(lambda records: records.lenders("child")) == []
    found = shop.read(lambda records: records.waiting_leases("p"))
    assert [flags(one) for one in found] == [
        ("grand", True, True, True, False),
        ("parent", True, True, True, True),
    ], "a slot is lent by those whose wait is held"


def test_waiting_leases_are_those_of_a_pools_waiting_runs(shop):
    shop.waits(("1", "x"), ("1", "y"), ("2", "x"), ("3", "x"), ("none", "x"))
    shop.leases(
        a_lease("2"), a_lease("1"), a_lease("3", pool="other"), a_lease("4", worker_from="2")
    )
    found = shop.read(lambda records: records.waiting_leases("p"))
    assert [flags(one) for one in found] == [
        ("1", True, True, True, False),
        ("2", True, True, False, False),
    ]


def test_borrowers_are_found_by_any_key(shop):
    for key in KEYS:
        shop.leases(a_lease(key, **{key: "lender"}))
    shop.leases(a_lease("none"), a_lease("other", pool_from="x"))
    found = shop.read(lambda records: records.borrowers("lender"))
    assert sorted(lease.run_id for lease in found) == sorted(KEYS)


def test_leases_of_a_host(shop):
    shop.leases(a_lease("1"), a_lease("2", host_id="x"), a_lease("3"))
    found = shop.read(lambda records: records.leases_of("h"))
    assert sorted(lease.run_id for lease in found) == ["1", "3"]


def test_leases_move_to_the_worker_that_adopts_their_host(shop):
    shop.leases(a_lease("1", worker_from="x"), a_lease("2", host_id="g"))
    shop.do(lambda records: records.move_leases("h", "v"))
    assert shop.lease("1") == a_lease("1", worker_id="v")
    assert shop.lease("2") == a_lease("2", host_id="g")


def test_waits_are_added_once_held_and_dropped(shop):
    shop.waits(("b", "c"), ("a", "c"), ("a", "d"), ("a", "c"))
    assert sorted(shop.read(lambda records: records.waiters("c"))) == ["a", "b"]
    assert sorted(shop.read(lambda records: records.waits_of("a"))) == ["c", "d"]
    assert shop.read(lambda records: records.held_waits()) == []
    shop.do(lambda records: records.hold_wait("b", "c"))
    shop.do(lambda records: records.drop_wait("a", "d"))
    shop.do(lambda records: records.hold_wait("a", "d"))
    assert shop.read(lambda records: records.held_waits()) == [("a", "d"), ("b", "c")]
    assert shop.read(lambda records: records.waits_of("a")) == ["c"], "a held wait is over"
    assert shop.read(lambda records: records.waits_of("b")) == []
    shop.do(lambda records: records.drop_wait("b", "c"))
    assert shop.read(lambda records: records.held_waits()) == [("a", "d")]


# Deployments, pools, queues


def a_deployment(name: str = "d", **fields: Any) -> Deployment:
    fields = {"id": f"id-{name}", "flow_name": "f", "pool": "p", **fields}
    return Deployment(name=name, entrypoint="flows.py:f", path="/p", **fields)


def test_every_field_of_a_deployment_is_kept_and_it_is_found_by_name_and_id(shop):
    deployment = a_deployment(
        queue="q",
        parameters={"x": {"y": [1]}},
        signature=[Parameter(name="x", required=True, type="int")],
        job_variables={"env": {"A": "ü"}},
        tags=["t"],
        timeout=1.5,
        created=1.0,
        updated=2.0,
        code=Code(path="/p", file="flows.py", env={"A": "1"}, python="py", working_dir="/w"),
        lane="l",
    )
    shop.do(lambda records: records.put_deployment(deployment))
    assert shop.read(lambda records: records.deployment("f/d")) == deployment
    assert shop.read(lambda records: records.deployment("id-d")) == deployment
    assert shop.read(lambda records: records.deployment("f/x")) is None
    bare = a_deployment()
    shop.do(lambda records: records.put_deployment(bare))
    assert shop.read(lambda records: records.deployments()) == [bare]
    shop.do(lambda records: records.delete_deployment("id-d"))
    assert shop.read(lambda records: records.deployments()) == []


def test_deployments_are_listed_by_pool_those_that_ran_last_first(shop):
    for name, pool in (("a", "p"), ("b", "p"), ("c", "other"), ("e", "p")):
        shop.do(lambda records, n=name, p=pool: records.put_deployment(a_deployment(n, pool=p)))
    shop.put(a_run("1", deployment_id="id-b"), a_run("2", deployment_id="id-a"))
    shop.put(a_run("3", deployment_id="id-c"))

    def names(pool: str | None = None) -> list[str]:
        return [one.name for one in shop.read(lambda records: records.deployments(pool))]

    assert names() == ["c", "a", "b", "e"]
    assert names("p") == ["a", "b", "e"]


def test_every_field_of_a_pool_and_its_queues_is_kept(shop):
    pool = WorkPool(
        id="1",
        name="p",
        base_job_template={"variables": {"properties": {}}},
        paused=True,
        concurrency_limit=3,
        warm=WarmKnobs(min=1, max=2, buffer=3, slots_per_host=4, idle_timeout=5.5),
        fence_after=6.5,
        created=7.5,
    )
    queues = [
        WorkQueue(pool="p", name="b", priority=2),
        WorkQueue(pool="p", name="a", priority=2, paused=True, concurrency_limit=0),
        WorkQueue(pool="p", name="c", priority=1),
    ]

    def work(records) -> None:
        records.put_pool(pool)
        records.put_pool(WorkPool(id="2", name="o"))
        for queue in [*queues, WorkQueue(pool="o")]:
            records.put_queue(queue)

    shop.do(work)
    assert shop.read(lambda records: records.pool("p")) == pool
    assert [one.name for one in shop.read(lambda records: records.pools())] == ["o", "p"]
    assert shop.read(lambda records: records.queues("p")) == [queues[2], queues[1], queues[0]]
    shop.do(lambda records: records.delete_pool("p"))
    assert shop.read(lambda records: records.pool("p")) is None
    assert shop.read(lambda records: records.queues("p")) == []
    assert len(shop.read(lambda records: records.queues("o"))) == 1


# Hosts and workers


def a_host(host_id: str = "h", **fields: Any) -> Host:
    return Host(id=host_id, **{"pool": "p", "lane": "l", **fields})


def test_every_field_of_a_host_is_kept(shop):
    host = a_host(
        worker_id="w",
        queues=["q"],
        state=HostState.DRAINING,
        slots=3,
        process=ProcessIdentity(7, 8, Machine("m", "b")),
        token_hash="t",
        requested=1.0,
        launched=2.0,
        registered=3.0,
        lease_until=4.0,
        idle_since=5.0,
        ended=6.0,
        message="why",
        infrastructure={"memory": 1},
    )
    shop.do(lambda records: records.put_host(host))
    assert shop.read(lambda records: records.host("h")) == host
    assert shop.read(lambda records: records.host("x")) is None


def test_living_hosts_are_listed_by_pool_oldest_first(shop):
    hosts = [a_host("2"), a_host("1"), a_host("3", state=HostState.DEAD), a_host("4", pool="")]
    shop.do(lambda records: [records.put_host(host) for host in hosts])

    def listed(pool: str | None = None) -> list[str]:
        return [host.id for host in shop.read(lambda records: records.hosts(pool))]

    assert listed() == ["1", "2", "4"]
    assert listed("p") == ["1", "2"]
    assert listed("") == ["4"]


def test_a_lease_of_a_host_is_renewed_until_it_is_dead(shop):
    shop.do(lambda records: records.put_host(a_host(lease_until=1.0)))
    assert shop.do(lambda records: records.renew_host("h", 9.0))
    assert shop.read(lambda records: records.host("h")).lease_until == 9.0
    assert shop.read(lambda records: records.hosts())[0].lease_until == 9.0
    shop.do(lambda records: records.put_host(a_host(state=HostState.DEAD)))
    assert not shop.do(lambda records: records.renew_host("h", 9.0))
    assert not shop.do(lambda records: records.renew_host("x", 9.0))


def test_workers_are_kept_replaced_and_forgotten(shop):
    worker = Worker(
        id="w",
        name="n",
        pool="p",
        machine=Machine("m", "b"),
        queues=["q"],
        limit=3,
        started=1.0,
        last_seen=2.0,
        draining=True,
    )
    other = Worker(id="v", name="n", pool="x", machine=Machine("m", "b"))
    shop.do(lambda records: [records.put_worker(one) for one in (worker, other, worker)])
    assert shop.read(lambda records: records.workers("p")) == [worker]
    assert shop.read(lambda records: records.workers()) == [other, worker]
    shop.do(lambda records: records.delete_worker("w"))
    assert shop.read(lambda records: records.workers("p")) == []


# Transactions


def test_work_that_fails_leaves_nothing_and_takes_nothing_else_with_it(shop):
    """Writes that are given together may be committed together."""
    begin, begun = threading.Event(), threading.Event()

    def hold(records) -> None:
        begun.set()
        assert begin.wait(10)

    def write(number: int, *, fail: bool):
        def work(records) -> str:
            records.insert_runs([a_run(f"{number:03}")], [None])
            records.put_lease(a_lease(f"{number:03}"))
            if fail:
                raise ValueError(f"number {number}")
            return f"{number:03}"

        return work

    first = shop.store.write(hold)
    assert begun.wait(10)
    futures = [shop.store.write(write(n, fail=n % 3 == 0)) for n in range(600)]
    begin.set()
    wait([first, *futures], 30)
    for number, future in enumerate(futures):
        if number % 3 == 0:
            assert isinstance(future.exception(), ValueError)
        else:
            assert future.result() == f"{number:03}"
    expected = [f"{n:03}" for n in range(600) if n % 3]
    assert shop.found(limit=1000)[::-1] == expected
    leases = shop.read(lambda records: records.leases_of("h"))
    assert sorted(lease.run_id for lease in leases) == expected


def test_a_database_error_of_one_work_takes_nothing_else_with_it(shop):
    begin, begun = threading.Event(), threading.Event()

    def hold(records) -> None:
        begun.set()
        assert begin.wait(10)

    shop.put(a_run("first"), keys=["k"])
    shop.store.write(hold)
    assert begun.wait(10)
    good = shop.store.write(lambda records: records.insert_runs([a_run("a")], [None]))
    bad = shop.store.write(lambda records: records.insert_runs([a_run("b")], ["k"]))
    after = shop.store.write(lambda records: records.insert_runs([a_run("c")], [None]))
    begin.set()
    good.result(10)
    after.result(10)
    assert bad.exception(10) is not None
    assert shop.found() == ["first", "c", "a"]


def test_writes_are_applied_in_the_order_in_which_they_were_given(shop):
    shop.put(a_run(kind=S.RUNNING))
    futures = [
        shop.store.write(lambda records, n=n: records.apply([a_change("r", n, S.RUNNING)]))
        for n in range(300)
    ]
    assert all(future.result(10) == [True] for future in futures)
    assert shop.run().version == 300


def test_a_write_that_is_cancelled_before_its_turn_is_not_done(shop):
    begin, begun = threading.Event(), threading.Event()

    def hold(records) -> None:
        begun.set()
        assert begin.wait(10)

    shop.store.write(hold)
    assert begun.wait(10)
    cancelled = shop.store.write(lambda records: records.insert_runs([a_run("a")], [None]))
    kept = shop.store.write(lambda records: records.insert_runs([a_run("b")], [None]))
    assert cancelled.cancel()
    begin.set()
    kept.result(10)
    assert shop.found() == ["b"]


def test_a_reader_sees_one_moment_and_never_half_a_transaction(shop):
    shop.put(*(a_run(f"{n}", S.RUNNING) for n in range(2)))
    stop = threading.Event()

    def write_on() -> None:
        version = 0
        while not stop.is_set():
            changes = [a_change(f"{n}", version, S.RUNNING) for n in range(2)]
            assert shop.apply(*changes) == [True, True]
            version += 1

    writer = threading.Thread(target=write_on)
    writer.start()
    try:

        def versions(records) -> tuple[int, int, int]:
            first = records.flow_run("0").version
            second = records.flow_run("1").version
            return first, second, records.flow_run("0").version

        seen = [shop.read(versions) for _ in range(300)]
    finally:
        stop.set()
        writer.join(10)
    assert all(one == two == three for one, two, three in seen)
    assert seen[-1][0] > seen[0][0], "the writer went on meanwhile"


def test_a_reader_changes_nothing(shop):
    with pytest.raises(Exception, match=r"(?i)read"):
        shop.read(lambda records: records.insert_runs([a_run()], [None]))
    assert shop.run() is None


def test_what_a_reader_raises_reaches_who_asked_and_harms_nobody(shop):
    def fail(records) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        shop.read(fail)
    assert shop.run() is None


def test_closing_finishes_what_was_given_and_refuses_more(opener, tmp_path):
    folder = tmp_path / "closed"
    store = opener(folder)
    futures = [
        store.write(lambda records, n=n: records.insert_runs([a_run(f"{n}")], [None]))
        for n in range(50)
    ]
    store.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(Unavailable, match="closed"):
        store.write(lambda records: None)
    with pytest.raises(Unavailable, match="closed"):
        store.read(lambda records: None)
    store.close()
    again = opener(folder)
    assert len(again.read(lambda records: records.flow_runs(RunFilter(limit=99))).result(10)) == 50
    again.close()
