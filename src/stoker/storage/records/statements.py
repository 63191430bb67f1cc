"""Named queries on one connection: all that the records know of a database."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from stoker.storage.records.pending import Pending

Row = Sequence[Any]
Values = Row | Mapping[str, Any]


class Count(Protocol):
    """What came of a query that changes rows."""

    @property
    def rowcount(self) -> int: ...


class Cursor(Count, Protocol):
    """What came of a query."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Session(Protocol):
    """A connection whose transaction somebody else begins and ends."""

    def run(self, query: str, values: Values = ()) -> Cursor:
        """Run a named query."""
        ...

    def run_many(self, query: str, rows: Sequence[Values]) -> Count:
        """Run a named query once for each row of values; there is at least one."""
        ...

    def lock(self, names: Sequence[str]) -> None:
        """See `Records.lock`."""
        ...


BESIDE = frozenset(
    {
        *("pool", "pools", "put_pool", "queues", "put_queue"),
        *("deployment", "put_deployment", "host", "hosts", "put_host", "renew_host"),
        *("workers", "put_worker", "delete_worker", "drop_slots_of_runs"),
    }
)
"""Queries of tables that no pending write is for: they may run before it."""

GROUPS = frozenset(
    {
        *("open_groups", "claimable_counts", "queued_lanes", "queued_of_deployment"),
        *("move_group", "drop_group", "block_group", "unblock_groups"),
    }
)
"""Queries of claim groups."""


class Statements:
    """Base of the records of each subject.

    Writes that many units have many of are noted first, and written together before the next query
    that could see them, or at the end. The notes in claim groups wait longest: until a query of
    claim groups, which comes after the pool's lock, since whoever holds that must find no group
    locked by somebody who waits for it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pending = Pending()

    def flush(self) -> None:
        """See `Records.flush`."""
        self._pending.write(self._session)
        self._pending.write_notes(self._session)

    def _do(self, query: str, values: Values = ()) -> Cursor:
        self._make_way(query)
        return self._session.run(query, values)

    def _many(self, query: str, rows: Sequence[Values]) -> None:
        if rows:
            self._make_way(query)
            self._session.run_many(query, rows)

    def _make_way(self, query: str) -> None:
        if query not in BESIDE:
            self._pending.write(self._session)
            if query in GROUPS:
                self._pending.write_notes(self._session)

    def _one(self, query: str, *values: object, **named: object) -> Any:
        return self._do(query, named or values).fetchone()

    def _all(self, query: str, *values: object, **named: object) -> list[Any]:
        return self._do(query, named or values).fetchall()
