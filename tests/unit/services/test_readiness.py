"""Whether a server is ready: what of it hangs or fails is named."""

import asyncio
import functools
from typing import Any, cast

from stoker.domain.errors import Unavailable
from stoker.services.operations.loops import Loops, PacedClock
from stoker.services.operations.readiness import FRESH, PATIENCE, Readiness


class Time:
    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> float:
        return self.at

    def boot(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class Store:
    """A dispatcher whose transactions do as they are told."""

    def __init__(self) -> None:
        self.watch: Any = type("Watch", (), {"closed": False})()
        self.writes = 0
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def transact(self, work: Any) -> None:
        self.writes += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error


def on_a_loop(test):
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def ready(store: Store, clock: Time, loops: Loops) -> Readiness:
    return Readiness(cast(Any, store), clock, loops, "me")


@on_a_loop
async def test_a_server_that_is_well_writes_once_for_all_that_ask() -> None:
    store, clock = Store(), Time()
    readiness = ready(store, clock, Loops(clock))
    assert await asyncio.gather(*[readiness.problems() for _ in range(3)]) == [[], [], []]
    assert store.writes == 1
    clock.at += FRESH
    assert await readiness.problems() == []
    assert store.writes == 2


@on_a_loop
async def test_a_database_that_takes_nothing_is_told(monkeypatch) -> None:
    store, clock = Store(), Time()
    readiness = ready(store, clock, Loops(clock))
    store.error = Unavailable("the disk is full")
    assert await readiness.problems() == ["the disk is full"]
    clock.at += FRESH
    store.error, store.gate = None, asyncio.Event()
    monkeypatch.setattr("stoker.services.operations.readiness.PATIENCE", 0.01)
    for _ in range(2):
        (problem,) = await readiness.problems()
        assert "has taken no write" in problem
    assert store.writes == 2, "no second write waits behind the first"
    store.gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await readiness.problems() == []
    assert PATIENCE > 1


@on_a_loop
async def test_loops_that_hang_fail_or_have_ended_are_named() -> None:
    store, clock = Store(), Time()
    loops = Loops(clock)
    readiness = ready(store, clock, loops)
    paced = PacedClock(clock, loops, "sweeper", 30.0)
    await paced.sleep(5.0)
    assert await readiness.problems() == []
    clock.at += 60.0
    (problem,) = await readiness.problems()
    assert problem.startswith("the sweeper hangs")
    await paced.sleep(5.0)
    loops.failed("pruner", "no such table")
    assert await readiness.problems() == ["the pruner fails: no such table"]
    clock.at += 4.0
    assert await readiness.problems() == []
    loops.ended("scheduler")
    store.watch.closed = True
    assert await readiness.problems() == ["the server is stopping", "the scheduler has ended"]
