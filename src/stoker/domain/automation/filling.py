"""Texts with ``{{ placeholders }}``, filled from what an automation knows when it fires."""

import re
from collections.abc import Mapping
from typing import Any, cast

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}")
"""A name, and names or numbers below it: ``{{ event.payload.files.0 }}``."""

MAX_DEPTH = 50
"""Levels of a template that are filled."""


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Fill all texts of a JSON value.

    A text that is one placeholder alone becomes the value itself, whatever its type; within a
    longer text a value stands as text. What is not there is null, and in a text nothing. What
    comes of a placeholder is not filled again.

    Example:
        >>> fill({"n": "{{ a.n }}", "say": "{{ a.n }} of {{ b }}"}, {"a": {"n": 3}})
        {'n': 3, 'say': '3 of '}
    """
    return _fill(template, values, MAX_DEPTH)


def fill_text(template: str, values: Mapping[str, Any]) -> str:
    """Fill a text; the result is one in any case.

    Example:
        >>> fill_text("{{ n }}", {"n": 3})
        '3'
    """
    return PLACEHOLDER.sub(lambda match: _text(look_up(values, match[1])), template)


def look_up(values: Any, path: str) -> Any:
    """Return what lies at a dotted path; None where nothing does.

    Example:
        >>> look_up({"a": [{"b": 1}]}, "a.0.b")
        1
    """
    found = values
    for name in path.split("."):
        if isinstance(found, Mapping):
            found = cast(Mapping[str, Any], found).get(name)
        elif isinstance(found, list) and name.isdecimal():
            items = cast(list[Any], found)
            found = items[int(name)] if len(name) < 9 and int(name) < len(items) else None
        else:
            return None
    return found


def _fill(template: Any, values: Mapping[str, Any], levels: int) -> Any:
    if isinstance(template, str):
        whole = PLACEHOLDER.fullmatch(template.strip())
        return look_up(values, whole[1]) if whole else fill_text(template, values)
    if levels and isinstance(template, dict):
        items = cast(dict[str, Any], template).items()
        return {name: _fill(value, values, levels - 1) for name, value in items}
    if levels and isinstance(template, list):
        return [_fill(value, values, levels - 1) for value in cast(list[Any], template)]
    return template


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in cast(list[Any], value))
    return str(value)
