"""A script needs no server; its runs are seen by a server that is started later."""

from pathlib import Path

from stoker.testing import Harness, result_of

SCRIPT = """
from stoker import flow, get_run_logger, task

@task
def add(a: int, b: int) -> int:
    return a + b

@flow
def inner(n: int) -> int:
    get_run_logger().info("inner %d", n)
    return add(n, 1)

@flow(log_prints=True)
def outer() -> int:
    print("hello")
    return inner(1) + inner(2)

@flow
def failing():
    raise ValueError("no luck")

if __name__ == "__main__":
    print("value", outer())
    failing()
"""


def test_a_script_without_a_server(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with Harness(tmp_path / "home") as stoker:
        done = stoker.python("script.py", cwd=tmp_path, check=False)
        assert done.returncode == 1
        assert "value 5" in done.stdout
        assert "ValueError: no luck" in done.stderr

        stoker.start_server()
        runs = {run.id: run for run in stoker.api.runs().runs}
        names = sorted((run.flow_name, run.state.name) for run in runs.values())
        assert names == [
            ("failing", "Failed"),
            ("inner", "Completed"),
            ("inner", "Completed"),
            ("outer", "Completed"),
        ]
        (outer,) = [run for run in runs.values() if run.flow_name == "outer"]
        inner = [run for run in runs.values() if run.flow_name == "inner"]
        assert {run.parent_run_id for run in inner} == {outer.id}
        assert result_of(stoker.api.run(outer.id)) == 5
        assert "hello" in [line.message for line in stoker.logs(outer)]
        said = {line.message for run in inner for line in stoker.logs(run)}
        assert {"inner 1", "inner 2"} <= said
        assert [t.state.name for run in inner for t in stoker.api.task_runs(run.id)] == [
            "Completed"
        ] * 2


def test_a_script_beside_a_live_server_reports_through_it(stoker: Harness, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    stoker.python("script.py", cwd=tmp_path, check=False)
    (outer,) = stoker.api.runs(flow="outer").runs
    assert outer.state.name == "Completed"


def test_a_script_that_is_killed_ends_crashed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import os, signal\n"
        "from stoker import flow\n"
        "from stoker.engine import backends\n"
        "@flow\n"
        "def doomed():\n"
        "    backends.current().flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "doomed()\n"
    )
    with Harness(tmp_path / "home", settings={"sweep": 0.2}) as stoker:
        stoker.python("script.py", cwd=tmp_path, check=False)
        stoker.start_server()
        (run,) = stoker.api.runs().runs
        assert stoker.wait(run, 10).state.name == "Crashed"
