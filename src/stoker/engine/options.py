"""What `@flow` and `@task` have in common."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from stoker.domain.states import StateType
from stoker.engine.retries import RetryPolicy

Hook = Callable[..., Any]
"""Called with the flow or task, its run and the final `State`; may be a coroutine function where
the flow or task is one."""

_HOOKS = {
    "on_completion": StateType.COMPLETED,
    "on_failure": StateType.FAILED,
    "on_cancellation": StateType.CANCELLED,
}


RESERVED = frozenset({"return_state", "wait_for"})
"""Names of arguments that calls of flows and tasks take beside those of the function."""


class RunPlan:
    """What the options say of every run; see `stoker.engine.machine.Plan`."""

    __slots__ = ("hooks", "retries", "retry_condition", "timeout")

    def __init__(
        self,
        retries: RetryPolicy,
        timeout: float | None,
        retry_condition: Callable[..., Any] | None,
        hooks: Mapping[StateType, Sequence[Hook]],
    ) -> None:
        self.retries = retries
        self.timeout = timeout
        self.retry_condition = retry_condition
        self.hooks = hooks


def check_options(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse options that there are not.

    Raises:
        TypeError: Names them.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise TypeError(f"@{kind} has no option {names}; it has: {', '.join(sorted(known))}")


def seconds_or_none(value: float | None, option: str) -> float | None:
    """Check a number of seconds.

    Raises:
        ValueError: It is not above 0.
    """
    if value is None:
        return None
    if value <= 0:
        raise ValueError(f"{option} must be above 0 seconds, not {value}")
    return float(value)


def hooks_of(options: Mapping[str, Any]) -> dict[StateType, Sequence[Hook]]:
    """Return the hooks among some options by the state that they are for."""
    return {state: tuple(options[name]) for name, state in _HOOKS.items() if options.get(name)}


def user_function(kind: str, function: Any) -> tuple[Callable[..., Any], bool, bool]:
    """Look at what a decorator was put on.

    Returns:
        The function; whether it is a coroutine function; whether it is a static method.

    Raises:
        TypeError: It cannot be called, it is a generator, which Stoker does not run, or one
            of its parameters has a reserved name.
    """
    static = isinstance(function, staticmethod)
    if static:
        function = function.__func__
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"@{kind} belongs on a function, not on {function!r}")
    inner: Any = function
    while isinstance(inner, partial):
        inner = inner.func
    if not hasattr(inner, "__code__") and not inspect.isroutine(inner):
        inner = inner.__call__
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(f"@{kind} does not run generators; return a list from {_name(inner)}()")
    code = getattr(inner, "__code__", None)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    taken = sorted(RESERVED.intersection(names))
    if taken:
        raise TypeError(
            f"{_name(inner)}() has a parameter {', '.join(map(repr, taken))}, which Stoker takes "
            "for itself; rename it"
        )
    return function, inspect.iscoroutinefunction(inner), static


def name_of(function: Any) -> str:
    """Return a function's own name."""
    inner: Any = function
    while isinstance(inner, partial):
        inner = inner.func
    return _name(inner)


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__
