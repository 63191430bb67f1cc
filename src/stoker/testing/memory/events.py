"""Events, one append-only table."""

from collections.abc import Sequence

from msgspec.structs import replace

from stoker.domain.events import Event
from stoker.testing.memory.tables import Room, copies


class Events(Room):
    """See `EventRecords`."""

    def add_events(self, events: Sequence[Event]) -> None:
        for event in events:
            number = self.last_event() + 1
            self._tables.events.put(number, replace(event, id=number))

    def event_horizon(self) -> int:
        return self.last_event()

    def last_event(self) -> int:
        return max(self._tables.events, default=0)

    def oldest_event(self) -> int | None:
        return min(self._tables.events, default=None)

    def events_after(
        self, after: int, upto: int, limit: int, resource: str | None = None
    ) -> list[Event]:
        found = [one for one in self._of(resource) if after < one.id <= upto]
        return copies(found[:limit])

    def events_before(self, before: int, limit: int, resource: str | None = None) -> list[Event]:
        found = [one for one in self._of(resource) if one.id < before]
        return copies(found[::-1][:limit])

    def _of(self, resource: str | None) -> list[Event]:
        events = [event for _, event in sorted(self._tables.events.items())]
        return [one for one in events if resource in (None, one.resource.id)]
