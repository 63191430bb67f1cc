"""Futures and states in arguments: each stands for the value that it holds.

Nothing is searched before a first kind is registered, which the modules of futures and of
states do at their import: a flow that uses neither pays nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

Opener = Callable[[Any], Any]

_openers: dict[type, Opener] = {}


class UpstreamFailed(Exception):
    """A task was given the result of one that did not complete."""


def register(kind: type, opener: Opener) -> None:
    """Say how a kind of placeholder is replaced; the opener may block and may raise."""
    _openers[kind] = opener


def active() -> bool:
    """Whether there can be a placeholder anywhere in this process."""
    return bool(_openers)


def placeholders(value: Any) -> Iterator[Any]:
    """Find the placeholders in a value, also inside of lists, tuples, sets and dictionaries."""
    kind = cast(type[Any], type(value))
    if kind in _openers:
        yield value
    elif kind is list or kind is tuple or kind is set:
        for item in cast("list[Any]", value):
            yield from placeholders(item)
    elif kind is dict:
        for item in cast("dict[Any, Any]", value).values():
            yield from placeholders(item)


def resolved(value: Any) -> Any:
    """Replace the placeholders in a value; without any, the value itself is returned.

    Raises:
        UpstreamFailed: One stands for a run that did not complete.
    """
    if next(placeholders(value), None) is None:
        return value
    return _replace(value)


def _replace(value: Any) -> Any:
    kind = cast(type[Any], type(value))
    opener = _openers.get(kind)
    if opener is not None:
        return opener(value)
    if kind is list or kind is tuple or kind is set:
        return cast(Any, kind)(_replace(item) for item in cast("list[Any]", value))
    if kind is dict:
        return {key: _replace(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value
