"""Flows: what a user's workflow is to Stoker."""

import copy
import functools
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import MethodType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from stoker.domain.ids import new_id
from stoker.domain.names import readable_name
from stoker.domain.runs import FlowRun
from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.engine import backends, blocking
from stoker.engine.context import TAGS, FlowContext, current_flow
from stoker.engine.ending import ended, ended_later
from stoker.engine.machine import FlowAttempts, local_flow_steps
from stoker.engine.naming import NameMaker, made_name
from stoker.engine.options import (
    Hook,
    RunPlan,
    check_options,
    hooks_of,
    name_of,
    seconds_or_none,
    user_function,
)
from stoker.engine.parameters import Signature, written
from stoker.engine.retries import RetryDelay, retry_policy
from stoker.engine.steps import Outcome, Steps

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from stoker.domain.deployments import ConcurrencyLimitConfig, Deployment
    from stoker.domain.schedules import Schedule
    from stoker.states import State
    from stoker.task_runners import ThreadPoolTaskRunner

__all__ = ["Flow", "FlowOptions", "flow"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class FlowOptions(TypedDict, total=False):
    """Options of `flow`, of `Flow` and of `Flow.with_options`.

    Attributes:
        name: The flow's name; the function's by default, with ``-`` for ``_``.
        description: What it does; the function's docstring by default.
        version: A version, for people.
        flow_run_name: Name of its runs: a format string over the parameters, or a function.
        retries: How often a failed run is called again.
        retry_delay_seconds: Seconds before each retry; a list has one entry per retry.
        timeout_seconds: Seconds after which a call is ended by a `TimeoutError`.
        validate_parameters: Whether parameters are converted to their type hints, or refused.
            Hints with names that are not there when the flow runs are not looked at.
        log_prints: Whether ``print`` goes to the run's log; None: as the flow around it says.
        persist_result: Whether the result is kept for others. None: of deployed runs always,
            of runs in their caller's process where it is plain and small.
        task_runner: What runs the submitted tasks.
        on_completion: Hooks for a run that completed.
        on_failure: Hooks for a run that failed.
        on_cancellation: Hooks for a run that was cancelled.
    """

    name: str | None
    description: str | None
    version: str | None
    flow_run_name: NameMaker | None
    retries: int | None
    retry_delay_seconds: RetryDelay
    timeout_seconds: float | None
    validate_parameters: bool
    log_prints: bool | None
    persist_result: bool | None
    task_runner: "ThreadPoolTaskRunner | None"
    on_completion: Sequence[Hook] | None
    on_failure: Sequence[Hook] | None
    on_cancellation: Sequence[Hook] | None


class Flow(Generic[P, R_co]):
    """A function whose calls are recorded as flow runs.

    Called inside another flow it runs in the same process, as a run of its own whose parent is
    that flow's run.

    Args:
        fn: The function, ordinary or a coroutine function.
        options: See `FlowOptions`.

    Raises:
        TypeError: An option is unknown, or ``fn`` is no function.
        ValueError: An option's value is impossible.
    """

    def __init__(self, fn: Callable[P, R_co], **options: Unpack[FlowOptions]) -> None:
        check_options("flow", options, FlowOptions.__annotations__)
        self.options = options
        self.fn, self.is_async, self._static = user_function("flow", fn)
        functools.update_wrapper(cast(Any, self), self.fn)
        self.name = options.get("name") or name_of(self.fn).replace("_", "-")
        if "/" in self.name:
            raise ValueError(f"a flow's name must not have a '/' in it: {self.name!r}")
        self.description = options.get("description") or getattr(self.fn, "__doc__", None)
        self.version = options.get("version")
        self.flow_run_name = options.get("flow_run_name")
        self.validates = options.get("validate_parameters", True)
        self.log_prints = options.get("log_prints")
        self.persist_result = options.get("persist_result")
        self.task_runner = options.get("task_runner")
        if self.log_prints:
            from stoker.logging import capture_prints

            capture_prints()
        self.signature = Signature(self.fn, f"flow {self.name!r}")
        self.timeout = seconds_or_none(options.get("timeout_seconds"), "timeout_seconds")
        self.plan = RunPlan(
            retry_policy(options.get("retries"), options.get("retry_delay_seconds")),
            self.timeout,
            None,
            hooks_of(options),
        )

    def with_options(self, **options: Unpack[FlowOptions]) -> "Flow[P, R_co]":
        """Return a copy with some options changed.

        Example:
            ```python
            nightly = etl.with_options(name="etl-nightly", retries=2)
            ```
        """
        return Flow(self.fn, **{**self.options, **options})

    def __get__(self, instance: Any, owner: type | None = None) -> "Flow[..., R_co]":
        """Bind the flow of a method to its instance, as Python does with functions."""
        if instance is None or self._static:
            return self
        bound = copy.copy(self)
        bound.fn = MethodType(self.fn, instance)
        bound.signature = Signature(bound.fn, self.signature.name)
        return cast("Flow[..., R_co]", bound)

    @overload
    def __call__(
        self: "Flow[P, NoReturn]", *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Any: ...
    @overload
    def __call__(
        self: "Flow[P, Coroutine[Any, Any, T]]",
        *args: Any,
        return_state: Literal[True],
        **kwargs: Any,
    ) -> "Coroutine[Any, Any, State[T]]": ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> "State[R_co]": ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, *args: Any, wait_for: Iterable[Any], **kwargs: Any) -> R_co: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow in this process, and return what its function returns.

        Where the function returns a `State` or a future, that is how the run ends; where it
        returns a list of them, the run fails if one of them did not complete. The run does not
        end before the tasks that it submitted.

        Args:
            args: For the function.
            kwargs: For the function; and ``return_state=True`` to get the final `State` in place
                of the value, ``wait_for=[...]`` to wait for futures first.

        Raises:
            ParameterError: The parameters are wrong; no run is made then.
            Exception: What the function raised in its last attempt.
        """
        return_state, wait_for = False, None
        if kwargs:
            return_state = kwargs.pop("return_state", False)
            wait_for = kwargs.pop("wait_for", None)
        context, steps = self._begin((self.fn, args, kwargs, wait_for))
        if self.is_async:
            return ended_later(steps, context, return_state)
        return ended(blocking.drive(steps, context), return_state)

    def _begin(self, call: tuple[Any, ...]) -> tuple[FlowContext, Steps]:
        outer = current_flow()
        parent = outer if outer is not None and outer.id else None
        backend = backends.current() if parent is None else parent.backend
        at = time.time()
        context = FlowContext(
            id=new_id(at),
            name=readable_name(),
            flow_name=self.name,
            backend=backend,
            parent=None if parent is None else parent.id,
            tags=sorted(TAGS.get()),
            console=parent is None or parent.console,
            top=parent is None,
            is_async=self.is_async,
            log_prints=self.logs_prints(parent),
            task_runner=self.task_runner,
        )
        keep = functools.partial(self.keep, context.id, local=True)
        run = FlowAttempts(self, self.plan, context, keep)

        def prepare(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
            parameters = self.accept(run, args, kwargs)
            run.created = FlowRun(
                id=context.id,
                name=context.name,
                flow_name=self.name,
                state=StateRecord(StateType.RUNNING, "Running", at),
                attempt=1,
                parameters=written(parameters) if parameters else {},
                tags=context.tags,
                parent_run_id=context.parent,
                timeout=self.timeout,
                created=at,
            )
            return self.signature.arguments(parameters) if parameters else ((), {})

        return context, local_flow_steps(run, prepare, call, time.time)

    def logs_prints(self, parent: FlowContext | None) -> bool:
        """Whether ``print`` goes to the log of a run whose parent in this process is given."""
        if self.log_prints is None:
            return parent is not None and parent.log_prints
        return self.log_prints

    def accept(
        self, run: FlowAttempts, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Bind and validate a run's arguments, and name the run after them.

        Raises:
            ParameterError: They are wrong.
        """
        parameters = self.signature.bind(args, kwargs)
        if self.validates:
            parameters = self.signature.validate(parameters)
        context = run.context
        context.parameters = parameters
        if self.flow_run_name is not None:
            run.named = made_name(self.flow_run_name, parameters, "flow_run_name")
            context.name = run.named
        return parameters

    def keep(self, run_id: str, outcome: Outcome, *, local: bool) -> ResultRecord | None:
        """Serialise how a run ended; see `stoker.results.kept`."""
        from stoker.results import kept

        return kept(outcome.value, outcome.failure(), run_id, self.persist_result, local=local)

    def deploy(
        self,
        name: str,
        work_pool_name: str = "default",
        *,
        work_queue_name: str = "default",
        parameters: dict[str, Any] | None = None,
        job_variables: dict[str, Any] | None = None,
        tags: Iterable[str] = (),
        isolation: str = "fork",
        concurrency_limit: "int | ConcurrencyLimitConfig | None" = None,
        crash_retries: int = 0,
        crash_retry_delay: "timedelta | float" = 0.0,
        project: "str | Path | None" = None,
        cron: "str | Iterable[str] | None" = None,
        interval: "timedelta | float | Iterable[timedelta | float] | None" = None,
        rrule: "str | Iterable[str] | None" = None,
        schedule: "Schedule | None" = None,
        schedules: "Iterable[Schedule] | None" = None,
    ) -> "Deployment":
        """Create or replace the deployment ``"flow/name"`` of this flow.

        Args:
            name: The deployment's own name.
            work_pool_name: Work pool on which its runs start.
            work_queue_name: Queue of that pool.
            parameters: Defaults for its runs.
            job_variables: What it sets of the pool's base job template, for example ``env``.
            tags: Labels that its runs carry.
            isolation: ``"fork"``: each run has a process of its own; ``"host"``: a host of its
                own, launched ahead, used once.
            concurrency_limit: Runs at a time; others wait. With a
                `stoker.deployments.ConcurrencyLimitConfig` they can be cancelled instead.
            crash_retries: How often a run is queued again whose process died, or its host: it is
                called from the start. One that raised, or ran out of memory, is not.
            crash_retry_delay: Seconds, or a `timedelta`, until it may begin again.
            project: The folder that is first on ``sys.path`` and the working directory of its
                runs; see `stoker.deployments.project_of` for the default.
            cron: When it is run by itself: one or more cron expressions, in UTC.
            interval: Or seconds, or a `timedelta`, between two runs.
            rrule: Or recurrence rules of RFC 5545.
            schedule: Or what `stoker.schedules` makes of these, with a time zone and parameters.
            schedules: Several of them. Where none of the five is given, the schedules that the
                deployment has stay as they are; ``[]`` removes them.

        Raises:
            Invalid: The flow cannot be found again by its file and name, or a number is
                impossible; says why.
            NotFound: There is no such work pool.
        """
        from stoker.engine import describing

        deployment = describing.describe(
            self,
            name,
            pool=work_pool_name,
            queue=work_queue_name,
            parameters=parameters,
            job_variables=job_variables,
            tags=tags,
            isolation=isolation,
            project=project,
            schedules=_schedules(cron, interval, rrule, schedule, schedules),
        )
        describing.limited(deployment, concurrency_limit)
        return describing.put(describing.again(deployment, crash_retries, crash_retry_delay))

    def to_deployment(
        self,
        name: str | None = None,
        *,
        parameters: dict[str, Any] | None = None,
        description: str | None = None,
        tags: Iterable[str] = (),
        job_variables: dict[str, Any] | None = None,
        isolation: str = "fork",
        concurrency_limit: "int | ConcurrencyLimitConfig | None" = None,
        crash_retries: int = 0,
        crash_retry_delay: "timedelta | float" = 0.0,
        project: "str | Path | None" = None,
        cron: "str | Iterable[str] | None" = None,
        interval: "timedelta | float | Iterable[timedelta | float] | None" = None,
        rrule: "str | Iterable[str] | None" = None,
        schedule: "Schedule | None" = None,
        schedules: "Iterable[Schedule] | None" = None,
    ) -> "Deployment":
        """Describe the deployment ``"flow/name"`` of this flow, for `stoker.serve`.

        Args:
            name: The deployment's own name; the flow's by default. Of the path of a Python file
                (``__file__``) it is the last part, without ``.py``.
            parameters: Defaults for its runs.
            description: What it is for; the flow's by default.
            tags: Labels that its runs carry.
            job_variables: What it sets of the base job template, for example ``env``.
            isolation: ``"fork"`` or ``"host"``; see `deploy`.
            concurrency_limit: Runs at a time; see `deploy`.
            crash_retries: How often a run is queued again that crashed; see `deploy`.
            crash_retry_delay: Seconds, or a `timedelta`, until it may begin again.
            project: The folder that is first on ``sys.path`` and the working directory of its
                runs; see `stoker.deployments.project_of` for the default.
            cron: When it is run by itself: one or more cron expressions, in UTC.
            interval: Or seconds, or a `timedelta`, between two runs.
            rrule: Or recurrence rules of RFC 5545.
            schedule: Or what `stoker.schedules` makes of these, with a time zone and parameters.
            schedules: Several of them. Where none of the five is given, the schedules that the
                deployment has stay as they are; ``[]`` removes them.

        Raises:
            Invalid: The flow cannot be found again by its file and name, or a number is
                impossible; says why.
        """
        from stoker.engine import describing

        deployment = describing.describe(
            self,
            self.name if name is None else os.path.basename(name).removesuffix(".py"),
            parameters=parameters,
            description=description,
            tags=tags,
            job_variables=job_variables,
            isolation=isolation,
            project=project,
            schedules=_schedules(cron, interval, rrule, schedule, schedules),
        )
        describing.limited(deployment, concurrency_limit)
        return describing.again(deployment, crash_retries, crash_retry_delay)

    def serve(
        self,
        name: str | None = None,
        *,
        parameters: dict[str, Any] | None = None,
        description: str | None = None,
        tags: Iterable[str] = (),
        job_variables: dict[str, Any] | None = None,
        isolation: str = "fork",
        concurrency_limit: "int | ConcurrencyLimitConfig | None" = None,
        crash_retries: int = 0,
        crash_retry_delay: "timedelta | float" = 0.0,
        project: "str | Path | None" = None,
        cron: "str | Iterable[str] | None" = None,
        interval: "timedelta | float | Iterable[timedelta | float] | None" = None,
        rrule: "str | Iterable[str] | None" = None,
        schedule: "Schedule | None" = None,
        schedules: "Iterable[Schedule] | None" = None,
        limit: int | None = None,
        pause_on_shutdown: bool = True,
        print_starting_message: bool = True,
    ) -> None:
        """Serve the deployment ``"flow/name"`` of this flow until Ctrl-C or SIGTERM.

        See `stoker.serve`, and `to_deployment` for the other parameters.

        Args:
            name: The deployment's own name; the flow's by default.
            parameters: Defaults for its runs.
            description: What it is for; the flow's by default.
            tags: Labels that its runs carry.
            job_variables: What it sets of the base job template, for example ``env``.
            isolation: ``"fork"`` or ``"host"``; see `deploy`.
            concurrency_limit: Runs at a time; see `deploy`.
            crash_retries: How often a run is queued again that crashed; see `deploy`.
            crash_retry_delay: Seconds, or a `timedelta`, until it may begin again.
            project: The folder that its runs import from, and where they start.
            cron: When it is run by itself: one or more cron expressions, in UTC.
            interval: Or seconds, or a `timedelta`, between two runs.
            rrule: Or recurrence rules of RFC 5545.
            schedule: Or what `stoker.schedules` makes of these, with a time zone and parameters.
            schedules: Several of them. Where none of the five is given, the schedules that the
                deployment has stay as they are; ``[]`` removes them.
            limit: Runs at a time.
            pause_on_shutdown: Whether its schedules are paused when this ends.
            print_starting_message: Whether to say how runs are started, once it serves.

        Example:
            ```python
            if __name__ == "__main__":
                etl.serve("nightly", parameters={"day": "today"})
            ```
        """
        from stoker.serving import serve

        deployment = self.to_deployment(
            name,
            parameters=parameters,
            description=description,
            tags=tags,
            job_variables=job_variables,
            isolation=isolation,
            concurrency_limit=concurrency_limit,
            crash_retries=crash_retries,
            crash_retry_delay=crash_retry_delay,
            project=project,
            cron=cron,
            interval=interval,
            rrule=rrule,
            schedule=schedule,
            schedules=schedules,
        )
        serve(
            deployment,
            limit=limit,
            pause_on_shutdown=pause_on_shutdown,
            print_starting_message=print_starting_message,
        )


def _schedules(*given: Any) -> "list[Schedule] | None":
    if all(one is None for one in given):
        return None
    from stoker.schedules import schedules_of

    return schedules_of(*given)


@overload
def flow(fn: Callable[P, R_co], /) -> Flow[P, R_co]: ...
@overload
def flow(**options: Unpack[FlowOptions]) -> Callable[[Callable[P, R_co]], Flow[P, R_co]]: ...
def flow(fn: Any = None, /, **options: Unpack[FlowOptions]) -> Any:
    """Make a function a flow, with or without options.

    Args:
        fn: The function, where it is used without parentheses.
        options: See `FlowOptions`.

    Example:
        ```python
        @flow(retries=2, log_prints=True)
        def etl(day: date) -> int: ...
        ```
    """

    def decorate(function: Callable[P, R_co]) -> Flow[P, R_co]:
        return Flow(function, **options)

    return decorate if fn is None else decorate(fn)
