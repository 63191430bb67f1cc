"""The checker: a pure function from a history to the rules that it breaks."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from stoker.domain.states import TERMINAL, StateType
from stoker.testing.chaos.attempts import check_attempts, check_holds
from stoker.testing.chaos.concurrency import check_limits
from stoker.testing.chaos.history import Entry, History, Violation

LINE = re.compile(r"(\d+)/(\d+): line (\d+)")
"""A numbered line: attempt, call, number."""

WHOLE = frozenset({StateType.COMPLETED, StateType.FAILED})
"""Ends that a run reported itself: everything that it said before is there by then."""

Rule = Callable[[History], Iterator[Violation]]


def check(history: History) -> list[Violation]:
    """Return every violation of a history; empty for none.

    Example:
        >>> check(History(left=["lease of run r"]))[0].rule
        'something is left when all is quiet'
    """
    return [found for rule in RULES for found in rule(history)]


def _one_end(history: History) -> Iterator[Violation]:
    """Each accepted run has exactly one terminal state, and it is the last."""
    for run in history.runs.values():
        states = history.states.get(run.id, [])
        ends = [state for state in states if state in TERMINAL]
        if len(ends) != 1 or states[-1] != ends[0] or run.state != ends[0]:
            yield Violation(
                rule="an accepted run has not exactly one terminal state",
                run=run.id,
                evidence={"states": states, "state": run.state, "deployment": run.deployment},
            )


def _acknowledged(history: History) -> Iterator[Violation]:
    """What was acknowledged is there, and once."""
    by_key = Counter(run.key for run in history.runs.values() if run.key is not None)
    for asked in history.submissions:
        if not asked.run_id:
            continue
        run = history.runs.get(asked.run_id)
        if run is None or run.token != asked.token or run.key != asked.key:
            yield Violation(
                rule="an acknowledged submission is gone", run=asked.run_id, evidence=asked
            )
        if by_key[asked.key] > 1:
            yield Violation(rule="a submission was stored twice", run=asked.run_id, evidence=asked)
    for name, register in history.registers.items():
        stored = history.stored_registers.get(name, 0)
        if not register.acknowledged <= stored <= register.asked:
            yield Violation(
                rule="an acknowledged write is gone",
                evidence={"name": name, "written": register, "stored": stored},
            )
    for run_id in sorted(history.cancels):
        states = set(history.states.get(run_id, []))
        if not states & {StateType.CANCELLING, *TERMINAL}:
            yield Violation(
                rule="an acknowledged cancellation is gone", run=run_id, evidence=sorted(states)
            )


def _one_run_of_each(history: History) -> Iterator[Violation]:
    """What was asked for once is one run, also what a run asked for."""
    by_token: dict[str, list[str]] = defaultdict(list)
    for run in history.runs.values():
        by_token[run.token].append(run.id)
    for token, runs in by_token.items():
        if token and len(runs) > 1:
            yield Violation(
                rule="a submission was stored twice",
                run=runs[0],
                evidence={"token": token, "runs": runs},
            )


def _apart(history: History) -> Iterator[Violation]:
    """No two attempts of a run overlap, and no attempt has two processes."""
    by_run: dict[str, dict[tuple[int, int, int], list[Entry]]] = defaultdict(dict)
    for entry in history.ledger:
        process = entry.attempt, entry.pid, entry.started
        by_run[entry.run].setdefault(process, []).append(entry)
    for run_id, processes in by_run.items():
        attempts = Counter(attempt for attempt, _, _ in processes)
        spans = sorted(
            (min(e.at for e in one), max(e.at for e in one), key) for key, one in processes.items()
        )
        for attempt, count in attempts.items():
            if count > 1:
                yield Violation(
                    rule="an attempt of a run has executed twice",
                    run=run_id,
                    evidence={"attempt": attempt, "spans": spans},
                )
        latest = spans[0]
        for span in spans[1:]:
            if span[0] < latest[1]:
                yield Violation(
                    rule="two attempts of a run overlap", run=run_id, evidence=[latest, span]
                )
            latest = max(latest, span, key=lambda one: one[1])


def _not_beyond(history: History) -> Iterator[Violation]:
    """No run executes when it is over."""
    last: dict[str, Entry] = {}
    for entry in history.ledger:
        last[entry.run] = entry
    for run_id, entry in last.items():
        over = history.over_since.get(run_id)
        if over is not None and entry.at > over:
            yield Violation(
                rule="a run executes although it is over",
                run=run_id,
                evidence={"over since": over, "last line": entry},
            )


def _honest(history: History) -> Iterator[Violation]:
    """What completed has executed to its end, in the attempt that is said, with its result."""
    ended = {(one.run, one.attempt) for one in history.ledger if one.what == "end"}
    for run in history.runs.values():
        if run.state is StateType.COMPLETED and (
            (run.id, run.attempt) not in ended or run.result != run.token
        ):
            yield Violation(
                rule="a run that completed did not execute to its end, or has another's result",
                run=run.id,
                evidence=run,
            )


def _logs(history: History) -> Iterator[Violation]:
    """The log has no gap and no double.

    Of each call of each attempt it holds the first lines, each once and in order. Where the run
    has reported its end itself, calls of that attempt which the ledger says are over have all:
    only what a killed process had not handed on yet may be missing, and only at the end.
    """
    over = {
        (one.run, one.attempt, one.count) for one in history.ledger if one.what in ("end", "raised")
    }
    for run in history.runs.values():
        calls: dict[tuple[int, int], list[int]] = {}
        previous = (0, 0)
        broken = ""
        for message in history.logs.get(run.id, []):
            found = LINE.fullmatch(message)
            if found is None:
                continue
            attempt, count, number = map(int, found.groups())
            if (attempt, count) < previous:
                broken = f"{message!r} is out of order"
            previous = (attempt, count)
            numbers = calls.setdefault(previous, [])
            if number != len(numbers):
                broken = broken or f"{message!r} is there in place of line {len(numbers)}"
            numbers.append(number)
        for (attempt, count), numbers in calls.items() if run.state in WHOLE else ():
            told = (run.id, attempt, count) in over and attempt == run.attempt
            if told and len(numbers) != history.lines:
                broken = broken or f"{attempt}/{count} has {len(numbers)} of {history.lines} lines"
        if run.state in WHOLE and not broken:
            missing = {
                (attempt, count)
                for run_id, attempt, count in over
                if run_id == run.id and attempt == run.attempt and (attempt, count) not in calls
            }
            broken = f"nothing is there of {sorted(missing)}" if missing else ""
        if broken:
            lines = {f"{attempt}/{count}": numbers for (attempt, count), numbers in calls.items()}
            yield Violation(
                rule="the log of a run has a gap or a double",
                run=run.id,
                evidence={"problem": broken, "lines": lines, "state": run.state},
            )


def _occurrences(history: History) -> Iterator[Violation]:
    """Each occurrence of a schedule is one run."""
    for schedule, expected in history.occurrences.items():
        fired = Counter(history.fired.get(schedule, []))
        wrong = {
            at: fired[at] for at in {*expected, *fired} if fired[at] != 1 or at not in expected
        }
        if wrong:
            yield Violation(
                rule="an occurrence of a schedule was lost or doubled",
                evidence={"schedule": schedule, "runs by instant": wrong},
            )


def _nothing_left(history: History) -> Iterator[Violation]:
    for what in history.left:
        yield Violation(rule="something is left when all is quiet", evidence=what)


RULES: tuple[Rule, ...] = (
    _one_end,
    _acknowledged,
    _one_run_of_each,
    _apart,
    _not_beyond,
    _honest,
    check_attempts,
    check_holds,
    check_limits,
    _logs,
    _occurrences,
    _nothing_left,
)
"""All that must hold."""
