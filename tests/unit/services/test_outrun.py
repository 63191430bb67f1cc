"""A unit of work whose compare-and-set was lost is run again, on what is there by then."""

import asyncio

import pytest

from stoker.clock import SystemClock
from stoker.domain.errors import Conflict, Outrun
from stoker.services.dispatcher import TRIES, Dispatcher


def transact(world, lost: int) -> tuple[int, int]:
    """Run a unit that others are faster than so often; return its result, and how often it ran."""
    runs = 0

    def work(unit) -> int:
        nonlocal runs
        runs += 1
        unit.records.put_leapt(float(runs))
        if runs <= lost:
            raise Outrun("somebody else was faster")
        return runs

    dispatcher = Dispatcher(world.store, SystemClock(), ack_timeout=5.0)
    return asyncio.run(dispatcher.transact(work)), runs


@pytest.mark.parametrize("lost", [0, 1, TRIES - 1])
def test_it_is_run_until_nobody_was_faster(world, lost: int) -> None:
    assert transact(world, lost) == (lost + 1, lost + 1)
    assert world.read(lambda records: records.leapt()) == lost + 1


def test_who_is_outrun_for_ever_is_told(world) -> None:
    with pytest.raises(Conflict, match="somebody else was faster"):
        transact(world, TRIES)
    assert world.read(lambda records: records.leapt()) == 0.0, "nothing of it is written"
