"""What runs write arrives: in order, complete, within a second."""

import time

from stoker.testing import Gate, Harness


def test_everything_that_a_run_says_arrives_in_order(stoker: Harness) -> None:
    run = stoker.run("speak/test")
    lines = stoker.logs(run)
    said = [(line.logger, line.message) for line in lines if line.logger != "stoker.host"]
    expected: list[tuple[str, str]] = []
    for turn in range(3):
        expected += [
            ("stoker.flow_runs", f"logger {turn}"),
            ("stdout", f"print {turn}"),
            ("stderr", f"stderr {turn}"),
            ("stderr", f"logging {turn}"),
        ]
    assert said[: len(expected)] == expected
    helper = {("stdout", "from a subprocess"), ("stderr", "complaint")}
    end = ("stdout", "the end, without a line break")
    # A helper's two streams have no order among themselves.
    assert set(said[len(expected) : -1]) == helper
    assert said[-1] == end
    levels = {line.logger: line.level for line in lines}
    assert levels["stdout"] == 20
    assert levels["stderr"] == 40
    assert [line.id for line in lines] == sorted(line.id for line in lines)


def test_what_helper_processes_print_is_in_order_with_the_rest(stoker: Harness) -> None:
    """Several at once, so that the agent is late."""
    turns = 10
    words = ("print", "helper", "logger", "bytes", "stderr", "complaint")
    expected = [f"{turn} {word}" for turn in range(turns) for word in words]
    runs = [stoker.start("interleave/test", {"turns": turns}) for _ in range(8)]
    for run in runs:
        stoker.wait(run)
        assert [line.message for line in stoker.logs(run)] == expected


def test_prints_are_the_runs_log_where_the_flow_says_so(stoker: Harness) -> None:
    (line,) = stoker.logs(stoker.run("speak-by-prints/test"))
    assert (line.logger, line.message) == ("stoker.flow_runs", "printed")


def test_lines_are_at_the_server_within_a_second(stoker: Harness, gate: Gate) -> None:
    run = stoker.start("say-and-wait/test", {"gate": gate.path})
    for message in ("said", "logged"):
        line = stoker.await_log(run, lambda line: line.message == message)  # noqa: B023
        assert time.time() - line.at < 1.0
    gate.wait()
    assert not stoker.api.run(run.id).state.is_terminal, "they came while it ran"
    gate.open()
    stoker.wait(run)


def test_ten_thousand_lines_are_complete(stoker: Harness) -> None:
    run = stoker.run("chatter/test", {"lines": 10_000})
    lines = [line.message for line in stoker.logs(run)]
    assert lines == [f"line {number}" for number in range(10_000)]
