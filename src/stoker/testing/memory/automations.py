"""Automations, what they remember, and the outbox of what they have to do."""

from stoker.domain.automation.automations import Automation
from stoker.domain.automation.deliveries import Delivery, DeliveryState
from stoker.domain.automation.windows import Window
from stoker.testing.memory.tables import Room, copies


class Automations(Room):
    """See `AutomationRecords`."""

    def put_automation(self, automation: Automation) -> None:
        for other in self._tables.automations.values():
            if other.name == automation.name and other.id != automation.id:
                raise KeyError("unique: name of an automation")
        self._tables.automations.put(automation.id, automation)

    def automation(self, name_or_id: str) -> Automation | None:
        found = self._tables.automations.values()
        return next(iter(copies(one for one in found if name_or_id in (one.id, one.name))), None)

    def automations(self) -> list[Automation]:
        return copies(sorted(self._tables.automations.values(), key=lambda one: one.name))

    def delete_automation(self, automation_id: str) -> None:
        self._tables.automations.pop(automation_id, None)
        for delivery in self._pending():
            if delivery.firing.automation_id == automation_id:
                del self._tables.outbox[delivery.id]
        self.delete_windows(automation_id)

    # What they remember

    def window(self, automation_id: str, key: str) -> Window | None:
        return self._tables.windows.find((automation_id, key))

    def put_window(self, window: Window) -> None:
        self._tables.windows.put((window.automation_id, window.key), window)

    def delete_window(self, automation_id: str, key: str) -> None:
        self._tables.windows.pop((automation_id, key), None)

    def delete_windows(self, automation_id: str) -> None:
        for place in [place for place in self._tables.windows if place[0] == automation_id]:
            del self._tables.windows[place]

    def due_windows(self, now: float, limit: int) -> list[Window]:
        found = [(due, key) for due, key in self._dues() if due <= now]
        return copies(self._tables.windows[key] for _, key in found[:limit])

    def postpone_windows(self, until: float) -> None:
        for due, key in self._dues():
            if due < until:
                self._tables.windows.change(key, due=until)

    def next_window_due(self) -> float | None:
        return next((due for due, _ in self._dues()), None)

    def reader_position(self, name: str) -> int | None:
        return self._tables.readers.get(name)

    def move_reader(self, name: str, position: int) -> None:
        self._tables.readers[name] = position

    def _dues(self) -> list[tuple[float, tuple[str, str]]]:
        windows = self._tables.windows.items()
        return sorted((window.due, key) for key, window in windows if window.due is not None)

    # The outbox

    def put_delivery(self, delivery: Delivery) -> None:
        self._tables.outbox.put(delivery.id, delivery)

    def change_delivery(self, delivery: Delivery) -> bool:
        known = self._tables.outbox.get(delivery.id)
        if known is None or known.state is not DeliveryState.PENDING:
            return False
        self._tables.outbox.put(delivery.id, delivery)
        return True

    def delivery(self, delivery_id: str) -> Delivery | None:
        return self._tables.outbox.find(delivery_id)

    def deliveries(self, automation_id: str, limit: int) -> list[Delivery]:
        found = [
            one for one in self._tables.outbox.values() if one.firing.automation_id == automation_id
        ]
        found.sort(key=lambda one: (one.firing.at, one.id), reverse=True)
        return copies(found[:limit])

    def due_deliveries(self, now: float, limit: int) -> list[Delivery]:
        found = [one for one in self._pending() if max(one.due, one.claimed_until) <= now]
        return copies(sorted(found, key=lambda one: (one.due, one.id))[:limit])

    def next_delivery_due(self) -> float | None:
        return min((max(one.due, one.claimed_until) for one in self._pending()), default=None)

    def firings_since(self, automation_id: str, at: float) -> int:
        return sum(
            one.firing.automation_id == automation_id and one.firing.at > at and one.place == 0
            for one in self._tables.outbox.values()
        )

    def depth_of_run(self, run_id: str) -> int:
        found = [one for one in self._tables.outbox.values() if one.run_id == run_id]
        return max((one.firing.depth for one in found), default=0)

    def _pending(self) -> list[Delivery]:
        outbox = self._tables.outbox.values()
        return [one for one in outbox if one.state is DeliveryState.PENDING]
