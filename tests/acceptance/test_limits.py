"""Limits that running code takes slots of: tags of task runs, and limits with names."""

import json
import time
from collections.abc import Iterator

import pytest

from stoker.concurrency import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError
from stoker.domain.concurrency import LimitKind
from stoker.domain.errors import Conflict, Invalid, NotFound
from stoker.domain.states import StateType
from stoker.testing import Gate, Harness, result_of
from stoker.wire.http import LimitCreate, LimitDetail, LimitUpdate

TAG, NAME = LimitKind.TAG, LimitKind.NAME


@pytest.fixture(autouse=True)
def no_limits(stoker: Harness) -> Iterator[None]:
    yield
    for kind in LimitKind:
        for one in stoker.api.limits(kind):
            stoker.api.delete_limit(kind, one.limit.name)


def make(stoker: Harness, kind: LimitKind, name: str, slots: int, decay: float = 0.0) -> None:
    stoker.api.create_limit(LimitCreate(kind=kind, name=name, slots=slots, decay=decay))


def await_use(
    stoker: Harness, kind: LimitKind, name: str, *, held: int, waiting: int
) -> LimitDetail:
    """Return a limit once so many requests hold slots of it and so many wait."""
    deadline = time.monotonic() + 20
    while True:
        found = stoker.api.limit(kind, name)
        if (len(found.holders), len(found.waiting)) == (held, waiting):
            return found
        assert time.monotonic() < deadline, f"{found}"
        time.sleep(0.01)


def test_a_tag_lets_so_many_task_runs_through_in_the_order_in_which_they_came(
    stoker: Harness, gate: Gate
) -> None:
    make(stoker, TAG, "limited", 1)
    runs = [stoker.start("tagging/test", {"gate": gate.path, "n": 0})]
    first = gate.wait()
    for n in (1, 2):
        flow = "tagging/test" if n == 1 else "tagging-async/test"
        runs.append(stoker.start(flow, {"gate": gate.path, "n": n}))
        use = await_use(stoker, TAG, "limited", held=1, waiting=n)
    assert use.in_use == 1
    assert [one.run_id for one in use.waiting] == [run.id for run in runs[1:]]
    assert first.note == 0
    first.release()
    for n in (1, 2):
        arrival = gate.wait()
        assert arrival.note == n
        await_use(stoker, TAG, "limited", held=1, waiting=2 - n)
        arrival.release()
    assert [result_of(stoker.wait(run)) for run in runs] == [0, 1, 2]
    await_use(stoker, TAG, "limited", held=0, waiting=0)


def test_zero_slots_block_and_a_changed_limit_lets_those_through_that_wait(
    stoker: Harness, gate: Gate
) -> None:
    make(stoker, TAG, "limited", 0)
    run = stoker.start("mapping/test", {"gate": gate.path, "ns": [1, 2, 3]})
    await_use(stoker, TAG, "limited", held=0, waiting=3)
    stoker.api.update_limit(TAG, "limited", LimitUpdate(slots=2))
    two = gate.wait_for(2)
    await_use(stoker, TAG, "limited", held=2, waiting=1)
    stoker.api.delete_limit(TAG, "limited")
    third = gate.wait()
    for one in (*two, third):
        one.release()
    assert result_of(stoker.wait(run)) == 6


def test_who_wants_many_is_not_passed_by_those_who_want_few(stoker: Harness, gate: Gate) -> None:
    make(stoker, NAME, "db", 3)
    runs = [stoker.start("occupying/test", {"gate": gate.path, "names": ["db"], "n": 0})]
    first = gate.wait()
    for n, occupy in ((1, 3), (2, 1)):
        given = {"gate": gate.path, "names": ["db"], "n": n, "occupy": occupy}
        runs.append(stoker.start("occupying-async/test", given))
        await_use(stoker, NAME, "db", held=1, waiting=n)
    first.release()
    second = gate.wait()
    assert second.note == 1
    assert await_use(stoker, NAME, "db", held=1, waiting=1).in_use == 3
    second.release()
    third = gate.wait()
    third.release()
    assert [result_of(stoker.wait(run)) for run in runs] == [0, 1, 2]


def test_who_waits_for_one_limit_holds_back_nobody_of_another(stoker: Harness, gate: Gate) -> None:
    make(stoker, NAME, "full", 0)
    make(stoker, NAME, "free", 1)
    both = {"gate": gate.path, "names": ["full", "free"], "n": 0}
    blocked = stoker.start("occupying/test", both)
    await_use(stoker, NAME, "free", held=0, waiting=1)
    passing = stoker.start("occupying/test", {"gate": gate.path, "names": ["free"], "n": 1})
    arrival = gate.wait()
    assert arrival.note == 1
    stoker.api.update_limit(NAME, "full", LimitUpdate(slots=1))
    await_use(stoker, NAME, "full", held=0, waiting=1)
    arrival.release()
    arrival = gate.wait()
    assert arrival.note == 0
    await_use(stoker, NAME, "full", held=1, waiting=0)
    await_use(stoker, NAME, "free", held=1, waiting=0)
    arrival.release()
    assert [result_of(stoker.wait(run)) for run in (blocked, passing)] == [0, 1]


def test_a_wait_ends_in_time_and_lets_the_next_one_through(stoker: Harness, gate: Gate) -> None:
    make(stoker, NAME, "db", 2)
    given = {"gate": gate.path, "names": ["db"], "n": 0}
    holder = stoker.start("occupying/test", given)
    arrival = gate.wait()
    late = stoker.start("occupying/test", given | {"n": 1, "occupy": 2, "timeout": 0.3})
    with pytest.raises(AcquireConcurrencySlotTimeoutError, match="no 2 free slots of 'db' within"):
        result_of(stoker.wait(late))
    await_use(stoker, NAME, "db", held=1, waiting=0)
    arrival.release()
    assert result_of(stoker.wait(holder)) == 0


def test_a_cancelled_run_gives_back_what_it_has_and_its_place(stoker: Harness, gate: Gate) -> None:
    make(stoker, NAME, "db", 1)
    given = {"gate": gate.path, "names": ["db"]}
    flows = ("occupying/test", "occupying-async/test", "occupying/test")
    runs = [stoker.start(flows[0], given | {"n": 0})]
    gate.wait()
    for n in (1, 2):
        runs.append(stoker.start(flows[n], given | {"n": n}))
        await_use(stoker, NAME, "db", held=1, waiting=n)
    stoker.api.cancel_run(runs[1].id)
    use = await_use(stoker, NAME, "db", held=1, waiting=1)
    assert use.waiting[0].run_id == runs[2].id
    stoker.api.cancel_run(runs[0].id)
    assert gate.wait().note == 2
    gate.open()
    ended = [stoker.wait(run).state.type for run in runs]
    assert ended == [StateType.CANCELLED, StateType.CANCELLED, StateType.COMPLETED]
    await_use(stoker, NAME, "db", held=0, waiting=0)


def test_names_without_a_limit_limit_nothing_unless_strict(stoker: Harness, gate: Gate) -> None:
    gate.open()
    make(stoker, NAME, "small", 2)
    given = {"gate": gate.path, "names": ["nowhere"], "n": 7}
    assert stoker.value("occupying/test", given) == 7
    with pytest.raises(ConcurrencySlotAcquisitionError, match="no concurrency limit on the name"):
        stoker.value("occupying/test", given | {"strict": True})
    with pytest.raises(Invalid, match="'small' has 2 slots, and 3 are asked for"):
        stoker.value("occupying/test", given | {"names": ["small"], "occupy": 3})
    with pytest.raises(Invalid, match="has no slot decay"):
        stoker.value("paced/test", {"name": "small", "times": 1})
    stoker.api.update_limit(NAME, "small", LimitUpdate(slots=0, active=False))
    assert stoker.value("occupying/test", given | {"names": ["small"]}) == 7


@pytest.mark.parametrize("flow", ["paced/test", "paced-async/test"])
def test_a_rate_holds(stoker: Harness, flow: str) -> None:
    make(stoker, NAME, "api", 2, decay=20.0)
    begun, *stamps = stoker.value(flow, {"name": "api", "times": 8})
    # Two at once; of the further ones each 1/20 s after the one before, from the first on.
    soonest = [begun + 0.05 * max(0, n - 1) for n in range(8)]
    assert all(at > least - 0.005 for at, least in zip(stamps, soonest, strict=True)), stamps
    assert stamps[-1] - begun < 5.0, "it waits not much longer than it has to"


SCRIPT = """
import sys
from stoker import flow, task
from stoker.concurrency.sync import concurrency
from stoker.testing import arrive

@task(tags=["limited"])
def tagged(gate):
    arrive(gate, "task")

@flow
def run(gate):
    tagged(gate)

with concurrency("db", timeout_seconds=20):
    arrive(sys.argv[1], "script")
run(sys.argv[1])
print("done", flush=True)
"""


def test_a_script_takes_slots_too_and_what_it_has_ends_with_it(stoker: Harness, gate: Gate) -> None:
    make(stoker, NAME, "db", 1)
    make(stoker, TAG, "limited", 1)
    first, second = [stoker.script("-c", SCRIPT, gate.path) for _ in range(2)]
    arrival = gate.wait()
    await_use(stoker, NAME, "db", held=1, waiting=1)
    killed, other = (first, second) if arrival.pid == first.pid else (second, first)
    killed.kill()
    arrival = gate.wait()
    assert (arrival.pid, arrival.note) == (other.pid, "script")
    arrival.release()
    arrival = gate.wait()
    assert arrival.note == "task"
    await_use(stoker, TAG, "limited", held=1, waiting=0)
    arrival.release()
    other.await_output("done")
    await_use(stoker, TAG, "limited", held=0, waiting=0)


def test_the_commands(stoker: Harness) -> None:
    cli = stoker.cli
    cli("concurrency-limit", "create", "gpu", "2")
    cli("concurrency-limit", "update", "gpu", "3")
    assert "gpu" in cli("concurrency-limit", "ls").stdout
    shown = json.loads(cli("concurrency-limit", "inspect", "gpu", "--json").stdout)
    assert (shown["limit"]["slots"], shown["in_use"]) == (3, 0)
    cli("concurrency-limit", "delete", "gpu")
    assert cli("concurrency-limit", "inspect", "gpu", check=False).returncode == 1

    command = "global-concurrency-limit"
    cli(command, "create", "api", "--limit", "5", "--slot-decay-per-second", "0.5")
    cli(command, "update", "api", "--disable")
    assert "Active" in cli(command, "inspect", "api").stdout
    (listed,) = json.loads(cli(command, "ls", "--json").stdout)
    assert listed["limit"] | {"created": 0} == {
        "kind": "name",
        "name": "api",
        "slots": 5,
        "decay": 0.5,
        "active": False,
        "created": 0,
    }
    cli(command, "delete", "api")
    wrong = cli("concurrency-limit", "create", "gpu", "--", "-1", check=False)
    assert wrong.returncode == 2
    assert "-1" in wrong.stderr


def test_what_is_wrong_is_said(stoker: Harness) -> None:
    with pytest.raises(Invalid, match="slots must be 0 to 1000000000, not -1"):
        make(stoker, NAME, "db", -1)
    with pytest.raises(Invalid, match="decay must be 0 to"):
        make(stoker, NAME, "db", 1, decay=-0.5)
    with pytest.raises(Invalid, match="decay is for limits with a name"):
        make(stoker, TAG, "db", 1, decay=0.5)
    with pytest.raises(Invalid, match="cannot name a concurrency limit"):
        make(stoker, TAG, "a/b", 1)
    make(stoker, TAG, "db", 1)
    with pytest.raises(Conflict, match="there is a limit 'db' already"):
        make(stoker, TAG, "db", 1)
    with pytest.raises(NotFound, match="no concurrency limit on the tag 'bd'"):
        stoker.api.update_limit(TAG, "bd", LimitUpdate(slots=1))
