"""The environment of a run: what of it has to be there before its interpreter starts."""

from collections.abc import Mapping
from typing import Any

Environment = dict[str, str | None]
"""Variables by name; None: the process is without it."""

FAMILIES = (
    # The interpreter, the dynamic linker, the allocator.
    "PYTHON",
    "LD_",
    "MALLOC_",
    # The locale, and with it the encoding of files and of text from other programs.
    "LC_",
    # Linear algebra and the like: read when numpy and its kin are imported.
    "OMP_",
    "GOMP_",
    "KMP_",
    "OPENBLAS_",
    "GOTO_",
    "MKL_",
    "NUMEXPR_",
    "VECLIB_",
    "BLIS_",
    "NPY_",
)
"""What names begin with that act at the start of a process or at imports."""

NAMES = frozenset(
    {
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "LANG",
        "LANGUAGE",
        "LOCPATH",
        "NUMBA_NUM_THREADS",
        "OPENSSL_CONF",
        "POLARS_MAX_THREADS",
    }
)
"""Further names that do."""


def acts_at_start(name: str) -> bool:
    """Whether a variable acts when a process starts or imports: later it would change nothing.

    Example:
        >>> acts_at_start("OMP_NUM_THREADS"), acts_at_start("TZ")
        (True, False)
    """
    return name in NAMES or name.startswith(FAMILIES)


def text_values(env: Mapping[str, Any] | None) -> Environment:
    """An environment from JSON, whose values may have been written as numbers."""
    return {name: None if value is None else str(value) for name, value in dict(env or {}).items()}


def over(base: Mapping[str, str], env: Mapping[str, str | None]) -> dict[str, str]:
    """Return an environment with another one over it.

    Example:
        >>> over({"A": "1", "B": "2"}, {"B": None, "C": "3"})
        {'A': '1', 'C': '3'}
    """
    both = {**base, **env}
    return {name: value for name, value in both.items() if value is not None}
