"""``kill -9`` under runs that are retried after a crash, and under paused and suspended ones."""

import json
import signal
import time
from pathlib import Path

import pytest

from stoker.domain.pools import WarmKnobs
from stoker.domain.requests import StartRun
from stoker.domain.states import StateType
from stoker.states import FailedRun
from stoker.testing import Gate, Harness, harness, result_of
from stoker.testing.processes import Process

PROJECT = Path(__file__).parent / "project"
RUNS = 3


def kill_child(stoker: Harness, child: Process) -> None:
    child.send(signal.SIGKILL)


def kill_agent(stoker: Harness, child: Process) -> None:
    for one in stoker.processes():
        if "stoker.host.agent" in one.command:
            one.send(signal.SIGKILL)


def kill_worker_and_host(stoker: Harness, child: Process) -> None:
    for one in stoker.processes():
        if "stoker.host" in one.command or "worker start" in one.command:
            one.send(signal.SIGKILL)
    stoker.start_worker("default")


@pytest.mark.parametrize("kill", [kill_child, kill_agent, kill_worker_and_host])
def test_a_lost_attempt_is_over_before_the_next_one_begins(
    stoker: Harness, gate: Gate, tmp_path: Path, kill
) -> None:
    deployment = stoker.api.deployment("retold/test")
    deployment.crash_retries = 1
    stoker.api.put_deployment(deployment)
    ledger = tmp_path / "ledger"
    parameters = {"gate": gate.path, "ledger": str(ledger)}
    runs = [stoker.start("retold/test", parameters) for _ in range(RUNS)]
    first = {arrival.pid for arrival in gate.wait_for(RUNS)}
    children = [one for one in stoker.processes() if one.pid in first]
    kill(stoker, children[0])
    lost = 1 if kill is kill_child else RUNS
    for arrival in gate.wait_for(lost):
        (start,) = [one for one in entries(ledger) if one[2] == arrival.pid]
        earlier = [one[2] for one in entries(ledger) if one[1] == start[1]][:-1]
        assert len(earlier) == 1
        assert not executes(earlier[0]), "two attempts overlap"
    gate.open()
    attempts = []
    for run in runs:
        ended = stoker.wait(run)
        states = [state.name for state in stoker.api.run_states(run.id) if state.is_terminal]
        assert states == ["Completed"]
        events = [one for one in entries(ledger) if one[1] == run.id]
        assert [one[0] for one in events] == ["start"] * ended.attempt + ["end"]
        assert events[-1][2] == result_of(ended) == events[-2][2]
        attempts.append(ended.attempt)
    assert sorted(attempts) == [1] * (RUNS - lost) + [2] * lost


def executes(pid: int) -> bool:
    """Whether there is such a process. One that waits to be reaped does nothing any more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def entries(ledger: Path) -> list[list]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


@pytest.mark.parametrize("suspends", [False, True])
def test_pauses_outlive_the_server(stoker: Harness, gate: Gate, *, suspends: bool) -> None:
    run = stoker.start("stops/test", {"gate": gate.path, "suspends": suspends})
    gate.wait().release()
    before = stoker.await_state(run, "Suspended" if suspends else "Paused")
    assert stoker.server is not None
    stoker.server.kill()
    stoker.start_server()
    found = stoker.api.run(run.id)
    assert (found.state.name, found.paused_until) == (before.state.name, before.paused_until)
    assert found.waiting_for
    stoker.api.resume_run(run.id)
    if suspends:
        gate.wait().release()
    ended = stoker.wait(run)
    assert (result_of(ended), ended.attempt) == ("on", 2 if suspends else 1)


def test_a_pause_whose_time_is_up_while_the_server_is_away_fails(
    stoker: Harness, gate: Gate, tmp_path: Path
) -> None:
    given = {"gate": gate.path, "ledger": str(tmp_path / "ledger")}
    run = stoker.start("retold/test", given)
    gate.wait()
    until = stoker.api.suspend_run(run.id, timeout=1.0).paused_until
    assert stoker.server is not None
    assert until is not None
    stoker.server.kill()
    while time.time() < until:
        time.sleep(0.05)
    stoker.start_server()
    ended = stoker.wait(run)
    assert ended.state.type is StateType.FAILED
    with pytest.raises(FailedRun, match="it was suspended and never resumed"):
        result_of(ended)


def test_a_run_without_a_slot_is_late_and_an_event_says_so(tmp_path: Path) -> None:
    warm = WarmKnobs(min=1, max=1, slots_per_host=1)
    with (
        Gate() as gate,
        harness(tmp_path / "home", warm=warm, settings={"late_after": 0.3}) as stoker,
    ):
        stoker.deploy(PROJECT / "flows.py")
        parameters = {"gate": gate.path, "ledger": str(tmp_path / "ledger")}
        stoker.start("retold/test", parameters)
        arrival = gate.wait()
        run = stoker.api.start_run(StartRun(deployment="quick/test", parameters={"n": 7}))
        stoker.await_state(run, "Late")
        shown = stoker.cli("event", "ls", "--run", run.id, "-e", "flow-run.Late", "--json").stdout
        assert len(json.loads(shown)) == 1
        arrival.release()
        assert result_of(stoker.wait(run)) == 7
