"""What SQLite's errors mean for who meets them."""

import sqlite3
from pathlib import Path

from stoker.domain.errors import Unavailable

ADVICE = {
    sqlite3.SQLITE_FULL: "its disk is full; free some space there, and it goes on by itself",
    sqlite3.SQLITE_READONLY: "it, or its disk, is read-only",
}
"""What is wrong, and what to do, by SQLite's primary result code: https://sqlite.org/rescode.html"""


def unusable(path: Path, what: str, error: Exception) -> Unavailable:
    """Return the error that says that a database cannot be used now, and why.

    Args:
        path: The database.
        what: What cannot be done with it: ``"opened"``, ``"read"`` or ``"written"``.
        error: What SQLite said. Where that came of cleaning up after another error, the other.
    """
    while isinstance(error.__context__, sqlite3.Error):
        error = error.__context__
    code = getattr(error, "sqlite_errorcode", None)
    advice = ADVICE.get(code & 0xFF) if isinstance(code, int) else None
    return Unavailable(f"the database {path} cannot be {what}: {advice or error}")
