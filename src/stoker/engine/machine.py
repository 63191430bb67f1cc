"""The step machine: how a flow run and a task run are executed, written once.

A machine is a generator. It yields what it wants done (`stoker.engine.steps`) and gets the answer
sent or the error thrown; a driver does it, blocking or on an event loop. The machine does no
I/O and takes the time from a function that it is given, so that a test can play the driver.
"""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

from stoker.domain.reports import (
    AwaitingRetry,
    Finished,
    Report,
    Started,
    SubflowCreated,
    TaskRunChanged,
)
from stoker.domain.runs import FlowRun, TaskRun
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.engine import resolve
from stoker.engine.context import FlowContext, TaskContext
from stoker.engine.interrupts import RunCancelled, RunSuspended, RunTimeout
from stoker.engine.parameters import ParameterError
from stoker.engine.retries import RetryPolicy
from stoker.engine.slots import Claim, claim_of_tags
from stoker.engine.steps import (
    Call,
    Flush,
    GiveBack,
    Note,
    Outcome,
    Resolve,
    Settle,
    Sleep,
    Step,
    Steps,
    Take,
    Tell,
)

Now = Callable[[], float]
Hook = Callable[..., Any]
Conclude = Callable[[Any, float], Outcome]

MESSAGE_LIMIT = 1000
"""Characters of an exception's text in a state; its traceback is in the log, whole."""

NO_REPORTS: tuple[Report, ...] = ()


class Plan(Protocol):
    """What the decorators' options say of every run of a flow or task."""

    retries: RetryPolicy
    timeout: float | None
    retry_condition: Callable[..., Any] | None
    hooks: Mapping[StateType, Sequence[Hook]]


class Attempts(Protocol):
    """What differs between the attempts of a flow run and those of a task run."""

    subject: Any
    plan: Plan

    @property
    def what(self) -> str:
        """How messages name the run."""
        ...

    @property
    def context(self) -> FlowContext | TaskContext: ...

    def starting(self, at: float) -> tuple[Report, ...]:
        """What to report before the user's function is called."""
        ...

    def awaiting_retry(self, at: float, message: str) -> tuple[Report, ...]:
        """What to report before the delay of a retry."""
        ...

    def conclude(self, value: Any, at: float) -> Outcome:
        """Say how the run ends whose function returned ``value``."""
        ...


def one_line(error: BaseException) -> str:
    """Say what was raised, in one line.

    Example:
        >>> one_line(ValueError("no such\\nfile"))
        'ValueError: no such file'
    """
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(its text cannot be made)"
    name = type(error).__name__
    line = f"{name}: {text}" if text else name
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def failed(error: BaseException, at: float, what: str = "") -> Outcome:
    """Return how the run ``what`` ends in which ``error`` was raised."""
    if _ran_out(error, what):
        state = StateRecord(StateType.FAILED, "TimedOut", at, str(error))
    elif isinstance(error, resolve.UpstreamFailed):
        state = StateRecord(StateType.FAILED, "UpstreamFailed", at, str(error))
    elif isinstance(error, Exception):
        state = StateRecord(StateType.FAILED, "Failed", at, one_line(error))
    elif isinstance(error, SystemExit):
        state = _exited(error, at)
    elif isinstance(error, RunSuspended):
        state = StateRecord(StateType.PAUSED, "Suspended", at, str(error))
    elif isinstance(error, RunCancelled):
        state = StateRecord(StateType.CANCELLED, "Cancelled", at, str(error))
    elif isinstance(error, KeyboardInterrupt):
        state = StateRecord(StateType.CANCELLED, "Cancelled", at, "interrupted (Ctrl-C)")
    elif type(error).__name__ == "CancelledError":
        # asyncio's; it must not be imported for this.
        state = StateRecord(StateType.CANCELLED, "Cancelled", at, "cancelled")
    else:
        state = StateRecord(StateType.FAILED, "Failed", at, one_line(error))
    return Outcome(state, None, error)


def _ran_out(error: BaseException | None, what: str) -> bool:
    """Whether this run's own time was over, and not that of a run inside of it."""
    return isinstance(error, RunTimeout) and error.what == what


def _exited(error: SystemExit, at: float) -> StateRecord:
    if error.code is None or error.code == 0:
        return StateRecord(StateType.COMPLETED, "Completed", at, "it called sys.exit()")
    message = f"it called sys.exit({error.code!r}); raise an exception to say what failed"
    return StateRecord(StateType.FAILED, "Failed", at, message[:MESSAGE_LIMIT])


def completed(value: Any, at: float) -> Outcome:
    """Return how a run ends whose function returned ``value``."""
    if resolve.active():
        from stoker.engine.finality import final_outcome

        return final_outcome(value, at)
    return Outcome(StateRecord(StateType.COMPLETED, "Completed", at), value)


def attempts(run: Attempts, args: Any, kwargs: Any, function: Any, now: Now) -> Steps:
    """Call the user's function until it returns, or fails for good."""
    context = run.context
    plan = run.plan
    while True:
        context.run_count += 1
        hopeless = False
        claim: Claim | None = None
        try:
            if type(context) is TaskContext and context.tags and context.flow.id:
                claim = claim_of_tags(context.flow.backend, context.tags, context.name)
                if claim is not None:
                    yield Take(claim)
            reports = run.starting(now())
            if reports:
                yield Tell(reports)
            if plan.timeout is None:
                value = yield Call(function, args, kwargs)
            else:
                value = yield Call(function, args, kwargs, plan.timeout, run.what)
            if type(context) is FlowContext and context.pool is not None:
                yield Settle(context.pool)
                context.pool = None
            outcome = run.conclude(value, now())
            if type(run) is FlowAttempts and outcome.state.type is StateType.COMPLETED:
                # What cannot be kept would be no other after a retry.
                hopeless = True
                run.kept = yield Call(run.keep, (outcome,), {})
        except GeneratorExit:
            raise
        except BaseException as error:
            refused = None
            if type(context) is TaskContext and isinstance(error, (TypeError, ParameterError)):
                refused = _refusal(error, context, args, kwargs)
                hopeless = refused is not None
            outcome = failed(refused or error, now(), run.what)
        if claim is not None:
            # Before any delay of a retry: it is for those that execute.
            yield GiveBack(claim)
        if type(context) is FlowContext and context.pool is not None:
            yield from _let_go(run, context, outcome)
        state = outcome.state
        if state.type is StateType.COMPLETED:
            break
        error = outcome.error
        again = (
            context.run_count <= plan.retries.retries
            and not hopeless
            and state.type is StateType.FAILED
            and (error is None or isinstance(error, Exception))
        )
        if again and plan.retry_condition is not None:
            again = yield from _wanted(run, plan.retry_condition, outcome)
        yield from _explain(run, outcome, again)
        if not again:
            break
        delay = plan.retries.delay(context.run_count)
        yield Tell(run.awaiting_retry(now(), state.message))
        try:
            if delay:
                yield Sleep(delay, plan.retries.jitter)
        except BaseException as interruption:
            outcome = failed(interruption, now())
            break
        del error
    if plan.hooks:
        yield from _hooks(run, outcome)
    return outcome


def _refusal(
    error: Exception, context: TaskContext, args: Any, kwargs: Any
) -> ParameterError | None:
    """Return what is wrong with a call that the user's function did not take at all."""
    from stoker.engine.tracebacks import in_user_code

    if in_user_code(error):
        return None
    return context.signature.refusal(args, kwargs)


def _let_go(run: Attempts, context: FlowContext, outcome: Outcome) -> Generator[Step, Any, None]:
    """Of a flow that raised, let the tasks end that run, and begin no more."""
    pool, context.pool = context.pool, None
    if pool is not None:
        error = outcome.error
        hurry = not isinstance(error, Exception) or _ran_out(error, run.what)
        yield Settle(pool, cancel=True, abandon=hurry)


def _wanted(
    run: Attempts, condition: Callable[..., Any], outcome: Outcome
) -> Generator[Step, Any, bool]:
    from stoker.states import State

    arguments = (run.subject, run.context, State.of(outcome))
    try:
        return bool((yield Call(condition, arguments, {})))
    except Exception as error:
        yield Note(logging.ERROR, f"retry_condition_fn of {run.what} failed; no retry", error)
        return False


def _explain(run: Attempts, outcome: Outcome, again: bool) -> Generator[Step, Any, None]:
    flow = run.context.flow
    error = outcome.error
    known = error is None or error is flow.logged
    flow.logged = error
    text = f"{run.what} is {outcome.state.name}: {outcome.state.message}"
    level = logging.ERROR
    if outcome.state.type is StateType.CANCELLED:
        known, level = True, logging.WARNING
    elif outcome.state.type is StateType.PAUSED:
        known, level = True, logging.INFO
    if again:
        left = run.plan.retries.retries - run.context.run_count + 1
        text = f"{text}; {left} {'retry' if left == 1 else 'retries'} left"
        level = logging.WARNING
    yield Note(level, text, None if known else error)


def _hooks(run: Attempts, outcome: Outcome) -> Generator[Step, Any, None]:
    from stoker.states import State

    for hook in run.plan.hooks.get(outcome.state.type, ()):
        try:
            yield Call(hook, (run.subject, run.context, State.of(outcome)), {})
        except Exception as error:
            name = getattr(hook, "__name__", "hook")
            yield Note(logging.ERROR, f"hook {name} of {run.what} failed", error)


class TaskAttempts:
    """One task run."""

    __slots__ = ("context", "plan", "started", "subject")

    def __init__(self, subject: Any, plan: Plan, context: TaskContext) -> None:
        self.subject = subject
        self.plan = plan
        self.context = context
        self.started: float | None = None

    @property
    def what(self) -> str:
        return f"task run {self.context.name!r}"

    def starting(self, at: float) -> tuple[Report, ...]:
        if self.started is None:
            self.started = at
        return NO_REPORTS

    def awaiting_retry(self, at: float, message: str) -> tuple[Report, ...]:
        return self.now(StateRecord(StateType.RUNNING, "AwaitingRetry", at, message))

    def conclude(self, value: Any, at: float) -> Outcome:
        return completed(value, at)

    def now(self, state: StateRecord) -> tuple[Report, ...]:
        """Return the report that the task run is in this state now."""
        context = self.context
        record = TaskRun(
            id=context.id,
            flow_run_id=context.flow.id,
            task_name=context.task_name,
            name=context.name,
            state=state,
            run_count=context.run_count,
            started=self.started,
            ended=state.at if state.is_terminal else None,
        )
        return (TaskRunChanged(record),)


def task_steps(run: TaskAttempts, function: Any, now: Now, wait_for: Any = None) -> Steps:
    """Execute one task run."""
    context = run.context
    args, kwargs = context.args, context.kwargs
    if resolve.active():
        try:
            args, kwargs = yield Resolve(args, kwargs, wait_for)
        except GeneratorExit:
            raise
        except BaseException as error:
            outcome = failed(error, now())
            yield Tell(run.now(outcome.state))
            return outcome
        context.args, context.kwargs = args, kwargs
    outcome = yield from attempts(run, args, kwargs, function, now)
    yield Tell(run.now(outcome.state))
    return outcome


Keep = Callable[[Outcome], ResultRecord | None]
"""Serialises what a run leaves behind."""


class FlowAttempts:
    """One flow run.

    Attributes:
        keep: Serialises its result, which is part of its end: where that fails, so does the run.
        kept: The result of a run that completed.
        named: The name that the flow makes of its parameters; empty for none.
        created: The run's record to report first; None for a run that the server made.
    """

    __slots__ = ("context", "created", "keep", "kept", "named", "plan", "subject")

    def __init__(self, subject: Any, plan: Plan, context: FlowContext, keep: Keep) -> None:
        self.subject = subject
        self.plan = plan
        self.context = context
        self.keep = keep
        self.kept: ResultRecord | None = None
        self.named = ""
        self.created: FlowRun | None = None

    @property
    def what(self) -> str:
        return f"flow run {self.context.name!r} of {self.context.flow_name!r}"

    def starting(self, at: float) -> tuple[Report, ...]:
        started = Started(at, self.context.run_count, self.named)
        created = self.created
        if created is None:
            return (started,)
        self.created = None
        return (SubflowCreated(created), started)

    def awaiting_retry(self, at: float, message: str) -> tuple[Report, ...]:
        return (AwaitingRetry(at, message),)

    def conclude(self, value: Any, at: float) -> Outcome:
        return completed(value, at)

    def finished(self, outcome: Outcome) -> Finished:
        """Return the report that the run ended so."""
        kept = self.kept if outcome.error is None else self.keep(outcome)
        return Finished(outcome.state, kept)


def local_flow_steps(
    run: FlowAttempts, prepare: Callable[[Any, Any], Any], call: Any, now: Now
) -> Steps:
    """Execute a flow run that was called in this process, from its record to its end.

    Args:
        run: The run.
        prepare: Binds and validates the arguments, completes the run's record and returns
            ``(args, kwargs)``; raises `ParameterError`, which no run is made for.
        call: The function, its arguments and what it waits for.
        now: The time, in seconds since the epoch.
    """
    function, args, kwargs, wait_for = call
    context = run.context
    if resolve.active():
        args, kwargs = yield Resolve(args, kwargs, wait_for)
    args, kwargs = prepare(args, kwargs)
    told = context.top and context.console
    if told and run.created is not None:
        yield Tell((SubflowCreated(run.created),))
        run.created = None
        yield Note(logging.INFO, f"flow {context.flow_name!r} begins")
    outcome = yield from attempts(run, args, kwargs, function, now)
    if told:
        yield Note(logging.INFO, f"flow {context.flow_name!r} is {outcome.state.name}")
    yield Tell((run.finished(outcome),))
    if context.top:
        yield Flush()
    return outcome
