"""A server that is away for long under load: hosts go on, and all that they say arrives, once."""

import os
import socket
import time
from pathlib import Path

import pytest

from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness, harness, result_of
from stoker.testing.processes import Process

PROJECT = Path(__file__).parent / "project"
AWAY = float(os.environ.get("STOKER_TEST_AWAY", "8"))
"""Seconds for which the server is away; STOKER_TEST_AWAY=300 is the full test."""
SPOOL_MB = 2.0
MEMORY_MB = 8.0
"""What a host keeps in memory besides."""
SLACK_MB = 1.5
"""One lot that was begun below a limit."""


def spools(stoker: Harness) -> int:
    return sum(file.stat().st_size for file in (stoker.home / "spool").iterdir())


def rss(process: Process) -> int:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(process)


@pytest.mark.timeout(AWAY + 120)
def test_a_server_that_is_away_for_long(tmp_path: Path, gate: Gate) -> None:
    settings = {"heartbeat": 0.5, "lease": 2.0, "sweep": 0.5, "spool_limit": SPOOL_MB}
    warm = WarmKnobs(min=1, max=1, slots_per_host=4)
    with harness(tmp_path / "home", warm=warm, settings=settings) as stoker:
        stoker.deploy(PROJECT / "chatter.py")
        end, early = str(tmp_path / "end"), str(tmp_path / "early")
        Path(early).touch()
        parameters = {"gate": gate.path, "end": end}
        runs = [stoker.start("chatter/test", parameters) for _ in range(3)]
        runs.append(stoker.start("chatter/test", {"gate": gate.path, "end": early}))
        gate.wait_for(4)
        (agent,) = [one for one in stoker.processes() if "stoker.host.agent" in one.command]
        before = rss(agent)
        assert stoker.server is not None
        stoker.server.kill()
        # Bound and not listened on: nobody else gets the port meanwhile.
        port = int(stoker.url.rpartition(":")[2])
        with socket.socket() as place:
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.bind(("127.0.0.1", port))
            began = time.monotonic()
            gate.open()
            highest = grown = 0
            while time.monotonic() < began + AWAY:
                highest, grown = max(highest, spools(stoker)), max(grown, rss(agent) - before)
                time.sleep(0.1)
            # The host's own loop does not wait: it looks for the server all the time.
            place.listen()
            place.settimeout(10)
            place.accept()[0].close()
        assert SPOOL_MB * 1e6 <= highest <= (SPOOL_MB + SLACK_MB + MEMORY_MB) * 1e6, "it was full"
        assert grown < 12 * MEMORY_MB * 1e6
        Path(end).touch()
        stoker.start_server()
        for run in runs:
            ended = stoker.wait(run, 60)
            assert (ended.state.name, ended.attempt) == ("Completed", 1)
            numbers = [int(line.message.split()[0]) for line in stoker.logs(run)]
            assert numbers == list(range(result_of(ended)))
        assert agent.is_alive
        print(f"spool {highest / 1e6:.1f} MB at most, the agent grew by {grown / 1e6:.0f} MB")
        deadline = time.monotonic() + 10
        while spools(stoker):
            assert time.monotonic() < deadline, "the spool is emptied"
            time.sleep(0.05)
