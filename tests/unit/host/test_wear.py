"""A host judges when it is worn, and says it once."""

import asyncio
import os
import subprocess
import sys

import pytest

from stoker.domain.pools import HostTerms
from stoker.host.agent import wear
from stoker.host.agent.wear import Wear, own_memory


def terms(**limits) -> HostTerms:
    return HostTerms(fence_after=600.0, **limits)


class Bench:
    """A `Wear` whose time and memory the test sets."""

    def __init__(self, monkeypatch, **limits) -> None:
        self.now = 1000.0
        self.memory: dict[int, int] = {}
        self.said: list[str] = []
        monkeypatch.setattr(wear.linux, "boot_time", lambda: self.now)
        monkeypatch.setattr(wear, "own_memory", self.memory.get)
        self.wear = Wear(terms(**limits), self.said.append, lambda: list(self.memory))


def test_runs(monkeypatch):
    bench = Bench(monkeypatch, max_runs=3)
    for _ in range(2):
        bench.wear.took_run()
    assert bench.said == []
    for _ in range(5):
        bench.wear.took_run()
    assert bench.said == ["it had 3 runs, and max_runs is 3"] == [bench.wear.reason]


def test_age(monkeypatch):
    bench = Bench(monkeypatch, max_age=60.0)
    bench.now += 59.5
    bench.wear.look()
    assert bench.said == []
    bench.now += 0.5
    bench.wear.look()
    bench.wear.look()
    assert bench.said == ["it is 60 s old, and max_age is 60 s"]


def test_memory_counts_from_when_each_process_was_warm(monkeypatch):
    bench = Bench(monkeypatch, max_memory_growth=10.0)
    bench.memory.update({1: 30_000_000})
    bench.wear.look()
    bench.memory.update({1: 34_000_000, 2: 500_000_000})
    bench.wear.look()
    assert bench.said == [], "a process that has come is no growth"
    bench.memory.update({2: 505_900_000})
    bench.wear.look()
    assert bench.said == []
    bench.memory.update({1: 34_200_000})
    bench.wear.look()
    assert bench.said == ["its own processes have grown by 10.1 MB, and max_memory_growth is 10"]


def test_the_growth_of_a_process_that_has_ended_is_forgotten(monkeypatch):
    bench = Bench(monkeypatch, max_memory_growth=10.0)
    bench.memory.update({1: 1_000_000, 2: 1_000_000})
    bench.wear.look()
    bench.memory.update({2: 9_000_000})
    bench.wear.look()
    del bench.memory[2]
    bench.wear.look()
    bench.memory.update({1: 9_000_000, 2: 50_000_000})
    bench.wear.look()
    assert bench.said == []


def test_new_terms_hold_at_once(monkeypatch):
    bench = Bench(monkeypatch)
    for _ in range(9):
        bench.wear.took_run()
    bench.now += 1e6
    bench.wear.look()
    assert bench.said == [], "without limits a host is never worn"
    bench.wear.go_by(terms(max_runs=9))
    assert len(bench.said) == 1


def test_it_looks_when_it_is_as_old_as_it_may_be():
    async def main() -> str:
        said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        worn = Wear(terms(), said.set_result, list)
        watching = asyncio.create_task(worn.watch())
        await asyncio.sleep(0)
        worn.go_by(terms(max_age=0.05))
        try:
            async with asyncio.timeout(wear.PACE * 0.9):
                return await said
        finally:
            watching.cancel()

    assert "max_age is 0.05 s" in asyncio.run(main())


@pytest.mark.parametrize("size", [0, 64])
def test_own_memory_counts_what_forks_share(size):
    """A process with some MB of its own, and a fork that shares all of them."""
    script = (
        f"import os, sys; data = b'x' * ({size} << 20); os.fork(); "
        "sys.stdout.write('.'); sys.stdout.flush(); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.read(2) == b".."
        found = own_memory(process.pid)
        process.stdin.close()
    assert found is not None
    assert size << 20 < found < (size + 32) << 20
    assert own_memory(process.pid) is None
    assert own_memory(os.getpid())
