"""The named queries: every file in ``sql/`` is one, under its file's name."""

from functools import cache
from importlib.resources import files


@cache
def queries() -> dict[str, str]:
    """Return each query's text by its name."""
    folder = files("stoker.storage") / "sql"
    return {
        entry.name.removesuffix(".sql"): _statement(entry.read_text())
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }


@cache
def migrations() -> list[str]:
    """Return the schema's migrations, in order; number 1 is first.

    They only ever add, so that servers of the version before go on beside one that has migrated.
    """
    folder = files("stoker.storage") / "sql" / "migrations"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text() for name in found]


def _statement(text: str) -> str:
    """Leave the comment out: SQLite prepares a shorter text a little faster."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
