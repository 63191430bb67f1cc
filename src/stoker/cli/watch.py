"""Following a flow run on the terminal: its states and log lines as they come."""

import logging
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import click

from stoker.cli.output import millis_clock
from stoker.client.http import Api
from stoker.domain.errors import Unavailable
from stoker.domain.runs import FlowRun, StoredLogLine
from stoker.domain.states import StateRecord, StateType

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which the server may be away."""

COLOURS = {
    StateType.COMPLETED: "green",
    StateType.FAILED: "red",
    StateType.CRASHED: "red",
    StateType.CANCELLED: "yellow",
    StateType.CANCELLING: "yellow",
}


@contextmanager
def may_leave(run_id: str) -> Generator[None]:
    """Let Ctrl-C end the watching, and say that it does not end the run."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nThe flow run goes on. Cancel it: stoker flow-run cancel {run_id}", err=True)
        sys.exit(130)


def watch(api: Api, run_id: str) -> FlowRun:
    """Print a run's states and log lines until it is over, and return it."""
    after = states_seen = 0
    reason = None
    held = False
    hold = 0.0
    while True:
        # The run is read first: where it is over, what is read then is all there is.
        run = patiently(lambda: api.run(run_id))
        over = run.state.is_terminal
        wait = 0.0 if over else hold
        lines = patiently(partial(api.logs, run_id, after=after, wait=wait))
        states = patiently(lambda: api.run_states(run_id))
        shown: list[tuple[float, str]] = [(line.at, format_line(line)) for line in lines]
        shown += [(state.at, format_state(state)) for state in states[states_seen:]]
        # States that were entered at the same moment stay in order: the sort is stable.
        for _, text in sorted(shown, key=lambda entry: entry[0]):
            click.echo(text)
        if over and not lines:
            return run
        # The run was read before its states: it may have started since.
        started = bool(states) and (states[-1].is_terminal or states[-1].type is StateType.RUNNING)
        # A run that has a host starts in a moment, as a rule: then there is nothing to explain.
        soon = run.state.type is StateType.PENDING and not held
        if run.waiting_for and run.waiting_for != reason and not started and not soon:
            click.echo(f"{' ' * 12} | waits: {run.waiting_for}")
            reason = run.waiting_for
        held = run.state.type is StateType.PENDING
        states_seen = len(states)
        if lines:
            after = lines[-1].id
        # What a run waits for may change without a log line; once it runs there is one.
        hold = 30.0 if run.state.type is StateType.RUNNING else 1.0


def follow_logs(api: Api, run_id: str, show: Callable[[StoredLogLine], None]) -> None:
    """Show a run's log lines as they come, until it is over."""
    after = 0
    while True:
        over = patiently(lambda: api.run(run_id)).state.is_terminal
        hold = 0.0 if over else 30.0
        lines = patiently(partial(api.logs, run_id, after=after, wait=hold))
        for line in lines:
            show(line)
            after = line.id
        if over and not lines:
            return


def format_line(line: StoredLogLine) -> str:
    """A log line as the terminal shows it."""
    level = logging.getLevelName(line.level)
    return f"{millis_clock(line.at)} | {level:<8} | {line.logger} | {line.message}"


def format_state(state: StateRecord) -> str:
    """A state as the terminal shows it."""
    name = click.style(state.name, fg=COLOURS.get(state.type), bold=True)
    text = f"{millis_clock(state.at)} | {name}"
    return f"{text}: {state.message}" if state.message else text


def patiently(call: Callable[[], T]) -> T:
    """Call again while the server is away, which is said once on standard error."""
    deadline = None
    while True:
        try:
            return call()
        except Unavailable as error:
            now = time.monotonic()
            if deadline is None:
                deadline = now + PATIENCE
                click.echo(f"{error}; waiting for it", err=True)
            if now >= deadline:
                raise
            time.sleep(0.5)
