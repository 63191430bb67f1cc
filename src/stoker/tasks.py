"""Tasks: the steps of a flow, each recorded, retried and timed by itself."""

import copy
import functools
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
from stoker.engine import blocking
from stoker.engine.backends import NULL
from stoker.engine.context import CURRENT, TAGS, FlowContext, MissingContext, TaskContext
from stoker.engine.ending import ended, ended_later
from stoker.engine.interrupts import shielded
from stoker.engine.machine import TaskAttempts, task_steps
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
from stoker.engine.parameters import ParameterError, Signature
from stoker.engine.retries import RetryDelay, retry_policy
from stoker.engine.steps import Steps

if TYPE_CHECKING:
    from stoker.futures import Future, FutureList
    from stoker.states import State

__all__ = ["Task", "TaskOptions", "exponential_backoff", "task"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class TaskOptions(TypedDict, total=False):
    """Options of `task`, of `Task` and of `Task.with_options`.

    Attributes:
        name: The task's name; the function's by default.
        description: What it does; the function's docstring by default.
        version: A version, for people.
        tags: Labels.
        task_run_name: Name of its runs: a format string over the parameters, or a function.
        retries: How often a failed run is called again.
        retry_delay_seconds: Seconds before each retry; a list has one entry per retry.
        retry_jitter_factor: A random part of this many times the delay is added.
        retry_condition_fn: Called with the task, its run and its state; False: no retry.
        timeout_seconds: Seconds after which a call is ended by a `TimeoutError`.
        log_prints: Whether ``print`` goes to the log; None: as the flow says.
        persist_result: Accepted; results of tasks stay in the flow's process.
        on_completion: Hooks for a run that completed.
        on_failure: Hooks for a run that failed.
    """

    name: str | None
    description: str | None
    version: str | None
    tags: Iterable[str] | None
    task_run_name: NameMaker | None
    retries: int | None
    retry_delay_seconds: RetryDelay
    retry_jitter_factor: float | None
    retry_condition_fn: Callable[..., Any] | None
    timeout_seconds: float | None
    log_prints: bool | None
    persist_result: bool | None
    on_completion: Sequence[Hook] | None
    on_failure: Sequence[Hook] | None


class Task(Generic[P, R_co]):
    """A function whose calls inside a flow are recorded as task runs.

    Outside of any flow it can be called too, with its retries and its time limit; nothing is
    recorded then.

    Args:
        fn: The function, ordinary or a coroutine function.
        options: See `TaskOptions`.

    Raises:
        TypeError: An option is unknown, or ``fn`` is no function.
        ValueError: An option's value is impossible.
    """

    def __init__(self, fn: Callable[P, R_co], **options: Unpack[TaskOptions]) -> None:
        check_options("task", options, TaskOptions.__annotations__)
        self.options = options
        self.fn, self.is_async, self._static = user_function("task", fn)
        functools.update_wrapper(cast(Any, self), self.fn)
        self.name = options.get("name") or name_of(self.fn)
        self.description = options.get("description") or getattr(self.fn, "__doc__", None)
        self.version = options.get("version")
        self.tags = sorted(set(options.get("tags") or ()))
        self.task_run_name = options.get("task_run_name")
        self.log_prints = options.get("log_prints")
        if self.log_prints:
            _capture_prints()
        self.signature = Signature(self.fn, f"task {self.name!r}")
        self.plan = RunPlan(
            retry_policy(
                options.get("retries"),
                options.get("retry_delay_seconds"),
                options.get("retry_jitter_factor"),
            ),
            seconds_or_none(options.get("timeout_seconds"), "timeout_seconds"),
            options.get("retry_condition_fn"),
            hooks_of(options),
        )

    def with_options(self, **options: Unpack[TaskOptions]) -> "Task[P, R_co]":
        """Return a copy with some options changed.

        Example:
            ```python
            careful = fetch.with_options(retries=5, retry_delay_seconds=10)
            ```
        """
        return Task(self.fn, **{**self.options, **options})

    def __get__(self, instance: Any, owner: type | None = None) -> "Task[..., R_co]":
        """Bind the task of a method to its instance, as Python does with functions."""
        if instance is None or self._static:
            return self
        bound = copy.copy(self)
        bound.fn = MethodType(self.fn, instance)
        bound.signature = Signature(bound.fn, self.signature.name)
        return cast("Task[..., R_co]", bound)

    @overload
    def __call__(
        self: "Task[P, NoReturn]", *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Any: ...
    @overload
    def __call__(
        self: "Task[P, Coroutine[Any, Any, T]]",
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
        """Run the task here, and return what its function returns.

        Futures and states among the arguments, also inside of lists, tuples, sets and
        dictionaries, are replaced by their values.

        Args:
            args: For the function.
            kwargs: For the function; and ``return_state=True`` to get the final `State` in place
                of the value, ``wait_for=[...]`` to wait for futures first.

        Raises:
            ParameterError: The function does not take these arguments; it is not tried again.
            Exception: What the function raised in its last attempt.
            UpstreamFailed: An argument stands for a run that did not complete.
        """
        return_state, wait_for = False, None
        if kwargs:
            return_state = kwargs.pop("return_state", False)
            wait_for = kwargs.pop("wait_for", None)
        outer = CURRENT.get()
        flow = _detached() if outer is None else outer.flow
        context = self._context(flow, args, kwargs)
        steps = self._steps(context, wait_for)
        if self.is_async:
            return ended_later(steps, context, return_state)
        return ended(blocking.drive(steps, context), return_state)

    @overload
    def submit(
        self: "Task[P, Coroutine[Any, Any, T]]",
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "State[T]": ...
    @overload
    def submit(
        self,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "State[R_co]": ...
    @overload
    def submit(
        self: "Task[P, Coroutine[Any, Any, T]]",
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "Future[T]": ...
    @overload
    def submit(
        self,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "Future[R_co]": ...
    def submit(
        self,
        *args: Any,
        return_state: bool = False,
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "Future[Any] | State[Any]":
        """Run the task beside the flow, in the flow's task runner.

        It begins once the futures among its arguments and in ``wait_for`` are done. The flow
        does not end before it.

        Args:
            args: For the function.
            return_state: Wait for the task run, and return its final `State`.
            wait_for: What it waits for besides.
            kwargs: For the function.

        Raises:
            MissingContext: No flow is running here.
            ParameterError: The function does not take these arguments.

        Example:
            ```python
            both = add.submit(one.submit(), two.submit()).result()
            ```
        """
        flow = self._flow_for("submit")
        future = self._submit(flow, args, kwargs, wait_for)
        return future.wait().state if return_state else future

    @overload
    def map(
        self: "Task[P, Coroutine[Any, Any, T]]",
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "list[State[T]]": ...
    @overload
    def map(
        self,
        *args: Any,
        return_state: Literal[True],
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "list[State[R_co]]": ...
    @overload
    def map(
        self: "Task[P, Coroutine[Any, Any, T]]",
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "FutureList[T]": ...
    @overload
    def map(
        self,
        *args: Any,
        return_state: Literal[False] = False,
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "FutureList[R_co]": ...
    def map(
        self,
        *args: Any,
        return_state: bool = False,
        wait_for: Iterable[Any] | None = None,
        **kwargs: Any,
    ) -> "FutureList[Any] | list[State[Any]]":
        """Submit the task once per element of its arguments.

        Arguments that are iterable, texts excepted, are taken element by element, and must have
        the same length; all others, and those wrapped in `unmapped`, go to every run.

        Args:
            args: For the function.
            return_state: Wait for all task runs, and return their final `State`s.
            wait_for: What each waits for besides.
            kwargs: For the function.

        Raises:
            ParameterError: No argument is iterable, their lengths differ, or the function does
                not take them.
            MissingContext: No flow is running here.

        Example:
            ```python
            totals = add.map([1, 2, 3], 10).result()
            ```
        """
        from stoker.futures import FutureList

        flow = self._flow_for("map")
        named = {**dict(enumerate(args)), **kwargs}
        columns = {key: _column(value) for key, value in named.items()}
        lengths = {key: len(column) for key, column in columns.items() if column is not None}
        if not lengths:
            raise ParameterError(
                f"{self.name}.map() needs an argument to go through, for example a list"
            )
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{_told(key)} has {length}" for key, length in lengths.items())
            raise ParameterError(f"{self.name}.map() needs lists of one length: {told}")
        futures: list[Future[Any]] = []
        for index in range(next(iter(lengths.values()))):
            row = {
                key: named[key] if column is None else column[index]
                for key, column in columns.items()
            }
            positional = tuple(row.pop(place) for place in range(len(args)))
            futures.append(self._submit(flow, positional, cast("dict[str, Any]", row), wait_for))
        if return_state:
            return [future.wait().state for future in futures]
        return FutureList(futures)

    def _flow_for(self, method: str) -> FlowContext:
        outer = CURRENT.get()
        if outer is None or not outer.flow.id:
            raise MissingContext(
                f"{self.name}.{method}() needs a running flow; call it inside a function with @flow"
            )
        return outer.flow

    def _context(
        self, flow: FlowContext, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> TaskContext:
        name = self.name
        log_prints = self.log_prints
        return TaskContext(
            new_id(time.time()),
            f"{name}-{flow.number(name)}",
            name,
            flow,
            sorted({*self.tags, *given}) if (given := TAGS.get()) else self.tags,
            args,
            kwargs,
            self.signature,
            self.is_async,
            flow.log_prints if log_prints is None else log_prints,
        )

    def _steps(self, context: TaskContext, wait_for: Any) -> Steps:
        run = TaskAttempts(self, self.plan, context)
        function = self.fn
        if self.task_run_name is not None:
            maker = self.task_run_name

            def named(*args: Any, **kwargs: Any) -> Any:
                parameters = self.signature.bind(args, kwargs)
                context.name = made_name(maker, parameters, "task_run_name")
                return self.fn(*args, **kwargs)

            function = named
        return task_steps(run, function, time.time, wait_for)

    @shielded
    def _submit(
        self, flow: FlowContext, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any
    ) -> "Future[Any]":
        from stoker.engine.submitting import pool_of, submit

        refused = self.signature.refusal(args, kwargs)
        if refused is not None:
            raise refused
        pool = pool_of(flow)
        context = self._context(flow, args, kwargs)
        wait_for = None if wait_for is None else list(wait_for)
        steps = self._steps(context, wait_for)
        return submit(steps, context, pool, (args, kwargs, wait_for), is_async=self.is_async)


def _detached() -> FlowContext:
    return FlowContext(id="", name="", flow_name="", backend=NULL, console=True)


def _capture_prints() -> None:
    from stoker.logging import capture_prints

    capture_prints()


def _column(value: Any) -> list[Any] | None:
    from stoker.futures import Future, unmapped

    if isinstance(value, unmapped):
        return None
    if isinstance(value, Future):
        value = cast("Future[Any]", value).result()
    if isinstance(value, (str, bytes, bytearray)) or not hasattr(value, "__iter__"):
        return None
    return list(cast("Iterable[Any]", value))


def _told(key: int | str) -> str:
    return f"argument {key + 1}" if isinstance(key, int) else key


@overload
def task(fn: Callable[P, R_co], /) -> Task[P, R_co]: ...
@overload
def task(**options: Unpack[TaskOptions]) -> Callable[[Callable[P, R_co]], Task[P, R_co]]: ...
def task(fn: Any = None, /, **options: Unpack[TaskOptions]) -> Any:
    """Make a function a task, with or without options.

    Args:
        fn: The function, where it is used without parentheses.
        options: See `TaskOptions`.

    Example:
        ```python
        @task(retries=3, retry_delay_seconds=[1, 5, 30], timeout_seconds=60)
        def fetch(url: str) -> bytes: ...
        ```
    """

    def decorate(function: Callable[P, R_co]) -> Task[P, R_co]:
        return Task(function, **options)

    return decorate if fn is None else decorate(fn)


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Return delays for ``retry_delay_seconds`` that double with each retry.

    Args:
        backoff_factor: Seconds before the first retry.

    Example:
        >>> exponential_backoff(10)(3)
        [10, 20, 40]
    """
    return lambda retries: [backoff_factor * 2**number for number in range(retries)]
