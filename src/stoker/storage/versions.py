"""Which Stoker may work on which schema.

Migrations only add, so a server goes on beside a newer one that has migrated its database, and one
that knows less of the schema than is there may start. Where that is not so, the migration says it
in a line that begins with `BREAKS`: servers from before it are refused.
"""

from functools import cache

from stoker.domain.errors import Conflict
from stoker.storage.queries import migrations

BREAKS = "-- Breaks older servers:"


@cache
def compatible_from(number: int) -> int:
    """Return the oldest schema whose servers may work on schema ``number``.

    Example:
        >>> compatible_from(1)
        1
    """
    texts = enumerate(migrations()[:number], start=1)
    return max((found for found, text in texts if BREAKS in text), default=1)


def need_compatible(shown: str, present: int, compatible: int | None, remedy: str) -> None:
    """Raise `Conflict` where this Stoker is too old for a database.

    Args:
        shown: The database, as it may be shown.
        present: Its schema.
        compatible: The oldest schema whose servers may work on it; None where it does not say.
        remedy: What to do other than to upgrade.
    """
    known = len(migrations())
    if present > known and (compatible is None or compatible > known):
        raise Conflict(
            f"the database {shown} has schema {present}, and this Stoker knows only up to "
            f"{known}: a newer Stoker wrote it. Upgrade Stoker, or {remedy}"
        )
