"""The life of a run, end to end: paused, suspended, retried, scheduled, cancelled."""

import os
import runpy
import signal
import time
from pathlib import Path

import pytest

from stoker.domain.errors import Conflict, FlowPauseTimeout
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.testing import Arrival, Gate, Harness, result_of
from stoker.testing.processes import await_ends

PROJECT = Path(__file__).parent / "project"
read_ledger = runpy.run_path(str(PROJECT / "ledger.py"))["read"]

CANCELLED_WITHIN = 5.0
"""Seconds from the request to the end of all that a run has started."""


def started(stoker: Harness, deployment: str, state: str, **parameters: object) -> FlowRun:
    """Start a run, and return it once it is in a state."""
    return stoker.await_state(stoker.start(deployment, parameters), state)


def names(stoker: Harness, run: FlowRun) -> list[str]:
    return [state.name for state in stoker.api.run_states(run.id)]


def test_a_flow_pauses_itself_and_goes_on_in_the_same_process(stoker: Harness) -> None:
    run = started(stoker, "pauses/test", "Paused")
    assert run.host_id is not None
    assert run.paused_until is not None
    stoker.api.resume_run(run.id)
    stoker.await_log(run, lambda line: line.message == "between")
    again = stoker.await_state(run, "Paused")
    assert again.attempt == 1
    stoker.cli("flow-run", "resume", run.id)
    ended = stoker.wait(run)
    assert ended.state.name == "Completed"
    assert (ended.attempt, ended.paused_until) == (1, None)
    with pytest.raises(Conflict, match="Completed cannot resume"):
        stoker.api.resume_run(run.id)


def test_a_pause_that_nobody_ends_fails_the_run(stoker: Harness) -> None:
    run = stoker.run("pauses/test", {"timeout": 0.2})
    assert run.state.name == "Failed"
    assert "never resumed" in run.state.message
    with pytest.raises(FlowPauseTimeout):
        result_of(run)


def test_a_coroutine_pauses(stoker: Harness) -> None:
    run = started(stoker, "pauses-in-a-coroutine/test", "Paused")
    stoker.api.resume_run(run.id)
    deadline = time.monotonic() + 30
    while names(stoker, run).count("Paused") < 2 and time.monotonic() < deadline:
        stoker.api.wait_run(run.id, 0.01)
    stoker.api.resume_run(run.id)
    assert stoker.wait(run).state.name == "Completed"


def test_a_flow_suspends_itself_and_begins_again(stoker: Harness, tmp_path: Path) -> None:
    path = str(tmp_path / "ledger")
    run = started(stoker, "suspends/test", "Suspended", path=path)
    first = {entry.pid for entry in read_ledger(path)}
    assert run.host_id is None
    assert [entry.event for entry in read_ledger(path)] == ["task", "left"]
    assert await_ends([one for one in stoker.processes() if one.pid in first], 5.0) == []
    stoker.api.resume_run(run.id)
    ended = stoker.wait(run)
    assert ended.state.name == "Completed"
    assert (ended.attempt, ended.run_count) == (2, 1)
    assert result_of(ended) not in first
    assert [entry.event for entry in read_ledger(path)][2:] == ["task", "left", "task"]
    assert "Resuming" in names(stoker, run)


def test_a_coroutine_suspends_itself(stoker: Harness) -> None:
    run = started(stoker, "suspends-in-a-coroutine/test", "Suspended")
    stoker.api.resume_run(run.id)
    assert stoker.wait(run).attempt == 2


def test_a_run_is_paused_from_outside_and_stands_still(stoker: Harness, gate: Gate) -> None:
    run = stoker.start("counts/test", {"gate": gate.path})
    arrival = gate.wait()
    arrival.release()
    stoker.await_log(run, lambda line: True)
    stoker.await_state(run, "Running")
    paused = stoker.api.pause_run(run.id)
    assert paused.state.name == "Paused"
    (process,) = [one for one in stoker.processes() if one.pid == arrival.pid]
    deadline = time.monotonic() + 10
    while _status(process.pid) != "T" and time.monotonic() < deadline:
        stoker.api.wait_run(run.id, 0.01)
    assert _status(process.pid) == "T"
    stoker.api.resume_run(run.id)
    last = stoker.logs(run)[-1].id
    assert stoker.api.logs(run.id, after=last, wait=20), "it goes on"
    stoker.api.pause_run(run.id)
    cancelled = time.monotonic()
    stoker.api.cancel_run(run.id)
    assert stoker.wait(run).state.name == "Cancelled"
    assert time.monotonic() - cancelled < CANCELLED_WITHIN


def test_a_pause_from_outside_that_nobody_ends_fails_the_run(stoker: Harness, gate: Gate) -> None:
    run = stoker.start("stands/test", {"gate": gate.path})
    arrival = gate.wait()
    stoker.await_state(run, "Running")
    stoker.api.pause_run(run.id, 0.2)
    ended = stoker.wait(run)
    assert (ended.state.name, ended.state.message) == ("Failed", "it was paused and never resumed")
    assert await_ends([one for one in stoker.processes() if one.pid == arrival.pid], 5.0) == []


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_run_is_suspended_from_outside(stoker: Harness, gate: Gate) -> None:
    run = stoker.start("stands/test", {"gate": gate.path})
    gate.wait()
    stoker.api.suspend_run(run.id)
    suspended = stoker.await_state(run, "Suspended")
    assert suspended.host_id is None
    stoker.cli("flow-run", "resume", run.id)
    gate.wait().release("well")
    assert result_of(stoker.wait(run)) == "well"
    assert names(stoker, run).count("Suspending") == 1


def test_a_suspended_run_is_cancelled_at_once(stoker: Harness) -> None:
    run = started(stoker, "suspends-in-a-coroutine/test", "Suspended")
    assert stoker.api.cancel_run(run.id).state.name == "Cancelled"


def test_a_parent_waits_for_a_suspended_child_and_lends_to_it_again(
    stoker: Harness, gate: Gate
) -> None:
    parent = stoker.start("lends/test", {"gate": gate.path})
    child = gate.wait().note["run"]
    stoker.api.suspend_run(child)
    stoker.await_state(child, "Suspended")
    stoker.api.resume_run(child)
    gate.wait().release("found")
    assert result_of(stoker.wait(parent)) == "found"


def test_a_waiting_run_that_is_paused_goes_on_with_its_child(stoker: Harness, gate: Gate) -> None:
    parent = stoker.start("lends/test", {"gate": gate.path})
    arrival = gate.wait()
    stoker.api.pause_run(parent.id)
    arrival.release("found")
    assert stoker.wait(arrival.note["run"]).state.name == "Completed"
    assert stoker.api.run(parent.id).state.name == "Paused"
    stoker.api.resume_run(parent.id)
    assert result_of(stoker.wait(parent)) == "found"


# Retries of what is over


def test_a_failed_run_is_run_again(stoker: Harness, tmp_path: Path) -> None:
    parameters = {"path": str(tmp_path / "ledger")}
    failed = stoker.run("fails-first/test", parameters)
    assert failed.state.name == "Failed"
    stoker.cli("flow-run", "retry", failed.id)
    again = stoker.wait(failed.id)
    assert (again.state.name, again.attempt, result_of(again)) == ("Completed", 2, "well")
    history = names(stoker, failed)
    assert history.index("Failed") < history.index("AwaitingRetry") < history.index("Completed")
    with pytest.raises(Conflict, match="--force"):
        stoker.api.retry_run(failed.id)
    stoker.cli("flow-run", "retry", failed.id, "--force")
    assert stoker.wait(failed.id).attempt == 3


def test_a_run_without_a_deployment_is_not_run_again(stoker: Harness, tmp_path: Path) -> None:
    stoker.deploy(PROJECT / "lives.py", "fails_first", name="doomed")
    failed = stoker.run("fails-first/doomed", {"path": str(tmp_path / "ledger")})
    stoker.api.delete_deployment("fails-first/doomed")
    with pytest.raises(Conflict, match="was deleted"):
        stoker.api.retry_run(failed.id)


# Times


def test_a_run_for_later_begins_when_it_is_due(stoker: Harness) -> None:
    due = time.time() + 1.0
    run = stoker.api.start_run(StartRun(deployment="who/test", scheduled_time=due))
    assert run.state.name == "Scheduled"
    assert stoker.wait(run).state.name == "Completed"
    begun = stoker.api.run(run.id).started
    assert begun is not None
    assert due <= begun < due + 1.0


def test_a_run_for_later_is_cancelled_and_suspended(stoker: Harness) -> None:
    later = StartRun(deployment="who/test", scheduled_time=time.time() + 3600)
    run = stoker.api.start_run(later)
    assert stoker.api.suspend_run(run.id).state.name == "Suspended"
    resumed = stoker.api.resume_run(run.id)
    assert (resumed.state.name, resumed.queued) == ("Resuming", False)
    assert stoker.api.cancel_run(run.id).state.name == "Cancelled"


# Cancelling


@pytest.mark.parametrize("how", ["ignore", "swallow", "regex", "sum", "sleep"])
def test_a_cancelled_run_is_gone_with_all_that_it_started(
    stoker: Harness, gate: Gate, how: str
) -> None:
    run = stoker.start("stubborn/test", {"gate": gate.path, "how": how})
    arrival = gate.wait()
    arrival.release()
    tree = tree_of(stoker, arrival)
    assert len(tree) >= 3
    asked = time.monotonic()
    stoker.api.cancel_run(run.id)
    left = await_ends(tree, CANCELLED_WITHIN)
    took = time.monotonic() - asked
    assert left == []
    assert took < CANCELLED_WITHIN
    ended = stoker.wait(run)
    assert ended.state.name == "Cancelled"
    assert ended.ended is not None


def tree_of(stoker: Harness, arrival: Arrival) -> list:
    """The processes of a run: its own, and its helper's session."""
    helper = arrival.note["helper"]
    deadline = time.monotonic() + 10
    while True:
        found = [
            one
            for one in stoker.processes()
            if one.pid == arrival.pid or _session(one.pid) == helper
        ]
        if len(found) >= 3 or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def test_many_runs_are_cancelled_by_state_and_deployment(stoker: Harness) -> None:
    later = time.time() + 3600
    wanted = [
        stoker.api.start_run(StartRun(deployment="who/test", scheduled_time=later))
        for _ in range(3)
    ]
    parameters = {"gate": "nowhere"}
    other = stoker.api.start_run(
        StartRun(deployment="stands/test", parameters=parameters, scheduled_time=later)
    )
    said = stoker.cli(
        "flow-run", "cancel", "--state", "scheduled", "--deployment", "who/test", "--yes"
    )
    assert "3 flow runs" in said.stdout
    assert {stoker.api.run(run.id).state.name for run in wanted} == {"Cancelled"}
    assert stoker.api.run(other.id).state.name == "Scheduled"
    stoker.api.cancel_run(other.id)


# Time limits


def test_code_in_c_is_ended_at_its_time_limit(stoker: Harness) -> None:
    begun = time.monotonic()
    run = stoker.run("too-long-in-c/test")
    assert run.state.name == "TimedOut"
    assert "time limit of 1 s" in run.state.message
    assert time.monotonic() - begun < 1 + 2 + 3


def test_a_task_that_was_too_long_in_c_is_said_to_be(stoker: Harness) -> None:
    assert stoker.value("with-a-long-step/test") == "TimedOut"


# Crashes


def test_a_crashed_run_is_queued_again_as_often_as_its_deployment_says(
    stoker: Harness, gate: Gate, tmp_path: Path
) -> None:
    fragile(stoker, crash_retries=1)
    path = str(tmp_path / "ledger")
    parent = stoker.start("waits-for-fragile/test", {"gate": gate.path, "path": path})
    first = gate.wait()
    run_id = read_ledger(path)[0].run
    deadline = time.monotonic() + 30
    while tasks_within(stoker, run_id) != ["AwaitingRetry"] and time.monotonic() < deadline:
        stoker.api.wait_run(run_id, 0.01)
    os.kill(first.pid, signal.SIGKILL)
    second = gate.wait()
    run = stoker.api.run(run_id)
    assert (run.attempt, run.crashes) == (2, 1)
    assert tasks_within(stoker, run_id) == ["Crashed"]
    second.release()
    assert result_of(stoker.wait(parent)) == "Completed", "its parent has waited on"
    inner = stoker.api.runs(parent=run_id).runs
    assert sorted(one.state.name for one in inner) == ["Completed", "Crashed"]
    assert "AwaitingCrashRetry" in names(stoker, run)
    assert [entry.event for entry in read_ledger(path)] == ["start", "start", "end"]


def test_a_run_that_crashes_too_often_has_crashed(
    stoker: Harness, gate: Gate, tmp_path: Path
) -> None:
    fragile(stoker, crash_retries=1, crash_retry_delay=0.3)
    run = stoker.start("fragile/test", {"gate": gate.path, "path": str(tmp_path / "ledger")})
    os.kill(gate.wait().pid, signal.SIGKILL)
    lost = stoker.await_state(run, "AwaitingCrashRetry")
    assert lost.due > lost.state.at
    os.kill(gate.wait().pid, signal.SIGKILL)
    assert stoker.wait(run).state.name == "Crashed"


def test_a_crashed_run_that_is_being_cancelled_is_not_queued_again(
    stoker: Harness, gate: Gate, tmp_path: Path
) -> None:
    fragile(stoker, crash_retries=5)
    run = stoker.start("fragile/test", {"gate": gate.path, "path": str(tmp_path / "ledger")})
    arrival = gate.wait()
    os.kill(arrival.pid, signal.SIGSTOP)
    stoker.api.cancel_run(run.id)
    os.kill(arrival.pid, signal.SIGKILL)
    ended = stoker.wait(run)
    assert (ended.state.name, ended.attempt) == ("Cancelled", 1)


def test_a_deployment_says_what_becomes_of_crashed_runs(stoker: Harness) -> None:
    options = ("--crash-retries", "2", "--crash-retry-delay", "1m")
    stoker.cli("deploy", f"{PROJECT / 'lives.py'}:fails_first", "-n", "again", *options)
    found = stoker.api.deployment("fails-first/again")
    assert (found.crash_retries, found.crash_retry_delay) == (2, 60.0)
    shown = stoker.cli("deployment", "inspect", "fails-first/again").stdout
    assert "a run that crashes begins again, 2 times, 1 min" in shown


def fragile(stoker: Harness, **options: object) -> None:
    """Deploy ``fragile/test`` anew."""
    file = PROJECT / "lives.py"
    found = stoker.deploy(file, "fragile", project=file.parent)["fragile"]
    for name, value in options.items():
        setattr(found, name, value)
    stoker.api.put_deployment(found)


def tasks_within(stoker: Harness, run_id: str) -> list[str]:
    """The states of the task runs of the flows that a run has called in its process."""
    inner = stoker.api.runs(parent=run_id).runs
    return [task.state.name for one in inner for task in stoker.api.task_runs(one.id)]
