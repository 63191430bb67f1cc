"""Whatever a run does, those beside it on the host go on, and the next ones start hot."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.anatomy import StartClass
from stoker.domain.pools import WarmKnobs
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.host.child.own_user import FIRST
from stoker.testing import Gate, Harness, harness, result_of

PROJECT = Path(__file__).parent / "project"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give user ids away")


@pytest.fixture(scope="module")
def stoker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A server and a worker with one host."""
    warm = WarmKnobs(min=1, max=1, slots_per_host=3)
    home = tmp_path_factory.mktemp("neighbours") / "home"
    with harness(home, warm=warm, settings={"shutdown_grace": 0.5}) as shared:
        shared.deploy(PROJECT / "neighbours.py")
        yield shared


@contextmanager
def neighbour(stoker: Harness) -> Iterator[tuple[int, int]]:
    """A run beside others, which must not feel them; gives its pid and its zygote's."""
    with Gate() as gate:
        run = stoker.start("quiet/test", {"gate": gate.path})
        arrival = gate.wait()
        yield arrival.pid, arrival.note["zygote"]
        gate.open()
        ended = stoker.wait(run)
    assert (result_of(ended), ended.attempt) == ("kept", 1)
    assert [line.message for line in stoker.logs(ended)] == ["before", "after"]
    last = stoker.run("state-of-process/test")
    assert result_of(last)[0] == str(PROJECT)
    assert last.anatomy.start_class is StartClass.HOT


def run(stoker: Harness, flow: str, variables: dict[str, Any], **parameters: Any) -> FlowRun:
    """Run a flow with job variables of its own."""
    order = StartRun(deployment=f"{flow}/test", parameters=parameters, job_variables=variables)
    return stoker.wait(stoker.api.start_run(order))


def agent_of(stoker: Harness) -> int:
    (agent,) = [one for one in stoker.processes() if "stoker.host.agent" in one.command]
    return agent.pid


def is_gone(folder: str, seconds: float = 20.0) -> bool:
    """Whether a folder is away soon; nobody tells when."""
    deadline = time.monotonic() + seconds
    while os.path.exists(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not os.path.exists(folder)


def test_nothing_of_its_process_is_left_to_the_next_run(stoker: Harness) -> None:
    before = stoker.value("state-of-process/test")
    with neighbour(stoker):
        assert stoker.value("change-process/test") != before
        assert stoker.value("state-of-process/test") == before


def test_a_hundred_thousand_files_are_cleared_away_beside_the_others(stoker: Harness) -> None:
    with neighbour(stoker):
        ended = stoker.run("litter/test", {"files": 100_000}, timeout=60)
        folder = result_of(ended)
        waits: list[float] = []
        while len(waits) < 200 and (os.path.exists(folder) or not waits):
            anatomy = stoker.run("state-of-process/test").anatomy
            assert anatomy.handed_over is not None
            assert anatomy.claimed is not None
            waits.append(anatomy.handed_over - anatomy.claimed)
        assert is_gone(folder)
    # Other programs take the processors too; the agent itself would be away for seconds.
    assert sorted(waits)[len(waits) // 2] < 0.1
    assert max(waits) < 1.0


def test_descriptors_end_at_the_limit(stoker: Harness) -> None:
    with neighbour(stoker):
        ended = run(stoker, "hoard", {"rlimits": {"nofile": 256}})
        assert 200 < result_of(ended) < 256


def test_a_fork_bomb_ends_at_the_limit(stoker: Harness) -> None:
    with neighbour(stoker) as (pid, _):
        ended = run(stoker, "multiply", {"rlimits": {"nproc": 100}})
        # Without a user id of its own those of others count, too.
        assert result_of(ended) == 99 or (os.geteuid() != 0 and result_of(ended) < 99)
        assert pid in {one.pid for one in stoker.processes()}


@pytest.mark.parametrize(
    ("flow", "parameters"),
    [
        ("shout", {"lines": 1_000_000}),
        ("shout-below", {"megabytes": 100}),
        ("log", {"lines": 20_000}),
    ],
)
def test_a_log_is_cut_at_its_limit(stoker: Harness, flow: str, parameters: dict[str, Any]) -> None:
    with neighbour(stoker):
        ended = run(stoker, flow, {"max_log": 1}, **parameters)
        assert ended.state.type is StateType.COMPLETED, ended.state
    lines = stoker.logs(ended)
    assert lines[-1].message == "the log is cut here: it has reached the 1 MB of its max_log"
    assert all(set(line.message) == {"x"} for line in lines[:-1])
    assert 500_000 < sum(len(line.message) for line in lines) <= 1_000_000


def test_the_log_of_a_flow_within_is_cut_with_it(stoker: Harness) -> None:
    outer = run(stoker, "log", {"max_log": 0.1}, lines=2000)
    (inner,) = stoker.api.runs(parent=outer.id).runs
    (mark,) = stoker.logs(inner)
    assert mark.message.startswith("the log is cut here")


def test_a_log_within_its_limit_is_whole(stoker: Harness) -> None:
    assert len(stoker.logs(run(stoker, "log", {}, lines=2000))) == 2000


def runs_out(ended: FlowRun, limit: int) -> None:
    """Check that a run was ended for its memory, and says so."""
    assert (ended.state.type, ended.state.name) == (StateType.CRASHED, "OutOfMemory")
    found = re.fullmatch(
        r"ended by its host: its processes held (\d+) MB, and its max_memory is (\d+) MB",
        ended.state.message,
    )
    assert found is not None, ended.state.message
    assert int(found[1]) > int(found[2]) == limit


def test_a_run_that_takes_too_much_memory_is_ended_alone(stoker: Harness) -> None:
    with neighbour(stoker), Gate() as gate:
        variables = {"max_memory": 150}
        parameters = {"megabytes": 70, "gate": gate.path}
        order = StartRun(deployment="hold/test", parameters=parameters, job_variables=variables)
        modest = stoker.api.start_run(order)
        gate.wait()
        runs_out(run(stoker, "grow", variables), 150)
        gate.open()
        assert result_of(stoker.wait(modest)) == f"held {70 << 20}"


@pytest.mark.parametrize("how", ["programs", "forks"])
def test_what_a_run_starts_counts_with_it(stoker: Harness, how: str) -> None:
    with neighbour(stoker):
        runs_out(run(stoker, "grow-below", {"max_memory": 200}, how=how), 200)


def test_shared_memory_counts_once(stoker: Harness) -> None:
    with neighbour(stoker), Gate() as gate:
        parameters = {"megabytes": 100, "gate": gate.path}
        order = StartRun(
            deployment="share/test", parameters=parameters, job_variables={"max_memory": 200}
        )
        begun = stoker.api.start_run(order)
        gate.wait()
        # Another is ended meanwhile: so the first one was looked at.
        runs_out(run(stoker, "grow", {"max_memory": 100}), 100)
        gate.open()
        assert result_of(stoker.wait(begun)) == f"held {100 << 20}"


def test_a_timeout_ends_what_computes_in_c(stoker: Harness) -> None:
    with neighbour(stoker), Gate() as gate:
        begun = stoker.start("compute/test", {"gate": gate.path})
        gate.wait()
        gate.open()
        ended = stoker.wait(begun)
    assert (ended.state.type, ended.state.name) == (StateType.FAILED, "TimedOut")
    assert ended.state.message == "ended by its host at the end of its time limit of 0.5 s"


def test_a_cancel_ends_what_computes_in_c(stoker: Harness) -> None:
    with neighbour(stoker), Gate() as gate:
        begun = stoker.start("compute-for-ever/test", {"gate": gate.path})
        gate.wait()
        gate.open()
        stoker.api.cancel_run(begun.id)
        assert stoker.wait(begun).state.type is StateType.CANCELLED


def test_closed_streams_are_the_run_s_alone(stoker: Harness) -> None:
    with neighbour(stoker):
        ended = stoker.run("close-streams/test")
    assert result_of(ended) == "done"
    assert [line.message for line in stoker.logs(ended)] == ["still heard"]


@pytest.mark.parametrize(("number", "state"), [(9, "Crashed"), (15, "Cancelled")])
def test_signals_to_its_group_reach_itself_alone(stoker: Harness, number: int, state: str) -> None:
    with neighbour(stoker):
        ended = stoker.run("signal-own/test", {"number": number, "group": True})
    assert ended.state.name == state


@as_root
@pytest.mark.parametrize("number", [9, 15])
def test_signals_to_everybody_reach_nobody(stoker: Harness, number: int) -> None:
    with neighbour(stoker):
        assert stoker.value("signal-own/test", {"number": number, "group": False}) == "alive"


@pytest.mark.parametrize(
    ("how", "code", "state", "message"),
    [
        ("sys", 0, "Completed", ""),
        ("sys", 3, "Failed", "3"),
        ("sys", "text", "Failed", "text"),
        ("os", 0, "Crashed", "exit code 0"),
        ("os", 5, "Crashed", "exit code 5"),
    ],
)
def test_exits_end_the_run_alone(
    stoker: Harness, how: str, code: Any, state: str, message: str
) -> None:
    with neighbour(stoker):
        ended = stoker.run("leave/test", {"how": how, "code": code})
    assert ended.state.name == state
    assert message in ended.state.message


def test_an_exit_handler_that_hangs_holds_nobody_back(stoker: Harness) -> None:
    with neighbour(stoker):
        assert stoker.value("linger/test") == "done"


@as_root
def test_a_run_can_neither_signal_nor_read_others(stoker: Harness) -> None:
    with neighbour(stoker) as (pid, zygote):
        agent = agent_of(stoker)
        found = stoker.value("attack/test", {"others": [agent, pid]})
        assert found.keys() == {str(zygote), str(agent), str(pid)}
        for outcomes in found.values():
            assert outcomes == ["PermissionError"] * 7


@as_root
def test_a_run_has_a_user_of_its_own_with_root_s_rights_over_files(stoker: Harness) -> None:
    found = stoker.value("whoami/test")
    *ids, pid = found["ids"]
    assert ids == [FIRST + pid] * 3
    assert found["gids"] == list(os.getresgid())
    assert found["tmp"] == ids[0]
    assert found["reads"]
    assert found["lists"]
    assert found["own"]
    assert found["program"] == [str(ids[0]), "1", "1"], "what it starts is like it"
    assert (found["user"], found["home"]) == ("root", os.path.expanduser("~"))
    assert found["oom"] == 500


@as_root
def test_a_deployment_may_do_without(stoker: Harness) -> None:
    stoker.deploy(
        PROJECT / "neighbours.py", "whoami", name="root", job_variables={"own_user": False}
    )
    found = stoker.value("whoami/root")
    assert found["ids"][:3] == [0, 0, 0]


def test_a_private_working_directory_is_empty_and_cleared_away(stoker: Harness) -> None:
    for _ in range(2):
        ended = run(stoker, "place", {"private_working_dir": True})
        folder, content, tmp = result_of(ended)
        assert content == []
        assert os.path.dirname(folder) == tmp
        assert is_gone(tmp)
    assert result_of(run(stoker, "state-of-process", {}))[0] == str(PROJECT)


def test_resource_limits_are_the_run_s(stoker: Harness) -> None:
    before = stoker.value("limits/test")
    wanted = {"cpu": 100, "nofile": 64, "nproc": 50, "core": 0}
    found = result_of(run(stoker, "limits", {"rlimits": wanted}))
    assert found == {"cpu": (100, 101), "nofile": (64, 64), "nproc": (50, 50), "core": (0, 0)}
    assert stoker.value("limits/test") == before


@as_root
def test_a_run_has_a_bound_of_processes_in_any_case(stoker: Harness) -> None:
    assert stoker.value("limits/test")["nproc"][0] <= 4096


def test_a_limit_above_the_host_s_own_fails_the_run(stoker: Harness) -> None:
    ended = run(stoker, "limits", {"rlimits": {"nofile": 1 << 40}})
    assert ended.state.name == "Failed"
    assert f"the rlimit 'nofile' of {1 << 40} is above the " in ended.state.message


def test_the_end_of_processor_time_is_named(stoker: Harness) -> None:
    with neighbour(stoker):
        ended = run(stoker, "spend", {"rlimits": {"cpu": 1}})
    assert ended.state.name == "Crashed"
    assert "SIGXCPU (its rlimit of processor time)" in ended.state.message
