"""One store of those that are compared, and the units of work that run on it."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from stoker.domain.errors import StokerError
from stoker.ports.store import Records, Store
from stoker.services import administration
from stoker.services.runs import submission
from stoker.services.settling import finish
from stoker.services.unit import ReadyHost, Unit


class Numbers:
    """Ids that are the same on each side: the next is one more than the last."""

    def __init__(self) -> None:
        self.last = 0

    def new_id(self, _: float) -> str:
        """Stands for `stoker.domain.ids.new_id`."""
        self.last += 1
        return f"{self.last:06}"


NUMBERS = Numbers()


@contextmanager
def names_in_order() -> Generator[None]:
    """Have the services give ids and names that are the same on each side."""
    with ExitStack() as stack:
        for module in (administration, submission):
            stack.enter_context(patch.object(module, "new_id", NUMBERS.new_id))
        stack.enter_context(patch.object(submission, "readable_name", lambda: "name"))
        yield


class Side:
    """A store, and what its server holds in memory."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ready: dict[str, ReadyHost] = {}

    def do(self, work: Callable[[Unit], Any], now: float) -> dict[str, Any]:
        """Run a unit of work as the dispatcher does, and return all that came of it."""
        first = NUMBERS.last

        def transaction(records: Records) -> tuple[Any, Unit]:
            # It may be run again.
            NUMBERS.last = first
            unit = Unit(records, now)
            result = work(unit)
            finish(unit, list(self.ready.values()))
            unit.close()
            return result, unit

        try:
            result, unit = self.store.write(transaction).result(60)
        except StokerError as error:
            NUMBERS.last = first
            return {"refused": f"{type(error).__name__}: {error}"}
        for host_id in unit.draining | unit.used:
            self.ready.pop(host_id, None)
        return {
            "result": result,
            "assigned": {
                host_id: [(job.run_id, job.attempt) for job in jobs]
                for host_id, jobs in unit.assigned.items()
            },
            "cancels": unit.cancels,
            "stops": unit.stops,
            "ended": [run.id for run in unit.ended],
            "resumed": [(waiter, run.id) for waiter, run in unit.resumed],
            "abandoned": unit.abandoned,
            "unpaused": unit.unpaused,
            "claimable": unit.claimable,
            "demand": unit.demand,
            "draining": unit.draining,
            "used": unit.used,
            "scheduled": unit.scheduled,
            "events": unit.events,
        }
