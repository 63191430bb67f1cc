"""Runs that have a host of their own, launched ahead and used once."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.domain.anatomy import StartClass
from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness, result_of

PROJECT = Path(__file__).parent / "project"
POOL = "own"


@pytest.fixture(scope="module")
def own(stoker: Harness) -> Iterator[Harness]:
    """A pool of its own, with deployments ``"flow/own"`` of runs that have a host each."""
    stoker.create_pool(POOL, warm=WarmKnobs(min=0, max=1, slots_per_host=4))
    worker = stoker.start_worker(POOL)
    for file in ("basics.py", "nesting.py"):
        stoker.deploy(PROJECT / file, name=POOL, pool=POOL, project=PROJECT, isolation="host")
    yield stoker
    assert worker.stop() == 0


def spare(stoker: Harness) -> Host:
    """Wait until a host is ready for the next run: it has imported both files."""
    pause = threading.Event()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = stoker.api.pool(POOL)
        ready = Counter(zygote.host_id for zygote in found.zygotes if zygote.ready)
        for host in found.hosts:
            if host.state is HostState.UP and ready[host.id] == 2:
                return host
        pause.wait(0.01)
    raise TimeoutError("no host is ready")


def test_no_two_runs_share_a_host_and_each_starts_hot(own: Harness) -> None:
    runs = []
    for _ in range(4):
        ready = spare(own)
        run = own.run("who/own")
        assert run.host_id == ready.id
        runs.append(run)
    assert [run.anatomy.start_class for run in runs] == [StartClass.HOT] * 4
    assert len({run.host_id for run in runs}) == 4
    assert len({result_of(run)["parent"] for run in runs}) == 4
    spare(own)
    kept = [host.id for host in own.api.pool(POOL).hosts if host.is_present]
    assert not set(kept) & {run.host_id for run in runs}


def test_a_burst_is_bounded_and_each_run_has_a_host(own: Harness) -> None:
    spare(own)
    ids = [own.start("who/own").id for _ in range(7)]
    most = 0
    while any(not own.api.run(run_id).state.is_terminal for run_id in ids):
        hosts = own.api.pool(POOL).hosts
        most = max(most, sum(host.once for host in hosts))
    runs = [own.wait(run_id) for run_id in ids]
    assert {run.state.name for run in runs} == {"Completed"}
    assert len({run.host_id for run in runs}) == 7
    assert most <= 4


def test_nested_runs_to_and_from_hosts_of_their_own(own: Harness) -> None:
    """The children of ``call-sync`` are on a shared host of another pool."""
    spare(own)
    assert own.value("call-sync/own", {"n": 7})["value"] == 49
    own.deploy(PROJECT / "nesting.py", name="mixed", pool=POOL, project=PROJECT)
    path = str(own.home / "ledger")
    value = own.value("grandparent/own", {"path": path, "n": 1, "name": POOL})
    assert value == 1110
    value = own.value("grandparent/mixed", {"path": path, "n": 2, "name": POOL})
    assert value == 2110


def test_the_death_of_its_host_ends_one_run_alone(own: Harness, gate: Gate) -> None:
    hosts: list[Host] = []
    runs: list[str] = []
    for _ in range(2):
        hosts.append(spare(own))
        runs.append(own.start("meet/own", {"gate": gate.path}).id)
        gate.wait()
    for host, run_id in zip(hosts, runs, strict=True):
        found = own.api.run(run_id)
        assert (found.host_id, found.state.is_terminal) == (host.id, False)
    process = hosts[0].process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert own.wait(runs[0]).state.name == "Crashed"
    gate.open()
    assert own.wait(runs[1]).state.name == "Completed"
    spare(own)


def test_cancelling_ends_the_run_and_its_host(own: Harness, gate: Gate) -> None:
    host = spare(own)
    run = own.start("meet/own", {"gate": gate.path})
    gate.wait()
    own.api.cancel_run(run.id)
    assert own.wait(run).state.name == "Cancelled"
    pause = threading.Event()
    deadline = time.monotonic() + 20
    while any(one.id == host.id for one in own.api.pool(POOL).hosts):
        assert time.monotonic() < deadline
        pause.wait(0.01)


def test_it_is_chosen_on_the_command_line_and_shown(own: Harness) -> None:
    file = PROJECT / "basics.py"
    options = ("-n", "cli", "-p", POOL, "--isolation", "host", "--project", str(PROJECT))
    own.cli("deploy", f"{file}:who", *options)
    shown = own.cli("deployment", "inspect", "who/cli").stdout
    assert any(line.split() == ["Isolation", "host"] for line in shown.splitlines()), shown
    refused = own.cli("deploy", f"{file}:who", *options[:-4], "--isolation", "vm", check=False)
    assert "fork" in refused.stderr
