"""The sweep: who is silent, who is dead, and what a server that was down may conclude."""

import asyncio

import pytest
from msgspec.structs import replace

from stoker.domain.errors import Unavailable
from stoker.domain.hosts import Host, HostState, ProcessIdentity
from stoker.domain.pools import Machine
from stoker.domain.reports import Frame, SubflowCreated
from stoker.domain.runs import FlowRun
from stoker.domain.servers import Launches
from stoker.domain.states import StateRecord, StateType
from stoker.services import administration
from stoker.services.dispatcher import Dispatcher
from stoker.services.fleet import registering
from stoker.services.fleet.sweeper import Sweeper
from stoker.services.fleet.sweeping import SCRIPT_FENCE, SweepRules, sweep
from stoker.services.runs import scripts

PROCESS = ProcessIdentity(7, 1, Machine("here", "boot"))


def swept(
    world, *, up_since: float = 0.0, workers=("w",), asked=("h",), dead: bool | None = False
) -> list[str]:
    """Sweep; return the hosts that are to be ended by their workers."""
    rules = SweepRules(
        up_since=up_since,
        lease=30.0,
        launch_timeout=60.0,
        workers=frozenset(workers),
        asked=frozenset(asked),
        is_dead=lambda _: dead,
    )
    return [host.id for host in world.do(lambda unit: sweep(unit, rules))]


def running(world):
    world.host(lease_until=1030.0)
    run = world.submit()
    world.start(run)
    return run


def test_a_host_whose_lease_holds_is_left_alone(world):
    before = world.host(lease_until=1030.0)
    world.now = 1029.0
    swept(world)
    assert world.stored() == before


def test_a_silent_host_is_unreachable_and_its_runs_keep_their_leases(world):
    run = running(world)
    world.now = 1031.0
    swept(world)
    assert (world.stored().state, world.stored().message) == (
        HostState.UNREACHABLE,
        "silent for 31 s",
    )
    assert world.state(run) is StateType.RUNNING
    assert world.lease(run) is not None
    assert world.last.demand == {"pool"}


def test_before_a_host_is_given_up_its_worker_ends_it(world):
    run = running(world)
    # Its last heartbeat was at 1000, and fence_after is 600.
    for now, condemned in ((1592.0, []), (1593.0, ["h"]), (1601.0, ["h"])):
        world.now = now
        assert swept(world, asked=()) == condemned
        assert world.state(run) is StateType.RUNNING
    assert swept(world, asked=("h",)) == []
    assert world.state(run) is StateType.CRASHED


def test_a_host_without_a_worker_that_could_end_it_is_given_up_at_once(world):
    run = running(world)
    world.now = 1601.0
    assert swept(world, asked=(), workers=()) == []
    assert world.state(run) is StateType.CRASHED


def test_the_fence_is_the_one_that_the_host_was_told(world):
    run = running(world)
    world.do(lambda unit: registering.terms_taken(unit, "h", 600.0))
    world.do(lambda unit: administration.update_pool(unit, "pool", {"fence_after": 5.0}))
    world.now = 1500.0
    swept(world)
    assert world.state(run) is StateType.RUNNING


def test_a_host_whose_worker_stays_away_takes_no_more_runs(world):
    world.worker(last_seen=1000.0)
    run = running(world)
    for now, state in ((1599.0, HostState.UP), (1601.0, HostState.DRAINING)):
        world.do(lambda unit: unit.records.renew_host("h", 2000.0))
        world.now = now
        swept(world, workers=(), dead=None)
        assert world.stored().state is state
    assert "no worker has watched it" in world.stored().message
    assert world.last.draining == {"h"}
    assert world.state(run) is StateType.RUNNING


def test_a_host_that_is_silent_beyond_fence_after_is_given_up(world):
    run = running(world)
    world.now = 1600.0
    swept(world)
    assert world.stored().state is HostState.UNREACHABLE, "600 s after its last heartbeat, not 601"
    world.now = 1601.0
    swept(world)
    assert world.stored().state is HostState.DEAD
    assert world.state(run) is StateType.CRASHED
    assert "beyond its pool's fence_after" in world.run(run).state.message
    assert world.lease(run) is None


def test_a_draining_host_that_falls_silent_is_given_up_too(world):
    world.host(state=HostState.DRAINING, lease_until=1030.0, ready=False)
    world.now = 1031.0
    swept(world)
    assert world.stored().state is HostState.DRAINING
    world.now = 1601.0
    swept(world)
    assert world.stored().state is HostState.DEAD


def test_a_server_that_was_down_grants_a_full_term(world):
    run = running(world)
    world.now = 9000.0
    swept(world, up_since=9000.0)
    assert world.stored().state is HostState.UP
    world.now = 9029.0
    swept(world, up_since=9000.0)
    assert world.stored().state is HostState.UP
    world.now = 9031.0
    swept(world, up_since=9000.0)
    assert world.stored().state is HostState.UNREACHABLE
    world.now = 9600.0
    swept(world, up_since=9000.0)
    assert world.state(run) is StateType.RUNNING
    world.now = 9601.0
    swept(world, up_since=9000.0)
    assert world.state(run) is StateType.CRASHED


def seen(world, at: float) -> None:
    """The last word of the worker was then."""

    def work(unit) -> None:
        (worker,) = unit.records.workers()
        unit.records.put_worker(replace(worker, last_seen=at))

    world.do(work)


def test_an_ordered_host_is_given_up_where_its_worker_says_nothing_on_an_open_socket(world):
    world.worker("w", process=PROCESS)
    host = Host(id="h", pool="pool", lane="l", worker_id="w", requested=1000.0)
    world.do(lambda unit: unit.records.put_host(host))
    world.now = 1061.0
    seen(world, 1030.0)
    swept(world, up_since=1040.0)
    assert world.stored().state is HostState.REQUESTED, "the server was away"
    swept(world)
    assert world.stored().state is HostState.DEAD


def test_an_ordered_host_is_given_up_only_when_its_worker_is_gone(world):
    world.worker("w", process=PROCESS)
    host = Host(id="h", pool="pool", lane="l", worker_id="w", requested=1000.0)
    world.do(lambda unit: unit.records.put_host(host))
    world.now = 1061.0
    seen(world, 1031.0)
    swept(world)
    assert world.stored().state is HostState.REQUESTED
    swept(world, workers=(), up_since=1010.0)
    assert world.stored().state is HostState.REQUESTED
    swept(world, workers=())
    assert (world.stored().state, world.stored().message) == (
        HostState.DEAD,
        "no worker launched it",
    )


def test_a_launched_host_that_never_registers_is_given_up(world):
    """Otherwise it would count as present for ever, and its lane would get no other."""
    host = Host(
        id="h",
        pool="pool",
        lane="l",
        worker_id="w",
        state=HostState.LAUNCHED,
        process=PROCESS,
        requested=990.0,
        launched=1000.0,
    )
    world.do(lambda unit: unit.records.put_host(host))
    world.now = 1060.0
    swept(world)
    assert world.stored().state is HostState.LAUNCHED
    world.now = 1061.0
    swept(world, up_since=1030.0)
    assert world.stored().state is HostState.LAUNCHED
    swept(world)
    assert (world.stored().state, world.last.demand) == (HostState.DEAD, {"pool"})


# Scripts


@pytest.fixture
def script(world):
    """A script with an open flow run, silent since 1000."""
    world.do(lambda unit: scripts.register(unit, "s", PROCESS, 1030.0))
    state = StateRecord(StateType.RUNNING, "Running", 1.0)
    run = FlowRun(id="r", name="n", flow_name="f", state=state, attempt=1, host_id="s")
    world.frames(Frame("r", 1, 1, [SubflowCreated(run)]), host=None)
    return run


def test_a_script_that_died_leaves_its_open_runs_crashed(world, script):
    swept(world, dead=True)
    assert world.state(script) is StateType.CRASHED
    assert "the script ended without saying so" in world.run(script).state.message
    assert world.stored("s").state is HostState.DEAD


def test_a_script_that_lives_may_be_silent(world, script):
    world.now = 99_999.0
    swept(world, dead=False)
    assert world.state(script) is StateType.RUNNING


def test_a_script_of_another_machine_is_given_up_after_a_while(world, script):
    world.now = 1030.0 + SCRIPT_FENCE
    swept(world, dead=None)
    assert world.state(script) is StateType.RUNNING
    world.now += 1
    swept(world, dead=None, up_since=world.now)
    assert world.state(script) is StateType.RUNNING
    swept(world, dead=None)
    assert world.state(script) is StateType.CRASHED
    assert "silent for 600 s" in world.run(script).state.message


# Workers that are gone


def adopter(world, process: ProcessIdentity | None) -> None:
    """The owner of a living host, and another worker of its machine."""
    world.worker("w", process=process, last_seen=world.now)
    world.host(process=PROCESS)
    world.worker("v", machine=PROCESS.machine)
    world.do(lambda unit: unit.records.renew_host("h", 1e9))


@pytest.mark.parametrize(("dead", "owner"), [(True, "v"), (False, "w"), (None, "w")])
def test_hosts_of_a_worker_that_is_proved_dead_are_adopted_at_once(world, dead, owner):
    adopter(world, PROCESS)
    swept(world, workers=["v"], dead=dead)
    assert world.stored().worker_id == owner


@pytest.mark.parametrize(("seen", "up_since"), [(1000.0, 0.0), (1000.0, 1010.0)])
def test_a_worker_that_nobody_can_look_at_has_a_term_to_come_back(world, seen, up_since):
    adopter(world, None)
    world.now = max(seen, up_since) + 30.0
    swept(world, workers=["v"], up_since=up_since, dead=None)
    assert world.stored().worker_id == "w"
    world.now += 1
    swept(world, workers=["v"], up_since=up_since, dead=None)
    assert world.stored().worker_id == "v"


def test_a_living_worker_keeps_its_hosts_however_long_it_is_not_connected(world):
    adopter(world, PROCESS)
    world.now = 5000.0
    swept(world, workers=["v"], dead=False)
    assert world.stored().worker_id == "w"


# The clock


class Clock:
    """A clock whose two times a test sets."""

    def __init__(self) -> None:
        self.wall = 1000.0
        self.up = 0.0

    def now(self) -> float:
        return self.wall

    def boot(self) -> float:
        return self.up

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


def sweeper_of(dispatcher: Dispatcher, clock: Clock) -> Sweeper:
    """A sweeper whose machine cannot tell who is dead."""
    return Sweeper(
        dispatcher,
        clock,
        pace=5.0,
        lease=30.0,
        launch_timeout=60.0,
        is_dead=lambda _: None,
        end_host=lambda _: None,
    )


@pytest.mark.parametrize(
    ("steps", "wall", "up", "state"),
    [
        pytest.param(1, 3600.0, 5.0, HostState.UP, id="set forward"),
        pytest.param(1, 3600.0, 3600.0, HostState.UP, id="stood still"),
        pytest.param(200, 5.0, 5.0, HostState.DEAD, id="silent"),
    ],
)
def test_nobody_is_silent_while_the_clock_leaps(world, steps, wall, up, state):
    """A leap is no silence: all who live have a new term."""
    world.host(lease_until=1030.0)
    clock = Clock()

    async def main() -> None:
        sweeper = sweeper_of(Dispatcher(world.store, clock, ack_timeout=5.0), clock)
        for _ in range(steps):
            clock.wall += wall
            clock.up += up
            await sweeper.once()

    asyncio.run(main())
    assert world.stored().state is state


def test_nobody_is_silent_after_a_time_in_which_nothing_could_be_stored(world, monkeypatch):
    """A full disk keeps heartbeats from being stored; once there is room all have a new term."""
    world.host(lease_until=1030.0)
    clock = Clock()

    async def main() -> None:
        dispatcher = Dispatcher(world.store, clock, ack_timeout=5.0)
        sweeper = sweeper_of(dispatcher, clock)

        async def refuse(work):
            raise Unavailable("its disk is full")

        with monkeypatch.context() as full:
            full.setattr(dispatcher, "transact", refuse)
            for _ in range(200):
                clock.wall += 5.0
                clock.up += 5.0
                with pytest.raises(Unavailable):
                    await sweeper.once()
        await sweeper.once()

    asyncio.run(main())
    assert world.stored().state is HostState.UP


def test_what_waits_in_another_pool_for_a_run_that_has_ended_is_started(world):
    world.deployment(concurrency_limit=1)
    world.host(lease_until=1030.0)
    before = world.submit()
    world.start(before)
    world.pool("other")
    world.worker("v", pool="other")
    world.deployment(pool="other", concurrency_limit=1)
    world.host("h2", pool="other", worker_id="v", lease_until=1030.0)
    after = world.submit()
    swept(world, workers=("w", "v"), dead=None)
    assert world.host_of(after) is None, "its limit counts the run in the pool that was left"
    world.finish(before)
    swept(world, workers=("w", "v"), dead=None)
    assert world.host_of(after) == "h2"


def test_a_server_that_starts_with_a_clock_that_was_set_back_finds_nothing_ahead(world):
    """What was written before the clock was set back would hold launches up until then."""
    ahead = 1_000_000.0
    world.host(lease_until=ahead, idle_since=ahead, registered=ahead, requested=ahead)
    world.worker(last_seen=ahead)
    blocked = Launches(pool="pool", lane="lane", failures=1, blocked_until=ahead)
    world.do(lambda unit: unit.records.put_launches(blocked))
    clock = Clock()

    async def main() -> None:
        sweeper = sweeper_of(Dispatcher(world.store, clock, ack_timeout=5.0), clock)
        await sweeper.once()

    asyncio.run(main())
    now = clock.wall
    host = world.stored()
    assert (host.lease_until, host.idle_since, host.registered, host.requested) == (
        now + 30.0,
        now,
        now,
        now,
    )
    assert [one.last_seen for one in world.read(lambda records: records.workers())] == [now]
    (launches,) = world.read(lambda records: records.launches("pool"))
    assert launches.blocked_until == now + 1.0
