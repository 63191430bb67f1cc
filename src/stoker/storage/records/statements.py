"""Named queries on one connection: all that the records know of a database."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

Row = Sequence[Any]
Values = Row | Mapping[str, Any]


class Cursor(Protocol):
    """What came of a query."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Session(Protocol):
    """A connection whose transaction somebody else begins and ends."""

    def run(self, query: str, values: Values = ()) -> Cursor:
        """Run a named query."""
        ...

    def run_many(self, query: str, rows: Iterable[Values]) -> None:
        """Run a named query once for each row of values."""
        ...

    def lock(self, names: Sequence[str]) -> None:
        """See `Records.lock`."""
        ...


class Statements:
    """Base of the records of each subject."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._do = session.run
        self._many = session.run_many

    def _one(self, query: str, *values: object, **named: object) -> Any:
        return self._do(query, named or values).fetchone()

    def _all(self, query: str, *values: object, **named: object) -> list[Any]:
        return self._do(query, named or values).fetchall()
