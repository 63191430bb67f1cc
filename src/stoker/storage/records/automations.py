"""Automations, what they remember, and the outbox of what they have to do."""

import msgspec

from stoker.domain.automation.automations import Automation
from stoker.domain.automation.deliveries import Delivery
from stoker.domain.automation.windows import Window
from stoker.storage.records.rows import to_text
from stoker.storage.records.statements import Row, Statements

_automation = msgspec.json.Decoder(Automation).decode
_window = msgspec.json.Decoder(Window).decode
_delivery = msgspec.json.Decoder(Delivery).decode


class Automations(Statements):
    """See `AutomationRecords`."""

    def put_automation(self, automation: Automation) -> None:
        self._do("put_automation", (automation.id, automation.name, to_text(automation)))

    def automation(self, name_or_id: str) -> Automation | None:
        row = self._one("automation", name=name_or_id)
        return _automation(row[0]) if row else None

    def automations(self) -> list[Automation]:
        return [_automation(row[0]) for row in self._all("automations")]

    def delete_automation(self, automation_id: str) -> None:
        self._do("delete_automation", (automation_id,))
        self._do("end_deliveries", (automation_id,))
        self.delete_windows(automation_id)

    # What they remember

    def window(self, automation_id: str, key: str) -> Window | None:
        row = self._one("window", automation_id, key)
        return _window_of(row) if row else None

    def put_window(self, window: Window) -> None:
        values = (window.automation_id, window.key, window.due, to_text(window))
        self._do("put_window", values)

    def delete_window(self, automation_id: str, key: str) -> None:
        self._do("delete_window", (automation_id, key))

    def delete_windows(self, automation_id: str) -> None:
        self._do("delete_windows", (automation_id,))

    def due_windows(self, now: float, limit: int) -> list[Window]:
        return [_window_of(row) for row in self._all("due_windows", now, limit)]

    def postpone_windows(self, until: float) -> None:
        self._do("postpone_windows", {"until": until})

    def next_window_due(self) -> float | None:
        return self._one("next_window_due")[0]

    def reader_position(self, name: str) -> int | None:
        row = self._one("reader_position", name)
        return row[0] if row else None

    def move_reader(self, name: str, position: int) -> None:
        self._do("move_reader", (name, position))

    # The outbox

    def put_delivery(self, delivery: Delivery) -> None:
        self._do(
            "put_delivery",
            (
                delivery.id,
                delivery.firing.automation_id,
                delivery.place,
                delivery.firing.at,
                delivery.state,
                delivery.due,
                delivery.claimed_until,
                delivery.run_id,
                delivery.firing.depth,
                delivery.ended,
                to_text(delivery),
            ),
        )

    def change_delivery(self, delivery: Delivery) -> bool:
        values = {
            "id": delivery.id,
            "state": delivery.state,
            "due": delivery.due,
            "claimed_until": delivery.claimed_until,
            "run_id": delivery.run_id,
            "ended": delivery.ended,
            "record": to_text(delivery),
        }
        return self._do("change_delivery", values).rowcount == 1

    def delivery(self, delivery_id: str) -> Delivery | None:
        row = self._one("delivery", delivery_id)
        return _delivery(row[0]) if row else None

    def deliveries(self, automation_id: str, limit: int) -> list[Delivery]:
        return [_delivery(row[0]) for row in self._all("deliveries", automation_id, limit)]

    def due_deliveries(self, now: float, limit: int) -> list[Delivery]:
        found = self._all("due_deliveries", now=now, limit=limit)
        return [_delivery(row[0]) for row in found]

    def next_delivery_due(self) -> float | None:
        return self._one("next_delivery_due")[0]

    def firings_since(self, automation_id: str, at: float) -> int:
        return self._one("firings_since", automation_id, at)[0]

    def depth_of_run(self, run_id: str) -> int:
        return self._one("depth_of_run", run_id)[0] or 0


def _window_of(row: Row) -> Window:
    window = _window(row[0])
    window.due = row[1]
    return window
