"""What a run says over its pipe, of any size."""

import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest

from stoker.domain.errors import Invalid
from stoker.domain.reports import Finished, Logged, Report, SubflowCreated
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun, LogLine
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.host import cutting
from stoker.host.child.pipe import PipeBackend, receive_frame
from stoker.host.child.std_streams import LineWriter
from stoker.wire import pipe as wire


class Agent:
    """The other end: keeps the reports of each message."""

    def __init__(self) -> None:
        self.link, theirs = socket.socketpair()
        self.backend = PipeBackend(theirs, "r")
        self.backend._in_order = False
        self.messages: list[list[Report]] = []
        self.sizes: list[int] = []
        self._theirs = theirs
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while frame := receive_frame(self.link):
            self.sizes.append(len(frame[1]))
            self.messages.append(msgspec.msgpack.decode(frame[1], type=wire.ChildReport).reports)

    def end(self) -> list[Report]:
        """Close; return all reports."""
        self._theirs.close()
        self._thread.join(10)
        self.link.close()
        return [report for message in self.messages for report in message]

    def lines(self) -> list[LogLine]:
        return [
            line for report in self.end() if isinstance(report, Logged) for line in report.lines
        ]


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent()
    yield agent
    agent.end()


def line(message: str, level: int = 20) -> LogLine:
    return LogLine(at=1.0, level=level, logger="l", message=message)


def test_a_print_without_a_newline_is_cut(agent: Agent) -> None:
    writer = LineWriter(agent.backend, "r", "stdout", 1)
    text = "x" * (3 * cutting.LOT_LIMIT + 17)
    writer.write(text)
    writer.write("end\nnext")
    writer.release()
    lines = agent.lines()
    assert max(len(line.message) for line in lines) == cutting.LINE_LIMIT
    assert "".join(line.message for line in lines) == text + "endnext"
    assert lines[-1].message == "next"
    assert max(agent.sizes) < 2 * cutting.LOT_LIMIT


def test_a_long_message_of_a_logger_is_cut(agent: Agent) -> None:
    agent.backend.report("r", Logged([line("a"), line("b" * 200_000), line("c")]))
    lines = agent.lines()
    assert [len(line.message) for line in lines] == [1, 65_536, 65_536, 65_536, 3392, 1]


@pytest.mark.parametrize(("level", "kept"), [(-5, 0), (2**31, 2**31 - 1), (2**70, 2**31 - 1)])
def test_a_level_out_of_range_is_clamped(agent: Agent, level: int, kept: int) -> None:
    agent.backend.report("r", Logged([line("a", level)]))
    assert [line.level for line in agent.lines()] == [kept]


def test_a_report_that_is_too_large_leaves_a_note(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "REPORT_LIMIT", 100_000)
    state = StateRecord(StateType.COMPLETED, "Completed", 1.0)
    parameters = {"a": "x" * 200_000}
    run = FlowRun(id="s", name="sub", flow_name="f", state=state, parameters=parameters)
    agent.backend.report("s", SubflowCreated(run))
    agent.backend.finish(Finished(state, ResultRecord("json", b"x" * 200_000)))
    created, noted, finished = agent.end()
    assert isinstance(created, SubflowCreated)
    assert (created.run.id, created.run.parameters) == ("s", {})
    assert isinstance(noted, Logged)
    assert "parameters of flow run 'sub' are not kept" in noted.lines[0].message
    assert isinstance(finished, Finished)
    assert finished.state.type is StateType.FAILED
    assert "its result takes" in finished.state.message


def test_a_request_that_is_too_large_is_refused(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "REPORT_LIMIT", 100_000)
    with pytest.raises(Invalid, match="the request takes"):
        agent.backend.ask(StartRun(deployment="a/b", parameters={"a": "x" * 200_000}))


def test_a_fork_while_a_thread_writes(agent: Agent) -> None:
    agent.backend._writing.acquire()
    agent.backend._forget()
    reporting = threading.Thread(
        target=agent.backend.report, args=("r", Logged([line("a")])), daemon=True
    )
    reporting.start()
    reporting.join(5)
    assert not reporting.is_alive()
