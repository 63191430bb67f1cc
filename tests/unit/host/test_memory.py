"""Whose memory is too much, and how much there is."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stoker.host.agent import memory
from stoker.host.agent.memory_watch import Judge, WatchedRun

MB = 1_000_000


class Given:
    """Memory as a test says."""

    def __init__(self, total: float, available: float) -> None:
        self.found = (int(total * MB), int(available * MB))

    def memory(self) -> tuple[int, int]:
        return self.found

    def swapped(self) -> int:
        return 0


@contextmanager
def process(megabytes: int) -> Iterator[int]:
    """A process that holds memory; its pid."""
    script = f"x = b'x' * {megabytes * MB}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started.pid
        started.kill()


@pytest.fixture(scope="module")
def runs() -> Iterator[list[WatchedRun]]:
    with process(40) as small, process(120) as large:
        yield [WatchedRun(("small", 1), small, 0), WatchedRun(("large", 1), large, 0)]


def test_what_processes_hold(runs: list[WatchedRun]) -> None:
    for run, megabytes in zip(runs, (40, 120), strict=True):
        assert megabytes * MB < memory.held(run.pid, run.zygote) < (megabytes + 30) * MB
        assert memory.bound(run.pid) >= memory.held(run.pid, run.zygote)
    assert memory.bound(2**22) == memory.held(2**22, 0) == 0, "there is no such process"


@pytest.mark.parametrize(
    ("slots", "machine", "ended"),
    [
        (4, Given(400, 10), "large"),
        (4, Given(400, 30), None),
        (2, Given(400, 10), None),
    ],
    ids=["short", "enough", "within its share"],
)
def test_the_run_with_most_is_ended_where_memory_is_short_and_it_has_more_than_its_share(
    runs: list[WatchedRun], slots: int, machine: Given, ended: str | None
) -> None:
    excess, _ = Judge(slots, machine).look(runs)
    assert (excess and excess[0][0]) == ended
    if excess:
        assert "of 400 MB only 10 MB were left" in excess[1]
        assert "more than the share of one of 4 slots" in excess[1]


def test_a_run_that_is_ending_gives_back_first_what_it_has(runs: list[WatchedRun]) -> None:
    small, large = runs
    ending = WatchedRun(large.key, large.pid, 0, ending=True)
    assert Judge(8, Given(200, 1)).look([small, ending])[0] is None


def test_a_limit_comes_first_and_binds_its_run_alone(runs: list[WatchedRun]) -> None:
    limited = [WatchedRun(one.key, one.pid, 0, limit=100) for one in runs]
    excess, _ = Judge(4, Given(400, 300)).look(limited)
    assert excess is not None
    assert excess[0] == ("large", 1)
    assert "its max_memory is 100 MB" in excess[1]


def system(folder: Path, groups: dict[str, int | str], membership: str) -> memory.Machine:
    """A machine of 1000 KiB with 600 available, and files of control groups."""
    proc, root = folder / "proc", folder / "groups"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n")
    (proc / "self/cgroup").write_text(membership)
    for name, value in groups.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return memory.Machine(str(proc), str(root))


K = 1024
STAT = "anon 5\ninactive_file 1024\nactive_file 2048\nslab 7"
STAT_1 = "inactive_file 9\ntotal_inactive_file 1024\ntotal_active_file 2048"


@pytest.mark.parametrize(
    ("groups", "membership", "found"),
    [
        ({}, "0::/\n", (1000, 600)),
        ({"a/memory.max": "max", "a/memory.current": 5 * K}, "0::/a\n", (1000, 600)),
        (
            {"a/memory.max": 100 * K, "a/memory.current": 80 * K, "a/memory.stat": STAT,
             "a/b/memory.max": "max"},
            "0::/a/b\n",
            (100, 23),
        ),
        (
            {"memory.max": 100 * K, "memory.current": 80 * K, "memory.stat": STAT},
            "0::/of/the/machine\n",
            (100, 23),
        ),
        (
            {"memory/a/memory.limit_in_bytes": 200 * K, "memory/a/memory.usage_in_bytes": 150 * K,
             "memory/a/memory.stat": STAT_1, "memory/memory.limit_in_bytes": 1 << 62,
             "memory/memory.usage_in_bytes": 0, "memory/memory.stat": STAT_1},
            "5:cpu,memory:/a\n1:name=systemd:/x\n0::/\n",
            (200, 53),
        ),
        (
            {"a/memory.max": 900 * K, "a/memory.current": 100 * K, "a/memory.stat": STAT},
            "0::/a\n",
            (900, 600),
        ),
    ],
    ids=["none", "no limit", "of a parent", "of a container", "version 1", "machine is tighter"],
)  # fmt: skip
def test_how_much_memory_there_is(
    tmp_path: Path, groups: dict[str, int | str], membership: str, found: tuple[int, int]
) -> None:
    total, available = system(tmp_path, groups, membership).memory()
    assert (total // K, available // K) == found


def test_how_much_of_it_is_swapped_out(tmp_path: Path) -> None:
    machine = system(tmp_path, {}, "0::/\n")
    with (tmp_path / "proc/meminfo").open("a") as file:
        file.write("SwapTotal: 50 kB\nSwapFree: 20 kB\nSwapCached: 3 kB\n")
    assert machine.swapped() == 30 * K


def test_this_machine_has_some() -> None:
    total, available = memory.Machine().memory()
    assert 0 < available <= total
