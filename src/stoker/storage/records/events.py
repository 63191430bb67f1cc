"""Events, one append-only table."""

from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.domain.events import Event, Resource
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Row, Statements, Values

LOW_BITS = 0x7FFF_FFFF
"""As much of an id as a lock of Postgres can carry."""

_strings = msgspec.json.Decoder(list[str]).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


class Events(Statements):
    """See `EventRecords`."""

    def add_events(self, events: Sequence[Event]) -> None:
        self._do("hold_events")
        self._many("insert_event", [_values(event) for event in events])

    def event_horizon(self) -> int:
        # In this order: who is given an id up to the last one has said so before.
        last = self.last_event()
        under_way = [row[0] for row in self._all("events_under_way")]
        return min([last, *(last - ((last - mark) & LOW_BITS) for mark in under_way)])

    def last_event(self) -> int:
        return self._one("last_event")[0] or 0

    def oldest_event(self) -> int | None:
        return self._one("oldest_event")[0]

    def events_after(
        self, after: int, upto: int, limit: int, resource: str | None = None
    ) -> list[Event]:
        found = self._all("events_after", after=after, upto=upto, resource=resource, limit=limit)
        return [_event(row) for row in found]

    def events_before(self, before: int, limit: int, resource: str | None = None) -> list[Event]:
        found = self._all("events_before", before=before, resource=resource, limit=limit)
        return [_event(row) for row in found]


def _values(event: Event) -> Values:
    resource = event.resource
    return {
        "event": event.event,
        "at": event.at,
        "kind": resource.kind,
        "resource": resource.id,
        "name": resource.name,
        "flow": event.flow,
        "deployment": event.deployment,
        "pool": event.pool,
        "queue": event.queue,
        "run_id": event.run_id,
        "tags": to_text(event.tags) if event.tags else "[]",
        "payload": to_text(event.payload) if event.payload else "{}",
        "depth": event.depth,
    }


def _event(row: Row) -> Event:
    return Event(
        id=row[0],
        event=row[1],
        at=row[2],
        resource=Resource(row[3], row[4], row[5]),
        flow=row[6],
        deployment=row[7],
        pool=row[8],
        queue=row[9],
        run_id=row[10],
        tags=_strings(row[11]),
        payload=_object(row[12]),
        depth=row[13],
    )
