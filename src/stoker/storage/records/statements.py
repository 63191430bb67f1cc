"""Named queries on one connection: all that the records know of a database."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

from stoker.domain.runs import FlowRun
from stoker.storage.records.pending import Known, Pending
from stoker.storage.records.rows import Row, run_of

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

    @property
    def sends_ahead(self) -> bool:
        """Whether what is asked before its answer is needed costs no round trip of its own."""
        ...

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
        *("any_queued", "open_groups", "claimable_counts", "queued_lanes"),
        "queued_of_deployment",
        *("move_group", "drop_group", "block_group", "unblock_groups"),
    }
)
"""Queries of claim groups."""


READS = frozenset(
    {
        *("pool", "queues", "usage", "workers", "host", "deployment", "queued_nested"),
        *("open_groups", "first_of_group", "leases_of", "open_subflows", "waits_for"),
        *("held_waits", "any_queued"),
    }
)
"""Queries that change nothing, and so nothing of what was asked ahead."""

APART = {"drop_slots_of_runs": frozenset[str](), "put_host": frozenset({"host"})}
"""Queries that change only what these read, of what is asked ahead."""


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
        self._ahead: dict[tuple[str, Hashable], Cursor] = {}

    def flush(self) -> None:
        """See `Records.flush`."""
        self._pending.write(self._session)
        self._pending.write_notes(self._session)

    def _ask(self, query: str, *values: object, **named: object) -> None:
        """Ask ahead for what is read next, where that saves a round trip.

        The answer is used once, and only as long as nothing is written or locked meanwhile.
        """
        if self._session.sends_ahead:
            both = named or values
            cursor = self._do(query, both)
            self._ahead[query, _hashed(both)] = cursor

    def _do(self, query: str, values: Values = ()) -> Cursor:
        self._make_way(query)
        if self._ahead:
            found = self._ahead.pop((query, _hashed(values)), None)
            if found is not None:
                return found
            if query not in READS:
                self._forget(APART.get(query))
        return self._session.run(query, values)

    def _many(self, query: str, rows: Sequence[Values]) -> None:
        if rows:
            self._make_way(query)
            self._forget()
            self._session.run_many(query, rows)

    def _forget(self, names: frozenset[str] | None = None) -> None:
        """Something is written: what was asked ahead is true no longer; None: all of it."""
        for key in list(self._ahead):
            if names is None or key[0] in names:
                del self._ahead[key]

    def _make_way(self, query: str) -> None:
        if query not in BESIDE:
            if self._ahead and self._pending.is_any:
                self._forget(READS - BESIDE)
            self._pending.write(self._session)
            if query in GROUPS:
                if self._ahead and self._pending.has_notes:
                    self._forget(GROUPS)
                self._pending.write_notes(self._session)

    def _run_of(self, row: Row) -> FlowRun:
        """A run that was read: a change of it is judged by this, and it is not read again."""
        run = run_of(row)
        self._pending.known[run.id] = Known(run.version, run.attempt, row[29])
        return run

    def _one(self, query: str, *values: object, **named: object) -> Any:
        return self._do(query, named or values).fetchone()

    def _all(self, query: str, *values: object, **named: object) -> list[Any]:
        return self._do(query, named or values).fetchall()


def _hashed(values: Values) -> Hashable:
    return tuple(values.items()) if isinstance(values, Mapping) else tuple(values)
