"""Names of runs that a user makes from the run's parameters."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

NameMaker = str | Callable[..., str]
"""A format string over the parameters, or a function (of ``parameters``, if it takes one)."""


def made_name(maker: NameMaker, parameters: Mapping[str, Any], option: str) -> str:
    """Return the name that a run shall have.

    Raises:
        ValueError: The format string or the function fails; ``option`` says which it is.
    """
    try:
        if isinstance(maker, str):
            return maker.format(**parameters)
        takes = inspect.signature(maker).parameters
        return str(maker(dict(parameters)) if takes else maker())
    except Exception as error:
        raise ValueError(f"{option} cannot be made: {type(error).__name__}: {error}") from error
