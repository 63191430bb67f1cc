"""Secrets within free-form values, such as a webhook's payload: told by their names."""

import re
from collections.abc import Iterator
from typing import Any, cast

MASK = "****"
"""Stands for a secret wherever one would be shown."""

_SECRET = re.compile(
    r"passw|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential"
    r"|authorization|cookie|connection[_-]?string|(^|_)(pwd|dsn|database_url)$",
    re.IGNORECASE,
)


def hidden(value: Any) -> Any:
    """Return a value with ``MASK`` in place of what stands under a name that tells a secret.

    Example:
        >>> hidden({"text": "hi", "auth": [{"api_key": "k"}]})
        {'text': 'hi', 'auth': [{'api_key': '****'}]}
    """
    match value:
        case dict():
            known = cast(dict[str, Any], value)
            return {
                name: MASK if _holds(name, inner) else hidden(inner)
                for name, inner in known.items()
            }
        case list():
            return [hidden(inner) for inner in cast(list[Any], value)]
        case _:
            return value


def secret_texts(value: Any) -> Iterator[str]:
    """Yield the texts that `hidden` takes out of a value."""
    match value:
        case dict():
            for name, inner in cast(dict[str, Any], value).items():
                if _holds(name, inner):
                    yield from _texts(inner)
                else:
                    yield from secret_texts(inner)
        case list():
            for inner in cast(list[Any], value):
                yield from secret_texts(inner)
        case _:
            pass


def was_hidden(value: Any) -> bool:
    """Whether a value is one that `hidden` returned: it holds no secret any more, but masks."""
    return MASK in secret_texts(value)


def _holds(name: str, value: Any) -> bool:
    # No key can be told from null or true.
    return not isinstance(value, bool | None) and _SECRET.search(name) is not None


def _texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for inner in cast(dict[str, Any], value).values():
                yield from _texts(inner)
        case list():
            for inner in cast(list[Any], value):
                yield from _texts(inner)
        case _:
            yield str(value)
