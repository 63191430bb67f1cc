"""What `@flow` and `@task` have in common."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

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


def check_options(kind: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse options that there are not, and values that are not of an option's kind.

    Raises:
        TypeError: Names the option.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise TypeError(f"@{kind} has no option {names}; it has: {', '.join(sorted(known))}")
    for name, value in given.items():
        fits, wanted = _KINDS.get(name, _ANYTHING)
        if value is not None and not fits(value):
            raise TypeError(f"@{kind}: {name} must be {wanted}, not {value!r}")


def labels(tags: Iterable[str], where: str) -> list[str]:
    """Return tags as a list.

    Raises:
        TypeError: They are one text, or not all texts.
    """
    known = tags if isinstance(tags, str) else list(tags)
    if not _is_list_of_texts(known):
        raise TypeError(f"{where}: tags must be {_TEXTS}, not {known!r}")
    return list(known)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_maker(value: Any) -> bool:
    return isinstance(value, str) or callable(value)


def _is_list(value: Any, fits: Callable[[Any], bool]) -> bool:
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        return False
    return all(map(fits, cast("Collection[Any]", value)))


def _is_list_of_texts(value: Any) -> bool:
    return _is_list(value, _is_text)


def _is_delay(value: Any) -> bool:
    return _is_number(value) or callable(value) or _is_list(value, _is_number)


def _is_list_of_hooks(value: Any) -> bool:
    return _is_list(value, callable)


def _is_task_runner(value: Any) -> bool:
    return callable(getattr(value, "open", None))


def _is_anything(_value: Any) -> bool:
    return True


_Kind = tuple[Callable[[Any], bool], str]

_TEXTS = "a list of texts"
_ANYTHING: _Kind = (_is_anything, "")
_TEXT: _Kind = (_is_text, "a text")
_BOOL: _Kind = (_is_bool, "True or False")
_NUMBER: _Kind = (_is_number, "a number")
_MAKER: _Kind = (_is_maker, "a text or a function")
_HOOKS_KIND: _Kind = (_is_list_of_hooks, "a list of functions")

_KINDS: dict[str, _Kind] = {
    "name": _TEXT,
    "description": _TEXT,
    "version": _TEXT,
    "tags": (_is_list_of_texts, _TEXTS),
    "flow_run_name": _MAKER,
    "task_run_name": _MAKER,
    "retries": (_is_count, "a whole number"),
    "retry_delay_seconds": (_is_delay, "a number, a list of numbers, or a function"),
    "retry_jitter_factor": _NUMBER,
    "retry_condition_fn": (callable, "a function"),
    "timeout_seconds": _NUMBER,
    "validate_parameters": _BOOL,
    "log_prints": _BOOL,
    "persist_result": _BOOL,
    "task_runner": (_is_task_runner, "a task runner, for example ThreadPoolTaskRunner()"),
    **dict.fromkeys(_HOOKS, _HOOKS_KIND),
}
"""What each option takes besides None: a test, and how an error names it."""


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
