"""Reports cut to sizes that every part of the way takes: a run can say anything, of any length."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from stoker.domain.reports import Finished, Logged, Report, SubflowCreated, TaskRunChanged
from stoker.domain.runs import LogLine
from stoker.domain.states import StateRecord, StateType

LINE_LIMIT = 64 * 1024
"""Characters of a line at the most; a longer one is cut into several."""
LOT_LIMIT = 256 * 1024
"""Characters of log lines in one report, about."""
REPORT_LIMIT = 64 * 1024 * 1024
"""Bytes of an encoded report; a larger one is replaced. The server's own limit is 256 MB."""
TOP_LEVEL = 2**31 - 1
"""The highest level of a log line."""
ERROR = 40


def cut_text(text: str) -> list[str]:
    """Return the parts of a line, each of `LINE_LIMIT` characters at the most.

    Example:
        >>> [len(part) for part in cut_text("x" * 70_000)]
        [65536, 4464]
    """
    if len(text) <= LINE_LIMIT:
        return [text]
    return [text[start : start + LINE_LIMIT] for start in range(0, len(text), LINE_LIMIT)]


def is_sound(line: LogLine) -> bool:
    """Whether a line can travel as it is."""
    return 0 <= line.level <= TOP_LEVEL and len(line.message) <= LINE_LIMIT


def lots(reports: Sequence[Report]) -> Iterator[list[Report]]:
    """Yield reports in their order, in lots of a bounded size as far as they are log lines.

    Nothing of a line is lost; a level that no record holds becomes the nearest that one does.
    """
    lot: list[Report] = []
    size = 0
    for report in reports:
        if not isinstance(report, Logged):
            lot.append(report)
            continue
        lines: list[LogLine] = []
        for line in report.lines:
            for sound in [line] if is_sound(line) else mended(line):
                if size + len(sound.message) > LOT_LIMIT and (lines or lot):
                    yield [*lot, Logged(lines)] if lines else lot
                    lot, lines, size = [], [], 0
                lines.append(sound)
                size += len(sound.message)
        if lines:
            lot.append(Logged(lines))
    if lot:
        yield lot


def mended(line: LogLine) -> list[LogLine]:
    """Return lines that say the same and can travel."""
    level = min(max(line.level, 0), TOP_LEVEL)
    return [replace(line, level=level, message=part) for part in cut_text(line.message)]


def substitute(report: Report, size: int, now: float) -> list[Report]:
    """Return what to report in place of a report that is too large.

    Args:
        report: The report.
        size: Its bytes.
        now: Seconds since the epoch.
    """
    what = f"{size / 1e6:.0f} MB, more than the {REPORT_LIMIT / 1e6:.0f} MB that can be reported"
    match report:
        case Finished(state=state, result=result):
            if result is not None and state.type is StateType.COMPLETED:
                state = StateRecord(StateType.FAILED, "Failed", now, f"its result takes {what}")
            return [Finished(shortened(state))]
        case TaskRunChanged(task_run=task_run):
            return [TaskRunChanged(replace(task_run, state=shortened(task_run.state)))]
        case SubflowCreated(run=run):
            text = f"the parameters of flow run {run.name!r} are not kept: they take {what}"
            return [SubflowCreated(replace(run, parameters={})), note(text, now)]
        case _:
            return [note(f"a report ({type(report).__name__}) was left out: {what}", now)]


def note(text: str, now: float) -> Logged:
    """Return a line that says what could not be reported."""
    return Logged([LogLine(at=now, level=ERROR, logger="stoker", message=text)])


def shortened(state: StateRecord) -> StateRecord:
    """Return a state with the beginning of its message."""
    if len(state.message) <= LINE_LIMIT:
        return state
    rest = f" … ({len(state.message)} characters in all)"
    return replace(state, message=state.message[:LINE_LIMIT] + rest)


def readable(value: object) -> Any:
    """Return a value in plain types, with an escape for each character that UTF-8 does not have.

    Names of files that are not UTF-8 hold such, and are printed.

    Example:
        >>> readable(["a\\udc80"])
        ['a\\\\udc80']
    """
    return _escaped(msgspec.to_builtins(value, builtin_types=(bytes,)))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, list):
        return [_escaped(one) for one in cast(list[Any], value)]
    if isinstance(value, dict):
        return {_escaped(key): _escaped(one) for key, one in cast(dict[Any, Any], value).items()}
    return value
