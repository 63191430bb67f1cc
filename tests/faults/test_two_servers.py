"""Two servers on one Postgres: what one does the other knows, and limits hold over both."""

import threading
import time
from collections import Counter
from typing import Any

import msgspec
import pytest

from stoker.domain.concurrency import LimitKind
from stoker.domain.deployments import CollisionStrategy
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.testing import Gate, Harness
from stoker.wire.http import LimitCreate, LimitDetail

LIMIT = 2
RUNS = 4
"""Of each server."""
POLLED = 1.0
"""Seconds between two looks of a server at limits, without a word of another one."""


def limit_of(stoker: Harness, kind: LimitKind, name: str, waiting: int) -> LimitDetail:
    """A limit, once so many wait for it."""
    deadline = time.monotonic() + 20
    while len((found := stoker.api.limit(kind, name)).waiting) != waiting:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_what_one_server_is_asked_for_the_hosts_of_the_other_do(shared_pair: Any, gate: Gate):
    # Posted to the server that does not hold the host.
    assert shared_pair.left.value("quick/right", {"n": 1}) == 1
    assert shared_pair.right.value("quick/left", {"n": 2}) == 2

    # A wait that spans both, held by the server of the run that waits.
    parent = shared_pair.right.start("waiter/left", {"child": "held/right", "gate": gate.path})
    gate.wait().release("done")
    assert shared_pair.right.wait(parent).state.type is StateType.COMPLETED

    # Its log, followed at the other server.
    run = shared_pair.left.start("talker/right", {"gate": gate.path})
    for line in range(3):
        arrival = gate.wait()
        shared_pair.left.await_log(run, lambda one, line=line: one.message == f"line {line}", 10.0)
        arrival.release()
    shared_pair.left.wait(run)

    # Cancelled at the other server.
    run = shared_pair.left.start("held/right", {"gate": gate.path})
    gate.wait()
    asked = time.monotonic()
    shared_pair.left.api.cancel_run(run.id)
    assert shared_pair.left.wait(run, 10.0).state.type is StateType.CANCELLED
    assert time.monotonic() - asked < 5.0

    # What either says of a pool.
    for one in shared_pair.both:
        assert [len(one.api.pool(pool).workers) for pool in ("left", "right")] == [1, 1]
        assert one.api.pool("right").zygotes


@pytest.mark.parametrize(
    ("kind", "name", "flow"), [(LimitKind.TAG, "spread", "tagging"), (LimitKind.NAME, "db", "slot")]
)
def test_slots_are_given_over_both_servers(
    shared_pair: Any, gate: Gate, kind: LimitKind, name: str, flow: str
) -> None:
    shared_pair.left.api.create_limit(LimitCreate(kind=kind, name=name, slots=LIMIT))
    given = {"gate": gate.path} | ({"limit": name} if flow == "slot" else {})
    runs = [
        (one, one.start(f"{flow}/{pool}", given))
        for _ in range(RUNS)
        # Each server is asked for what the hosts of the other one do.
        for one, pool in ((shared_pair.left, "right"), (shared_pair.right, "left"))
    ]
    took = 0.0
    inside = gate.wait_for(LIMIT)
    for left in range(len(runs) - LIMIT, 0, -1):
        for one in shared_pair.both:
            found = limit_of(one, kind, name, waiting=left)
            assert (found.in_use, len(found.holders)) == (LIMIT, LIMIT)
        released = time.monotonic()
        # Whose turn it is then is a run of the other server.
        inside.pop().release()
        inside.append(gate.wait())
        took += time.monotonic() - released
    assert took < (len(runs) - LIMIT) * POLLED / 4, "they are found, not woken"
    gate.open()
    for one, run in runs:
        assert one.wait(run).state.type is StateType.COMPLETED
    for one in shared_pair.both:
        assert limit_of(one, kind, name, waiting=0).in_use == 0


def test_a_full_deployment_turns_runs_away_at_either_server(shared_pair: Any, gate: Gate) -> None:
    deployment = shared_pair.left.api.deployment("held/left")
    limited = msgspec.structs.replace(
        deployment, concurrency_limit=LIMIT, collision_strategy=CollisionStrategy.CANCEL_NEW
    )
    shared_pair.left.api.put_deployment(limited)
    for _ in range(3):
        started: list[FlowRun] = []
        together = threading.Barrier(2 * RUNS)

        def start(one: Harness, started: list[FlowRun], together: threading.Barrier) -> None:
            together.wait(20)
            started.append(one.start("held/left", {"gate": gate.path}))

        threads = [
            threading.Thread(target=start, args=(one, started, together))
            for one in shared_pair.both
            for _ in range(RUNS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        turned = [run for run in started if run.state.type is StateType.CANCELLED]
        assert len(started) - len(turned) == LIMIT, Counter(str(run.state) for run in started)
        for arrival in gate.wait_for(LIMIT):
            arrival.release("done")
        for run in started:
            expected = StateType.CANCELLED if run in turned else StateType.COMPLETED
            assert shared_pair.right.wait(run).state.type is expected
    shared_pair.left.api.put_deployment(deployment)


def test_a_wait_ends_soon_where_no_message_comes_any_more(
    shared_pair: Any, gate: Gate, postgres_server: Any
) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND "
        f"datname = '{shared_pair.database.rpartition('/')[2]}'"
    )
    run = shared_pair.left.start("held/right", {"gate": gate.path})
    arrival = gate.wait()
    ended: list[FlowRun] = []
    waiting = threading.Thread(target=lambda: ended.append(shared_pair.left.wait(run)))
    waiting.start()
    # Word of its end comes while nobody listens.
    assert postgres_server.execute(cut) == [(True,), (True,)]
    arrival.release("done")
    began = time.monotonic()
    waiting.join(30)
    assert [one.state.type for one in ended] == [StateType.COMPLETED]
    # Sooner than by the look at everything that there is now and then.
    assert time.monotonic() - began < 3.0
    assert shared_pair.right.value("quick/left", {"n": 1}) == 1
