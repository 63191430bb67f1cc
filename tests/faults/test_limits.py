"""Limits hold whatever is killed, and nobody has or wants a slot once all is quiet."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from stoker.domain.concurrency import LimitKind
from stoker.domain.pools import WarmKnobs
from stoker.testing import Harness, harness
from stoker.wire.http import LimitCreate

PROJECT = Path(__file__).parent / "project"
LIMIT = 3
TIMES = 12
GIVING_UP = 60.0
"""Seconds for what takes two."""


class Entry(NamedTuple):
    """One event of one process."""

    event: str
    pid: int
    slots: int
    at: float


@pytest.fixture
def stoker(tmp_path: Path) -> Iterator[Harness]:
    warm = WarmKnobs(min=2, max=2, slots_per_host=3)
    settings = {"heartbeat": 0.5, "lease": 3, "sweep": 0.5}
    with harness(tmp_path / "home", warm=warm, settings=settings) as fresh:
        fresh.deploy(PROJECT / "limited.py")
        yield fresh


def read(ledger: Path) -> list[Entry]:
    """What was written so far; a process may have died in the middle of its last line."""
    text = ledger.read_text() if ledger.exists() else ""
    return [Entry(*json.loads(line)) for line in text.splitlines() if line.endswith("]")]


def most_in_use(entries: list[Entry], killed: dict[int, float]) -> int:
    """Slots in use at a time at the most. Who was killed had its own at least until then."""
    changes: list[tuple[float, int]] = []
    open_since: dict[int, Entry] = {}
    for entry in entries:
        if entry.event == "start":
            assert entry.pid not in open_since, "a process holds one at a time"
            open_since[entry.pid] = entry
            changes.append((entry.at, entry.slots))
        else:
            open_since.pop(entry.pid)
            changes.append((entry.at, -entry.slots))
    for pid, entry in open_since.items():
        died = killed.get(pid)
        assert died is not None, f"{entry} has no end, and nobody killed it"
        changes.append((max(entry.at, died), -entry.slots))
    used = most = 0
    for _, change in sorted(changes):
        used += change
        most = max(most, used)
    return most


def test_the_check_finds_what_is_wrong() -> None:
    two = [Entry("start", 1, 2, 1.0), Entry("start", 2, 2, 2.0), Entry("end", 2, 2, 3.0)]
    assert most_in_use(two, {1: 4.0}) == 4
    assert most_in_use(two, {1: 1.5}) == 2


class Killer:
    """Kills, and remembers whom when."""

    def __init__(self, stoker: Harness, ledger: Path) -> None:
        self.stoker = stoker
        self.ledger = ledger
        self.killed: dict[int, float] = {}

    def await_progress(self) -> None:
        """Return once some more slots have been taken."""
        begun = len(read(self.ledger))
        deadline = time.monotonic() + GIVING_UP
        while len(read(self.ledger)) < begun + 6:
            assert time.monotonic() < deadline, "nothing goes on"
            time.sleep(0.005)

    def holders(self) -> list[int]:
        """Processes that hold slots now, as far as they have written."""
        open_now: dict[int, Entry] = {}
        for entry in read(self.ledger):
            if entry.event == "start":
                open_now[entry.pid] = entry
            else:
                open_now.pop(entry.pid, None)
        return [pid for pid in open_now if pid not in self.killed]

    def child(self) -> None:
        """Kill a process that holds slots."""
        deadline = time.monotonic() + GIVING_UP
        while not (found := self.holders()):
            assert time.monotonic() < deadline, "nobody holds a slot"
        self.kill(found[:1], found[0])

    def host(self) -> None:
        """Kill a host's agent; the children of its zygotes die with it."""
        agents = [one for one in self.stoker.processes() if "stoker.host.agent" in one.command]
        agent = agents[0]
        dying = [child.pid for zygote in agent.children for child in zygote.children]
        self.kill(dying, agent.pid)

    def server(self) -> None:
        """Kill the server, and start it again."""
        server = self.stoker.server
        assert server is not None
        server.kill()
        self.stoker.start_server()

    def kill(self, victims: list[int], pid: int) -> None:
        now = time.monotonic()
        for victim in victims:
            self.killed[victim] = now
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("kind", "name"), [(LimitKind.TAG, "limited"), (LimitKind.NAME, "db")])
def test_limits_hold_under_fire(
    stoker: Harness, tmp_path: Path, kind: LimitKind, name: str
) -> None:
    stoker.api.create_limit(LimitCreate(kind=kind, name=name, slots=LIMIT))
    ledger = tmp_path / "ledger"
    killer = Killer(stoker, ledger)
    runs: list[str] = []
    for n in range(18):
        given = {"ledger": str(ledger), "times": TIMES}
        if kind is LimitKind.TAG:
            runs.append(stoker.start("tagging/test", given).id)
        else:
            runs.append(stoker.start("occupying/test", given | {"slots": 1 + n % 2}).id)
    for fault in (killer.child, killer.server, killer.host, killer.child, killer.server):
        killer.await_progress()
        fault()
    ended = [stoker.wait(run, GIVING_UP) for run in runs]
    entries = read(ledger)
    assert most_in_use(entries, killer.killed) == LIMIT
    assert {run.state.name for run in ended} == {"Completed", "Crashed"}
    assert sum(run.state.name == "Completed" for run in ended) >= 10
    deadline = time.monotonic() + GIVING_UP
    while (found := stoker.api.limit(kind, name)).holders or found.waiting:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
