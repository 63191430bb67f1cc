"""The named queries: every file in ``sql/`` is one, under its file's name.

A file of the same name in a dialect's folder, as ``sql/postgres/``, takes its place there.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

DIALECTS = ("postgres",)
"""Those with files of their own."""


@cache
def queries(dialect: str = "") -> dict[str, str]:
    """Return each query's text by its name, without comments."""
    return {name: _statement(text) for name, text in _texts("", dialect).items()}


@cache
def migrations(dialect: str = "") -> list[str]:
    """Return the schema's migrations, in order; number 1 is first.

    They only ever add, so that servers of the version before go on beside one that has migrated.
    """
    return [text for _, text in sorted(_texts("migrations", dialect).items())]


def _texts(folder: str, dialect: str) -> dict[str, str]:
    root = files("stoker.storage") / "sql"
    texts: dict[str, str] = {}
    for place in (root, root / dialect) if dialect else (root,):
        texts |= _sql_files(place / folder if folder else place)
    return texts


def _sql_files(folder: Traversable) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {
        entry.name.removesuffix(".sql"): entry.read_text()
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }


def _statement(text: str) -> str:
    """Leave the comment out: SQLite prepares a shorter text a little faster."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
