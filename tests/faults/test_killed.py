"""``kill -9`` of every part in the middle of runs: each run has one end, and nothing is left."""

import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from stoker.domain.anatomy import StartClass
from stoker.domain.errors import StokerError
from stoker.domain.hosts import HostState
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.testing import Arrival, Gate, Harness, result_of
from stoker.testing.processes import Process, await_ends

SOON = 2.0
"""Seconds in which a death has to show in the runs' states."""


def begin(stoker: Harness, gate: Gate, ledger: Path, count: int) -> dict[str, Arrival]:
    """Start runs, and return them by id when they all stand at the gate."""
    parameters = {"gate": gate.path, "ledger": str(ledger)}
    for _ in range(count):
        stoker.start("work/test", parameters)
    return {arrival.note["run"]: arrival for arrival in gate.wait_for(count)}


def written(ledger: Path) -> Counter[str]:
    """How often each run came to its end, by its own word."""
    return Counter(json.loads(line)[0] for line in ledger.read_text().splitlines())


def one_end(stoker: Harness, run_id: str, name: str) -> FlowRun:
    """Check that a run has exactly one terminal state, by this name, and return it."""
    run = stoker.wait(run_id)
    ends = [state.name for state in stoker.api.run_states(run_id) if state.is_terminal]
    assert ends == [name], run.state
    assert run.state.name == name
    return run


def complete(stoker: Harness, run_id: str) -> None:
    """Check that a run completed once, in its first attempt, with its result and all its log."""
    run = one_end(stoker, run_id, "Completed")
    assert result_of(run) == run_id
    assert run.attempt == 1
    expected = ["before the gate", *(f"line {number}" for number in range(100))]
    assert [line.message for line in stoker.logs(run)] == expected


def processes(stoker: Harness, *words: str) -> list[Process]:
    """Its processes with one of these words in their command lines."""
    return [one for one in stoker.processes() if any(word in one.command for word in words)]


def present(stoker: Harness) -> list[str]:
    """Ids of the hosts that the server takes for alive."""
    hosts = stoker.api.pool("default").hosts
    return [host.id for host in hosts if host.state is not HostState.DEAD]


def still_well(stoker: Harness) -> FlowRun:
    """Check that the next runs complete; return the last."""
    for n in range(5):
        assert stoker.value("quick/test", {"n": n}) == n
    return stoker.run("quick/test", {"n": 5})


def test_a_child(stoker: Harness, gate: Gate, tmp_path: Path) -> None:
    runs = begin(stoker, gate, tmp_path / "ledger", 4)
    victim, *others = runs
    helpers = [one for one in stoker.processes() if one.pid == runs[victim].note["helper"]]
    assert helpers
    queued = stoker.start("quick/test", {"n": 1})
    assert stoker.api.run(queued.id).state.name == "Scheduled", "all slots are taken"
    died = time.monotonic()
    os.kill(runs[victim].pid, signal.SIGKILL)
    run = one_end(stoker, victim, "Crashed")
    assert time.monotonic() - died < SOON
    assert "SIGKILL" in run.state.message
    assert stoker.wait(queued, SOON).state.name == "Completed", "the slot is back"
    assert await_ends(helpers, SOON) == [], "what it had started ends with it"
    gate.open()
    for other in others:
        complete(stoker, other)
    assert still_well(stoker).anatomy.start_class is StartClass.HOT


def test_a_zygote(stoker: Harness, gate: Gate, tmp_path: Path) -> None:
    runs = begin(stoker, gate, tmp_path / "ledger", 4)
    (zygote,) = {arrival.note["zygote"] for arrival in runs.values()}
    helpers = {arrival.note["helper"] for arrival in runs.values()}
    children = [
        one
        for one in stoker.processes()
        if one.pid in helpers or one.pid in {arrival.pid for arrival in runs.values()}
    ]
    assert len(children) == 8
    queued = stoker.start("quick/test", {"n": 1})
    died = time.monotonic()
    os.kill(zygote, signal.SIGKILL)
    for run_id in runs:
        one_end(stoker, run_id, "Crashed")
    assert time.monotonic() - died < SOON
    assert stoker.wait(queued, SOON).state.name == "Completed", "the slots are back"
    assert await_ends(children, SOON) == []
    assert still_well(stoker).anatomy.start_class is StartClass.HOT


def test_an_agent(stoker: Harness, gate: Gate, tmp_path: Path) -> None:
    runs = begin(stoker, gate, tmp_path / "ledger", 4)
    (agent,) = processes(stoker, "stoker.host.agent")
    below = [one for one in stoker.processes() if "stoker.host" in one.command]
    below += [
        one
        for one in stoker.processes()
        if one.pid in {arrival.note["helper"] for arrival in runs.values()}
    ]
    queued = stoker.start("quick/test", {"n": 1})
    agent.send(signal.SIGKILL)
    for run_id in runs:
        run = one_end(stoker, run_id, "Crashed")
        assert "its host ended" in run.state.message
        assert [line.message for line in stoker.logs(run)] == ["before the gate"]
    assert stoker.wait(queued, 10).state.name == "Completed", "another host is there"
    assert await_ends(below, 5) == []
    still_well(stoker)


def test_the_server(stoker: Harness, gate: Gate, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    runs = begin(stoker, gate, ledger, 4)
    parameters = {"gate": gate.path, "ledger": str(ledger)}
    queued = [stoker.start("work/test", parameters).id for _ in range(4)]
    before = processes(stoker, "stoker.host.agent")
    assert stoker.server is not None
    stoker.server.kill()
    # Two of them end while there is no server, and say a hundred lines each.
    early, late = list(runs)[:2], list(runs)[2:]
    ends = [one for one in stoker.processes() if one.pid in {runs[run].pid for run in early}]
    assert len(ends) == 2
    for run_id in early:
        runs[run_id].release()
    assert await_ends(ends, 10) == []
    assert set(written(ledger)) == set(early)

    stoker.start_server()
    for run_id in early:
        complete(stoker, run_id)
    arrivals = gate.wait_for(2)
    assert {arrival.note["run"] for arrival in arrivals} <= set(queued), "the queue goes on"
    for run_id in late:
        assert stoker.api.run(run_id).state.name == "Running"
    gate.open()
    for run_id in [*runs, *queued]:
        complete(stoker, run_id)
    assert written(ledger) == Counter([*runs, *queued]), "each ran once"
    assert processes(stoker, "stoker.host.agent") == before, "the host was adopted"
    assert still_well(stoker).anatomy.start_class is StartClass.HOT


def test_the_server_while_a_parent_waits_for_its_child(
    stoker: Harness, gate: Gate, tmp_path: Path
) -> None:
    parameters = {"gate": gate.path, "ledger": str(tmp_path / "ledger")}
    run = stoker.start("parent/test", parameters)
    arrival = gate.wait()
    assert stoker.server is not None
    stoker.server.kill()
    stoker.start_server()
    arrival.release()
    assert result_of(stoker.wait(run)) == arrival.note["run"]

    again = stoker.start("parent/test", parameters)
    arrival = gate.wait()
    (child,) = [one for one in stoker.processes() if one.pid == arrival.pid]
    stoker.server.kill()
    arrival.release()
    assert await_ends([child], 10) == [], "it ends while there is no server"
    stoker.start_server()
    assert result_of(stoker.wait(again)) == arrival.note["run"]


def test_the_server_while_runs_are_submitted(stoker: Harness, tmp_path: Path) -> None:
    """Nothing that it has acknowledged is lost, and nothing is run twice."""
    ledger = tmp_path / "ledger"
    accepted: list[str] = []
    stop = threading.Event()

    def submit() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            request = StartRun(
                deployment="quick/test",
                parameters={"n": n, "ledger": str(ledger)},
                idempotency_key=f"key-{n}",
            )
            while not stop.is_set():
                try:
                    accepted.append(stoker.api.start_run(request).id)
                    break
                except StokerError:
                    stop.wait(0.02)

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        for _ in range(3):
            goal = len(accepted) + 50
            deadline = time.monotonic() + 20
            while len(accepted) < goal:
                assert time.monotonic() < deadline
                stop.wait(0.005)
            assert stoker.server is not None
            stoker.server.kill()
            stoker.start_server()
    finally:
        stop.set()
        thread.join()
    assert len(accepted) >= 150
    assert len(set(accepted)) == len(accepted)
    for run_id in accepted:
        run = one_end(stoker, run_id, "Completed")
        assert result_of(run) == run.parameters["n"]
    assert written(ledger) == Counter(accepted)


def test_the_worker(stoker: Harness, gate: Gate, tmp_path: Path) -> None:
    runs = begin(stoker, gate, tmp_path / "ledger", 4)
    (worker,) = stoker.workers
    (agent,) = processes(stoker, "stoker.host.agent")
    worker.kill()
    first, *others = runs
    runs[first].release()
    complete(stoker, first)
    stoker.start_worker()
    gate.open()
    for other in others:
        complete(stoker, other)
    assert still_well(stoker).anatomy.start_class is StartClass.HOT
    assert agent.is_alive, "it was adopted"

    # The new worker watches the host that it adopted.
    (adopted,) = present(stoker)
    agent.send(signal.SIGKILL)
    assert await_ends([agent], SOON) == []
    # A run that is given to it before its death is known has crashed with it.
    deadline = time.monotonic() + 10
    while adopted in present(stoker):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    still_well(stoker)
    assert len(processes(stoker, "stoker.host.agent")) == 1


def test_everything(stoker: Harness, gate: Gate, tmp_path: Path) -> None:
    runs = begin(stoker, gate, tmp_path / "ledger", 4)
    queued = stoker.start("quick/test", {"n": 1})
    known = stoker.processes()
    (worker,) = stoker.workers
    assert stoker.server is not None
    worker.kill()
    stoker.server.kill()
    for one in processes(stoker, "stoker.host.agent"):
        one.send(signal.SIGKILL)
    up = stoker.program("up", "--port", stoker.url.rpartition(":")[2])
    stoker.await_server(up)
    for run_id in runs:
        one_end(stoker, run_id, "Crashed")
    assert await_ends(known, 5) == [], "nothing is left of before"
    assert stoker.wait(queued, 10).state.name == "Completed"
    still_well(stoker)
    assert up.stop() == 0
