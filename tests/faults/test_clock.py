"""Somebody sets the wall clock by an hour, forward and back, under everything at once."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.domain.anatomy import StartClass
from stoker.domain.hosts import HostState
from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness, harness

PROJECT = Path(__file__).parent / "project"

SHIFTED = '''
"""Python imports this at its start: `time.time` is off by as many seconds as a file says."""
import time

def _shifted(real, unit):
    def now():
        try:
            with open({file!r}) as file:
                return real() + int(file.read()) * unit
        except (OSError, ValueError):
            return real()
    return now

time.time = _shifted(time.time, 1)
time.time_ns = _shifted(time.time_ns, 10**9)
'''

SETTINGS = {"heartbeat": 0.2, "lease": 1.5, "sweep": 0.2, "ack_timeout": 1.0}
TERM = 1.8
"""Seconds in which all that goes by the clock has had its turn: leases, sweeps, plans."""
KNOBS = WarmKnobs(min=0, max=2, slots_per_host=2, idle_timeout=1800)


class Clock:
    """The wall clock of the processes that a test starts."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "shift"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SHIFTED.format(file=str(self._file)))
        self.environ = {"PYTHONPATH": str(folder)}

    def set(self, hours: int) -> None:
        """Set it by so many hours against this process's."""
        new = self._file.with_suffix(".new")
        new.write_text(str(hours * 3600))
        new.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def stoker(tmp_path: Path, clock: Clock) -> Iterator[Harness]:
    with harness(tmp_path / "home", warm=KNOBS, settings=SETTINGS, environ=clock.environ) as fresh:
        fresh.deploy(PROJECT / "flows.py")
        yield fresh


def hosts(stoker: Harness) -> list[tuple[str, HostState]]:
    return [(host.id, host.state) for host in stoker.api.pool("default").hosts]


def test_the_clock_is_set(stoker: Harness, clock: Clock, gate: Gate, tmp_path: Path) -> None:
    parameters = {"gate": gate.path, "ledger": str(tmp_path / "ledger")}
    for _ in range(4):
        stoker.start("work/test", parameters)
    arrivals = {one.note["run"]: one for one in gate.wait_for(4)}
    # One host is idle from now on.
    zygotes = sorted({one.note["zygote"] for one in arrivals.values()})
    assert len(zygotes) == 2
    for run_id, arrival in list(arrivals.items()):
        if arrival.note["zygote"] == zygotes[0]:
            del arrivals[run_id]
            arrival.release()
            stoker.wait(run_id)
    before = hosts(stoker)
    assert [state for _, state in before] == [HostState.UP] * 2
    for hours in (1, -1):
        clock.set(hours)
        until = time.monotonic() + TERM
        while time.monotonic() < until:
            assert hosts(stoker) == before, "nobody is silent, dead, or idle for too long"
            time.sleep(0.05)
        run = stoker.run("quick/test", {"n": hours})
        assert (run.state.name, run.attempt) == ("Completed", 1)
        assert run.anatomy.start_class is StartClass.HOT
        assert abs(run.state.at - time.time() - hours * 3600) < 60, "it is the clock's time"
    for run_id, arrival in arrivals.items():
        arrival.release()
        ended = stoker.wait(run_id)
        assert (ended.state.name, ended.attempt) == ("Completed", 1)
        shown = stoker.cli("flow-run", "inspect", run_id).stdout
        shown += stoker.cli("flow-run", "ls").stdout
        assert re.findall(r"(?<![\w-])-\d[\d.]* (?:m?s|min|h)\b", shown) == []
    assert hosts(stoker) == before
