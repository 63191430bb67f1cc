"""Logs and prints of runs."""

import logging
import threading

import pytest

from stoker import flow, get_run_logger, task
from stoker.engine.context import MissingContext
from stoker.logging import RunHandler
from stoker.testing.recording import RecordingBackend


def own(backend: RecordingBackend) -> list[str]:
    """The lines of the user's, without those of the engine."""
    return [line.message for line in backend.lines() if not line.message.startswith("flow '")]


def test_lines_are_kept_in_order_with_level_logger_and_run(backend: RecordingBackend) -> None:
    @task
    def step():
        get_run_logger().warning("in %s", "task")

    @flow
    def run():
        get_run_logger().info("before")
        step()
        get_run_logger().error("after")

    run()
    lines = [line for line in backend.lines() if not line.message.startswith("flow '")]
    assert [(line.message, line.level, line.logger) for line in lines] == [
        ("before", logging.INFO, "stoker.flow_runs"),
        ("in task", logging.WARNING, "stoker.task_runs"),
        ("after", logging.ERROR, "stoker.flow_runs"),
    ]
    assert [line.task_run_id for line in lines] == [None, backend.task_runs()[0].id, None]


def test_lines_of_submitted_tasks_come_too(backend: RecordingBackend) -> None:
    @task
    def step(n):
        get_run_logger().info("step %d", n)

    @flow
    def run():
        step.map(range(3))

    run()
    assert sorted(own(backend)) == ["step 0", "step 1", "step 2"]


def test_a_logger_works_in_a_thread_of_the_users(backend: RecordingBackend) -> None:
    @flow
    def run():
        logger = get_run_logger()
        thread = threading.Thread(target=lambda: logger.info("from a thread"))
        thread.start()
        thread.join()

    run()
    assert own(backend) == ["from a thread"]


def test_lines_below_the_level_are_dropped(backend: RecordingBackend) -> None:
    @flow
    def run():
        get_run_logger().debug("too much")

    run()
    assert own(backend) == []


def test_exceptions_bring_their_traceback(backend: RecordingBackend) -> None:
    @flow
    def run():
        try:
            raise ValueError("no")
        except ValueError:
            get_run_logger().exception("it broke")

    run()
    (line,) = own(backend)
    assert line.startswith("it broke\nTraceback")
    assert line.endswith("ValueError: no")


def test_a_line_that_cannot_be_formatted_is_kept_all_the_same(
    backend: RecordingBackend,
) -> None:
    line = logging.LogRecord("stoker.flow_runs", 20, "", 0, "%d", ("text",), None)

    @flow
    def run():
        RunHandler().emit(line)

    run()
    assert "could not be formatted" in own(backend)[0]


def test_outside_of_a_run_there_is_no_run_logger() -> None:
    with pytest.raises(MissingContext, match="only inside a running flow"):
        get_run_logger()


def test_a_script_shows_its_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    @flow
    def run():
        get_run_logger().info("hello")

    run()
    shown = capsys.readouterr()
    assert shown.out == ""
    (begins, hello, ends) = shown.err.splitlines()
    assert "flow 'run' begins" in begins
    assert "| INFO    | flow run '" in hello
    assert hello.endswith("| hello")
    assert "flow 'run' is Completed" in ends


def test_prints_go_to_the_log_where_that_is_asked_for(
    backend: RecordingBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    @task
    def quiet():
        print("as the flow says")

    @task(log_prints=False)
    def loud():
        print("on the console")

    @flow(log_prints=True)
    def run():
        print("a", 1, sep="-")
        quiet()
        loud()

    run()
    print("outside")
    assert own(backend) == ["a-1", "as the flow says"]
    assert capsys.readouterr().out == "on the console\noutside\n"


def test_prints_elsewhere_stay_prints(
    backend: RecordingBackend, capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    @flow
    def without():
        print("plain")

    @flow(log_prints=True)
    def to_a_file():
        with open(tmp_path / "file", "w") as file:
            print("in a file", file=file)

    without()
    to_a_file()
    assert own(backend) == []
    assert capsys.readouterr().out == "plain\n"
    assert (tmp_path / "file").read_text() == "in a file\n"


def test_a_flow_inside_of_another_logs_prints_as_that_does(backend: RecordingBackend) -> None:
    def prints():
        print("said")

    inherits, silent = flow(name="inherits")(prints), flow(name="silent", log_prints=False)(prints)

    @flow(log_prints=True)
    def loud():
        inherits()
        silent()

    @flow
    def quiet():
        inherits()

    def said():
        return [line.message for line in backend.lines()].count("said")

    loud()
    assert said() == 1
    quiet()
    assert said() == 1
