"""Several servers that all read events for the automations, at the same time."""

import asyncio

from stoker.clock import SystemClock
from stoker.domain.automation.actions import PauseWorkPool
from stoker.domain.automation.automations import Automation
from stoker.domain.automation.triggers import EventTrigger
from stoker.domain.events import Event, Resource
from stoker.services.automations import automating
from stoker.services.automations.automating import READER, Automator
from stoker.services.automations.managing import create_automation
from stoker.services.dispatcher import Dispatcher
from stoker.services.unit import Unit
from stoker.storage.postgres.store import PostgresStore

EVENTS = 40


def test_each_event_fires_once_however_many_servers_read(postgres_server) -> None:
    url = postgres_server.create_database()
    stores = [PostgresStore(url) for _ in range(2)]
    clock = SystemClock()

    async def emit(dispatcher: Dispatcher, n: int) -> None:
        event = Event(event="x", at=clock.now(), resource=Resource("file", str(n)))
        await dispatcher.transact(lambda unit: unit.events.append(event))

    def create(unit: Unit) -> Automation:
        trigger, actions = EventTrigger(expect=["x"]), [PauseWorkPool()]
        return create_automation(unit, Automation(name="a", trigger=trigger, actions=[*actions]))

    async def main() -> list[str]:
        servers = [Dispatcher(store, clock, ack_timeout=5) for store in stores]
        readers = [Automator(server, clock, grace=1) for server in servers]
        await servers[0].transact(create)
        for n in range(0, EVENTS, 2):
            emitted = (emit(server, n + i) for i, server in enumerate(servers))
            await asyncio.gather(*emitted, *(reader.once() for reader in readers))
        for reader in readers:
            await reader.once()
        found = await servers[0].read(lambda records: records.due_deliveries(2e12, 1000))
        return [one.firing.event.resource.id for one in found]

    fired = asyncio.run(main())
    for store in stores:
        store.close()
    assert sorted(fired) == sorted(map(str, range(EVENTS)))


def test_events_that_no_automation_waits_for_can_be_pruned(store, monkeypatch) -> None:
    monkeypatch.setattr(automating, "FAR", 3)
    clock = SystemClock()

    async def main() -> None:
        server = Dispatcher(store, clock, ack_timeout=5)
        reader = Automator(server, clock, grace=1)
        await server.transact(lambda unit: unit.records.move_reader(READER, 1))
        events = [Event(event="x", at=1.0, resource=Resource("file", str(n))) for n in range(5)]
        await server.transact(lambda unit: unit.events.extend(events))
        await reader.once()

    asyncio.run(main())
    assert store.write(lambda records: records.prune_events(2.0, 100)).result(10) == 4
