"""The SDK in deployed runs: nested runs, results, retries, timeouts, cancellation."""

import json
import time
from pathlib import Path

import pytest

from stoker.domain.anatomy import StartClass
from stoker.domain.requests import StartRun
from stoker.domain.states import StateType
from stoker.testing import Gate, Harness, result_of
from stoker.testing.processes import await_ends, processes_of


def test_flow_deploy_and_run_deployment_from_a_script(stoker: Harness, tmp_path: Path) -> None:
    (tmp_path / "etl.py").write_text(
        """
from stoker import flow, run_deployment

@flow
def etl(n: int) -> int:
    return n + 1

if __name__ == "__main__":
    import json
    deployment = etl.deploy("nightly", "default", parameters={"n": 1}, tags=["mine"])
    first = run_deployment("etl/nightly")
    second = run_deployment("etl/nightly", {"n": 5}, tags=["more"], flow_run_name="five")
    at_once = run_deployment("etl/nightly", timeout=0)
    print(json.dumps({
        "deployment": deployment.full_name,
        "values": [first.state.result(), second.state.result()],
        "name": second.name,
        "tags": second.tags,
        "at_once": at_once.state.is_final(),
        "later": at_once.wait().state.result(),
    }))
"""
    )
    for settings in ({}, {"STOKER_API_URL": stoker.url}):
        done = stoker.python(str(tmp_path / "etl.py"), cwd=tmp_path, environ=settings)
        found = json.loads(done.stdout)
        assert found.pop("at_once") in {True, False}
        assert found == {
            "deployment": "etl/nightly",
            "values": [2, 6],
            "name": "five",
            "tags": ["mine", "more"],
            "later": 2,
        }


def test_a_child_is_linked_to_its_parent_and_its_result_comes_back(stoker: Harness) -> None:
    found = stoker.value("call-sync/test", {"n": 7})
    assert found["value"] == 49
    child = stoker.api.run(found["id"])
    assert child.parent_run_id == found["me"]
    assert [run.id for run in stoker.api.runs(parent=found["me"]).runs] == [found["id"]]


def test_an_async_parent_waits_for_many_children_at_once(stoker: Harness) -> None:
    assert stoker.value("call-async/test", {"n": 5}) == [0, 1, 4, 9, 16, 25]


def test_a_parent_is_told_of_its_childs_end_by_push(stoker: Harness) -> None:
    stoker.run("call-sync/test", {"n": 2})
    runs = [stoker.run("call-sync/test", {"n": 2}) for _ in range(10)]
    took = sorted(run.ended - run.created for run in runs if run.ended is not None)
    # Two starts and the push between them; a poll would show in the fastest.
    assert took[0] < 0.1


@pytest.mark.parametrize("timeout", [0.0, 0.1])
def test_a_parent_that_waits_a_little_gets_the_run_as_it_is_then(
    stoker: Harness, gate: Gate, timeout: float
) -> None:
    run = stoker.start("call-and-go-on/test", {"gate": gate.path, "timeout": timeout})
    arrivals = {arrival.note: arrival for arrival in gate.wait_for(2)}
    arrivals.pop("parent").release()
    (child,) = arrivals.values()
    child.release("answer")
    found = result_of(stoker.wait(run))
    assert found["before"] != "Completed"
    assert found["after"] == "Completed"


def test_a_failure_of_a_child_reaches_the_parent(stoker: Harness) -> None:
    assert stoker.value("call-failing/test") == "Failed: ValueError: no luck"


def test_the_same_idempotency_key_starts_one_run(stoker: Harness) -> None:
    request = StartRun(deployment="square/test", parameters={"n": 3}, idempotency_key="three")
    first, second = stoker.api.start_run(request), stoker.api.start_run(request)
    assert first.id == second.id
    assert result_of(stoker.wait(first)) == 9


def test_retries(stoker: Harness) -> None:
    run = stoker.run("fail-twice/test")
    assert (result_of(run), run.run_count, run.attempt) == (3, 3, 1)
    names = [state.name for state in stoker.api.run_states(run.id)]
    assert names == [
        "Scheduled",
        "Pending",
        "Running",
        "AwaitingRetry",
        "Retrying",
        "AwaitingRetry",
        "Retrying",
        "Completed",
    ]


def test_task_runs_are_recorded(stoker: Harness) -> None:
    run = stoker.run("doubled/test", {"n": 4})
    assert result_of(run) == [0, 2, 4, 6]
    tasks = stoker.api.task_runs(run.id)
    assert [task.state.name for task in tasks] == ["Completed"] * 4
    assert len({task.name for task in tasks}) == 4


def test_a_large_result(stoker: Harness) -> None:
    run = stoker.run("large/test", {"size": 3 << 20})
    assert run.result is not None
    assert (stoker.home / "results" / run.result.file).stat().st_size >= 3 << 20


def test_a_timeout_ends_a_flow_that_hangs_in_c(stoker: Harness, gate: Gate) -> None:
    run = stoker.start("hang/test", {"gate": gate.path})
    arrival = gate.wait()
    (process,) = [one for one in stoker.processes() if one.pid == arrival.pid]
    gate.open()
    ended = stoker.wait(run, 10)
    assert (ended.state.type, ended.state.name) == (StateType.FAILED, "TimedOut")
    assert "0.5 s" in ended.state.message
    assert await_ends([process], 2.0) == []
    assert ended.ended is not None
    assert ended.started is not None
    assert ended.ended - ended.started < 3.0


def test_a_time_limit_leaves_room_for_retries(stoker: Harness, tmp_path: Path) -> None:
    file = tmp_path / "cleaned"
    run = stoker.run("sleep-once/test", {"file": str(file)})
    assert (result_of(run), run.run_count) == ("in time", 2)
    assert file.read_text() == "cleaned up"


def test_a_timeout_ends_a_busy_loop_that_swallows_exceptions(stoker: Harness) -> None:
    ended = stoker.run("spin/test", timeout=10)
    assert (ended.state.type, ended.state.name) == (StateType.FAILED, "TimedOut")
    assert stoker.run("square/test", {"n": 1}).anatomy.start_class is StartClass.HOT


def test_cancelling_a_running_flow_lets_it_clean_up(
    stoker: Harness, gate: Gate, tmp_path: Path
) -> None:
    file = tmp_path / "cleaned"
    run = stoker.start("clean-up-when-cancelled/test", {"gate": gate.path, "file": str(file)})
    gate.wait()
    assert stoker.api.cancel_run(run.id).state.name == "Cancelling"
    ended = stoker.wait(run, 5)
    assert ended.state.name == "Cancelled"
    assert file.read_text() == "RunCancelled"


def test_cancelling_a_queued_run(stoker: Harness, gate: Gate) -> None:
    busy = [stoker.start("meet/test", {"gate": gate.path}) for _ in range(4)]
    gate.wait_for(4)
    queued = stoker.start("square/test", {"n": 1})
    assert stoker.api.run(queued.id).state.name == "Scheduled", stoker.api.pools()
    assert stoker.api.cancel_run(queued.id).state.name == "Cancelled"
    gate.open()
    assert {stoker.wait(run).state.name for run in busy} == {"Completed"}
    assert stoker.api.run(queued.id).attempt == 0


def test_cancelling_a_parent_cancels_the_child_that_it_waits_for(
    stoker: Harness, gate: Gate
) -> None:
    run = stoker.start("wait-for/test", {"gate": gate.path})
    child = gate.wait().note
    stoker.api.cancel_run(run.id)
    assert stoker.wait(run, 5).state.name == "Cancelled"
    assert stoker.wait(child, 5).state.name == "Cancelled"


def test_a_cancelled_flow_that_ignores_sigterm_is_killed_after_the_grace(
    tmp_path_factory: pytest.TempPathFactory, gate: Gate
) -> None:
    from stoker.testing import harness

    project = Path(__file__).parent / "project"
    with harness(tmp_path_factory.mktemp("grace"), settings={"shutdown_grace": 1}) as stoker:
        stoker.deploy(project / "behaviours.py", "ignore_sigterm", project=project)
        run = stoker.start("ignore-sigterm/test", {"gate": gate.path})
        arrival = gate.wait()
        known = {one.pid: one for one in processes_of(stoker.home)}
        began = time.monotonic()
        stoker.api.cancel_run(run.id)
        ended = stoker.wait(run, 10)
        took = time.monotonic() - began
        assert ended.state.name == "Cancelled"
        assert 0.9 < took < 4
        left = [known[pid] for pid in (arrival.pid, arrival.note)]
        assert await_ends(left, 2.0) == [], "neither the process nor its helper is left"


def test_a_helper_that_a_run_leaves_behind_is_ended(stoker: Harness) -> None:
    pid = stoker.value("leave-helper/test")
    alive = [one for one in stoker.processes() if one.pid == pid]
    assert await_ends(alive, 5.0) == []
