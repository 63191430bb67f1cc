"""Processes that are stopped (SIGSTOP) for a while, and beyond the fence."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stoker.domain.hosts import Host, HostState
from stoker.domain.pools import WarmKnobs
from stoker.domain.runs import FlowRun
from stoker.process_identity import start_time
from stoker.testing import Harness, harness
from stoker.testing.processes import Process, await_ends
from stoker.wire.http import PoolCreate

PROJECT = Path(__file__).parent / "project"
HEARTBEAT, LEASE, FENCE = 0.2, 1.0, 4.0


@contextmanager
def stoker_with(home: Path, hosts: int, slots: int) -> Iterator[Harness]:
    settings = {"heartbeat": HEARTBEAT, "lease": LEASE, "sweep": 0.1, "ack_timeout": 1.0}
    with harness(home, pool=None, settings=settings) as stoker:
        warm = WarmKnobs(min=hosts, max=hosts, slots_per_host=slots)
        stoker.api.create_pool(PoolCreate(name="default", warm=warm, fence_after=FENCE))
        stoker.start_worker()
        stoker.deploy(PROJECT / "clockwork.py")
        yield stoker


@pytest.fixture
def stoker(tmp_path: Path) -> Iterator[Harness]:
    """One host with two slots."""
    with stoker_with(tmp_path / "home", 1, 2) as started:
        yield started


def lines(ledger: Path, run: FlowRun | None = None) -> list[tuple[str, int, str, float]]:
    """What is in a ledger, or what one run wrote."""
    found = [json.loads(line) for line in ledger.read_bytes().splitlines()]
    return [tuple(line) for line in found if run is None or line[0] == run.id]


def begin(stoker: Harness, ledger: Path, count: int = 1) -> list[FlowRun]:
    """Start runs, and return them once they execute."""
    runs = [stoker.start("tick/test", {"ledger": str(ledger)}) for _ in range(count)]
    for run in runs:
        stoker.await_log(run, lambda line: line.message == "started")
    return [stoker.api.run(run.id) for run in runs]


def process(pid: int) -> Process:
    started = start_time(pid)
    assert started is not None
    return Process(pid, started, "")


def agents(stoker: Harness) -> list[Process]:
    return [one for one in stoker.processes() if "stoker.host.agent" in one.command]


def host_of(stoker: Harness, run: FlowRun) -> Host:
    (host,) = [one for one in stoker.api.pool("default").hosts if one.id == run.host_id]
    return host


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Look again and again at what nobody tells."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def stopped(*processes: Process) -> Iterator[None]:
    """Stop processes for a while."""
    for one in processes:
        one.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for one in processes:
            one.send(signal.SIGCONT)


def test_for_a_while(stoker: Harness, tmp_path: Path) -> None:
    """Whoever it is, runs go on, and each completes in its first attempt."""
    ledger = tmp_path / "ledger"
    one, two = begin(stoker, ledger, 2)
    (agent,) = agents(stoker)
    (zygote,) = agent.children
    pid = lines(ledger, one)[0][1]
    assert stoker.server is not None
    server, worker = process(stoker.server.pid), process(stoker.workers[0].pid)

    def ticks(run: FlowRun) -> int:
        return len(lines(ledger, run))

    def goes_on(run: FlowRun) -> bool:
        before = ticks(run)
        until(lambda: ticks(run) > before + 3)
        return True

    with stopped(agent):
        until(lambda: host_of(stoker, one).state is HostState.UNREACHABLE)
        assert goes_on(one)
        assert stoker.api.run(one.id).state.name == "Running"
    until(lambda: host_of(stoker, one).state is HostState.UP)

    with stopped(zygote, process(pid)):
        before = ticks(one)
        assert goes_on(two)
        assert ticks(one) <= before + 1
        assert host_of(stoker, one).state is HostState.UP
    assert goes_on(one)

    with stopped(worker):
        until(lambda: any(w.name == "worker-0" for w in stoker.api.pool("default").workers))
        assert goes_on(one)
        assert goes_on(two)

    with stopped(server):
        # Longer than a lease: not a wait for a state.
        time.sleep(LEASE * 1.5)
        assert goes_on(one)
    states = {host_of(stoker, one).state for _ in range(20)}
    assert states == {HostState.UP}, "all have a full term"

    Path(f"{ledger}.end").touch()
    for run in (one, two):
        ended = stoker.wait(run)
        assert (ended.state.name, ended.attempt) == ("Completed", 1)
    assert agent.is_alive


def test_a_cancel_reaches_what_is_stopped(stoker: Harness, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    one, two = begin(stoker, ledger, 2)
    (agent,) = agents(stoker)
    (zygote,) = agent.children
    children = {run.id: process(lines(ledger, run)[0][1]) for run in (one, two)}
    for each in (zygote, *children.values()):
        each.send(signal.SIGSTOP)
    stoker.api.cancel_run(one.id)
    assert stoker.wait(one, 5).state.name == "Cancelled"
    assert await_ends([children[one.id]], 2) == []
    assert stoker.api.run(two.id).state.name == "Running"
    children[two.id].send(signal.SIGCONT)
    stoker.api.cancel_run(two.id)
    assert stoker.wait(two, 5).state.name == "Cancelled"


def test_beyond_the_fence_no_attempt_is_beside_another(tmp_path: Path) -> None:
    """The agent of one host is stopped, agent and zygote of another."""
    with stoker_with(tmp_path / "home", 2, 1) as stoker:
        ledger = tmp_path / "ledger"
        runs = begin(stoker, ledger, 2)
        assert runs[0].host_id != runs[1].host_id
        pids = {run.id: lines(ledger, run)[0][1] for run in runs}
        children = [process(pid) for pid in pids.values()]
        halted = agents(stoker)
        assert len(halted) == 2
        # Of the first host its zygote too.
        (zygote,) = halted[0].children
        stopped_at = time.monotonic()
        for one in (*halted, zygote):
            one.send(signal.SIGSTOP)
        for run in runs:
            assert stoker.api.run(run.id).state.name == "Running"
        # The same work is done again by others as soon as it is given up.
        again: list[FlowRun] = []
        for run in runs:
            ended = stoker.wait(run, FENCE + 10)
            given_up = time.clock_gettime(time.CLOCK_BOOTTIME)
            assert ended.state.name == "Crashed"
            assert time.monotonic() - stopped_at > FENCE * 0.8
            assert [one for one in children if one.pid == pids[run.id] and one.is_alive] == []
            assert lines(ledger, run)[-1][3] < given_up
            again.append(stoker.start("tick/test", {"ledger": str(ledger), "seconds": 0.05}))
        for old, new in zip(runs, again, strict=True):
            assert stoker.wait(new).state.name == "Completed"
            assert lines(ledger, old)[-1][3] < lines(ledger, new)[0][3]
        for one in (*halted, zygote):
            one.send(signal.SIGCONT)
        assert await_ends([*halted, zygote], 10) == []
        for run in runs:
            assert [s.name for s in stoker.api.run_states(run.id)][-1] == "Crashed"


def test_a_server_that_is_away_beyond_the_fence(stoker: Harness, tmp_path: Path) -> None:
    """A host that nobody adopts and no server answers ends its runs, and leaves."""
    ledger = tmp_path / "ledger"
    (run,) = begin(stoker, ledger)
    family = [*agents(stoker), *agents(stoker)[0].children, process(lines(ledger, run)[0][1])]
    assert stoker.server is not None
    # While the server is stopped the host connects in vain; then it is gone.
    stoker.workers[0].kill()
    stoker.server.send(signal.SIGSTOP)
    time.sleep(LEASE * 1.5)
    stoker.server.kill()
    assert await_ends(family, FENCE + 3) == []
    stoker.start_server()
    stoker.start_worker()
    ended = stoker.wait(run)
    assert ended.state.name == "Crashed"


def test_a_server_that_is_stopped_beyond_the_fence_and_goes_on(
    stoker: Harness, tmp_path: Path
) -> None:
    """Its hosts end their runs meanwhile; then it hears of it, and its worker launches others."""
    ledger = tmp_path / "ledger"
    (run,) = begin(stoker, ledger)
    family = [*agents(stoker), *agents(stoker)[0].children, process(lines(ledger, run)[0][1])]
    assert stoker.server is not None
    with stopped(process(stoker.server.pid)):
        assert await_ends(family, FENCE + 3) == []
    ended = stoker.wait(run)
    assert (ended.state.name, ended.attempt) == ("Crashed", 1)
    again = stoker.run("tick/test", {"ledger": str(ledger), "seconds": 0.05})
    assert again.state.name == "Completed"
    assert [s.name for s in stoker.api.run_states(run.id)][-1] == "Crashed"
    assert lines(ledger, run)[-1][3] < lines(ledger, again)[0][3]


def test_a_host_that_nobody_adopts_leaves_after_its_last_run(
    stoker: Harness, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    (run,) = begin(stoker, ledger)
    (agent,) = agents(stoker)
    stoker.workers[0].kill()
    until(lambda: host_of(stoker, run).state is HostState.DRAINING, FENCE + 5)
    assert stoker.api.run(run.id).state.name == "Running"
    Path(f"{ledger}.end").touch()
    assert stoker.wait(run).state.name == "Completed"
    assert await_ends([agent], 5) == []
