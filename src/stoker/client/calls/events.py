"""The API's routes of events and automations as typed methods."""

from collections.abc import Sequence

from stoker.client.calls.calling import Calls, part, with_query
from stoker.domain.automation.automations import Automation
from stoker.domain.automation.deliveries import Delivery
from stoker.domain.events import EmitEvent, Event
from stoker.wire.automations import (
    AutomationDetail,
    AutomationPatch,
    AutomationPut,
    AutomationTest,
    EventPage,
)

Filters = Sequence[tuple[str, object]]


class EventCalls(Calls):
    """Part of `stoker.client.http.Api`."""

    def emit_event(self, emitted: EmitEvent) -> Event:
        """Say that something has happened."""
        return self._call(Event, "POST", "/api/events", emitted)

    def events(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
        filters: Filters = (),
    ) -> EventPage:
        """Return a page of events: the newest, or those before or after a known one.

        ``filters`` are pairs such as ``("event", "flow-run.*")``; see ``GET /api/events``.
        """
        query: list[tuple[str, object]] = [*filters, ("limit", limit)]
        if after is not None:
            query.append(("after", after))
        if before is not None:
            query.append(("before", before))
        return self._call(EventPage, "GET", with_query("/api/events", query))

    def create_automation(self, automation: Automation, *, replace: bool = False) -> Automation:
        """Store an automation; with ``replace`` in the place of the one of its name."""
        body = _put(automation)
        if replace and any(one.name == automation.name for one in self.automations()):
            return self._call(Automation, "PUT", _path(automation.name), body)
        return self._call(Automation, "POST", "/api/automations", body)

    def automations(self) -> list[Automation]:
        """Return all automations, without their secrets."""
        return self._call(list[Automation], "GET", "/api/automations")

    def automation(self, name: str) -> AutomationDetail:
        """Return an automation and what it did last, without secrets."""
        return self._call(AutomationDetail, "GET", _path(name))

    def enable_automation(self, name: str, enabled: bool) -> Automation:
        """Let an automation fire, or not."""
        return self._call(Automation, "PATCH", _path(name), AutomationPatch(enabled=enabled))

    def delete_automation(self, name: str) -> None:
        """Forget an automation."""
        self._send("DELETE", _path(name))

    def try_automation(self, name: str, event: int | None = None) -> list[Delivery]:
        """Have an automation do, once, what it does."""
        path = f"{_path(name)}/test"
        return self._call(list[Delivery], "POST", path, AutomationTest(event=event))


def _put(automation: Automation) -> AutomationPut:
    return AutomationPut(
        name=automation.name,
        trigger=automation.trigger,
        actions=automation.actions,
        description=automation.description,
        enabled=automation.enabled,
    )


def _path(name: str) -> str:
    return f"/api/automations/{part(name)}"
