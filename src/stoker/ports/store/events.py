"""Events, one append-only table."""

from collections.abc import Sequence
from typing import Protocol

from stoker.domain.events import Event


class EventRecords(Protocol):
    """Events, within one transaction."""

    def add_events(self, events: Sequence[Event]) -> None: ...

    def event_horizon(self) -> int:
        """The id up to which all events can be read that there will ever be.

        Above it a transaction that is under way may yet put one. A reader by cursor reads up to
        it, in a transaction that begins later: so it skips none.
        """
        ...

    def last_event(self) -> int:
        """An id that no event of an earlier transaction is above; 0 where there is none."""
        ...

    def oldest_event(self) -> int | None: ...

    def events_after(
        self, after: int, upto: int, limit: int, resource: str | None = None
    ) -> list[Event]:
        """Events after one and up to another, oldest first; only one resource's where given."""
        ...

    def events_before(self, before: int, limit: int, resource: str | None = None) -> list[Event]:
        """Events before one, newest first; only one resource's where given."""
        ...
