"""Logs are counted where they pass, and cut at their limit."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from stoker.domain.reports import Logged, Report
from stoker.domain.runs import LogLine
from stoker.host.agent.log_meter import LogMeter
from stoker.wire.pipe import LINE_COST


def lines(*messages: str) -> tuple[Raw, int]:
    """Reports of log lines, and what they count."""
    logged = Logged([LogLine(at=1.0, level=20, logger="l", message=one) for one in messages])
    size = sum(len(one) + LINE_COST for one in messages)
    return Raw(msgspec.msgpack.encode([logged])), size


def kept(meter: LogMeter, reports: tuple[Raw, int], run_id: str = "r") -> Any:
    """What comes through of some lines: their messages."""
    raw = meter.admit(run_id, *reports, 2.0)
    if raw is None:
        return None
    found = msgspec.msgpack.decode(raw, type=list[Report])
    return [line.message for report in found if isinstance(report, Logged) for line in report.lines]


MARK = "the log is cut here: it has reached the 0.0002 MB of its max_log"


def test_what_fits_passes_unread() -> None:
    garbage = Raw(b"not even msgpack")
    assert LogMeter(0.0002).admit("r", garbage, 200, 2.0) is garbage


def test_the_report_that_reaches_the_limit_is_cut_between_lines() -> None:
    meter = LogMeter(0.0002)
    assert kept(meter, lines("a" * 50)) == ["a" * 50]
    assert kept(meter, lines("b" * 50, "c" * 20, "d", "e" * 50)) == ["b" * 50, "c" * 20, MARK]
    assert meter.is_cut("r")
    assert kept(meter, lines("f")) is None


def test_each_run_of_the_process_has_its_mark() -> None:
    meter = LogMeter(0.0002)
    assert kept(meter, lines("a" * 500)) == [MARK]
    assert kept(meter, lines("b"), "inner") == [MARK]
    assert kept(meter, lines("c"), "inner") is None
    assert not meter.is_cut("another")


@pytest.mark.parametrize("text", ["", "a"])
def test_a_limit_of_nothing_keeps_nothing(text: str) -> None:
    (mark,) = kept(LogMeter(0), lines(text))
    assert mark == "the log is cut here: it has reached the 0 MB of its max_log"
