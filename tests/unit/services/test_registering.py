"""The life of workers and hosts: launched, registered, compared, drained, lost."""

import hashlib

import pytest
from msgspec.structs import replace

from stoker.domain.errors import Conflict, NotFound
from stoker.domain.hosts import Host, HostState, ProcessIdentity
from stoker.domain.pools import Machine, Worker
from stoker.domain.reports import Frame, SubflowCreated
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.services import administration
from stoker.services.fleet import registering
from stoker.services.fleet.registering import NotYet
from stoker.services.runs import scripts
from stoker.services.runs.cancelling import cancel

HERE, REBOOTED, ELSEWHERE = Machine("here", "boot-1"), Machine("here", "boot-2"), Machine("x", "b")
PROCESS = ProcessIdentity(7, 1, HERE)
TOKEN = "secret"
TOKEN_HASH = hashlib.sha256(TOKEN.encode()).hexdigest()


def ordered(world, state: HostState = HostState.REQUESTED, **fields) -> Host:
    fields = {"id": "h", "pool": "pool", "lane": world.lane(), "worker_id": "w", **fields}
    host = Host(state=state, slots=2, **fields)
    world.do(lambda unit: unit.records.put_host(host))
    return host


def launched(world, host: str = "h", token_hash: str = TOKEN_HASH) -> None:
    world.do(lambda unit: registering.launched(unit, host, PROCESS, token_hash))


def hello(world, token: str = TOKEN, host: str = "h", until: float = 1030.0) -> Host:
    return world.do(lambda unit: registering.register_host(unit, host, token, PROCESS, until))


def holds(world, *held: tuple[str, int]) -> None:
    world.do(lambda unit: registering.reconcile(unit, "h", held))


def orders(world) -> list[tuple[str, int, bool]]:
    return [(one.run_id, one.attempt, one.now) for one in world.last.cancels]


# Hosts that come


def test_a_host_goes_from_ordered_to_launched_to_up(world):
    ordered(world)
    world.now = 1001.0
    launched(world)
    found = world.stored()
    assert (found.state, found.launched, found.process) == (HostState.LAUNCHED, 1001.0, PROCESS)
    world.now = 1002.0
    hello(world, until=1032.0)
    found = world.stored()
    assert (found.state, found.registered, found.lease_until) == (HostState.UP, 1002.0, 1032.0)
    assert found.idle_since == 1002.0
    assert world.last.demand == {"pool"}


def test_a_host_that_was_not_ordered_or_was_given_up_is_refused_for_good(world):
    with pytest.raises(Conflict, match="not ordered") as caught:
        hello(world)
    assert not isinstance(caught.value, NotYet)
    ordered(world, HostState.DEAD, token_hash=TOKEN_HASH)
    with pytest.raises(Conflict, match="given up"):
        hello(world)


def test_a_host_that_is_faster_than_its_workers_word_may_try_again(world):
    ordered(world)
    with pytest.raises(NotYet):
        hello(world)
    launched(world)
    assert hello(world).state is HostState.UP


@pytest.mark.parametrize("token", ["", "other", TOKEN_HASH])
def test_a_wrong_join_token_is_refused(world, token):
    ordered(world)
    launched(world)
    with pytest.raises(Conflict, match="wrong join token") as caught:
        hello(world, token)
    assert not isinstance(caught.value, NotYet)
    assert world.stored().state is HostState.LAUNCHED


def test_a_host_that_comes_back_keeps_when_it_came_first(world):
    ordered(world)
    launched(world)
    hello(world)
    world.do(lambda unit: unit.records.put_host(_with(unit, state=HostState.UNREACHABLE)))
    world.now = 1500.0
    assert hello(world, until=1530.0).registered == 1000.0
    assert world.stored().state is HostState.UP


def _with(unit, **fields) -> Host:
    host = unit.records.host("h")
    for name, value in fields.items():
        setattr(host, name, value)
    return host


def test_a_draining_host_stays_draining_when_it_comes_back(world):
    ordered(world)
    launched(world)
    hello(world)
    world.do(lambda unit: registering.drain(unit, "h", "stop"))
    hello(world)
    assert (world.stored().state, world.last.draining) == (HostState.DRAINING, set())


def test_a_worker_that_is_late_does_not_bring_a_dead_host_back(world):
    ordered(world, HostState.DEAD)
    launched(world)
    assert world.stored().state is HostState.DEAD
    launched(world, "unknown")


# What both sides hold


def test_what_never_reached_the_host_is_queued_again(world):
    world.host()
    run = world.submit()
    world.ready.clear()
    holds(world)
    assert (world.state(run), world.run(run).host_id) == (StateType.SCHEDULED, None)
    assert world.lease(run) is None
    assert world.run(run).attempt == 1
    world.host()
    assert world.run(run).attempt == 2


def test_what_the_host_has_lost_has_crashed(world):
    world.host()
    run = world.submit()
    world.start(run)
    holds(world)
    assert world.state(run) is StateType.CRASHED
    assert "does not have it any more" in world.run(run).state.message


def test_what_was_being_cancelled_and_is_not_held_is_cancelled(world):
    world.host()
    run = world.submit()
    world.do(lambda unit: cancel(unit, run.id))
    holds(world)
    assert world.state(run) is StateType.CANCELLED


def test_what_both_hold_goes_on_and_an_order_to_cancel_is_repeated(world):
    world.host(slots=2)
    one, two = world.submit(), world.submit()
    world.do(lambda unit: cancel(unit, two.id))
    holds(world, (one.id, 1), (two.id, 1))
    assert [world.state(one), world.state(two)] == [StateType.PENDING, StateType.CANCELLING]
    assert orders(world) == [(two.id, 1, False)]


def test_what_is_not_current_any_more_is_ended_at_once(world):
    world.host()
    run = world.submit()
    over = world.submit()
    holds(world, (run.id, 1), (over.id, 1), ("unknown", 4), (run.id, 0))
    assert sorted(orders(world)) == sorted(
        [(over.id, 1, True), ("unknown", 4, True), (run.id, 0, True)]
    )


def test_what_a_host_hands_back_is_queued_again_if_it_is_current(world):
    world.host()
    run = world.submit()
    world.ready.clear()
    world.do(lambda unit: registering.release(unit, [(run.id, 7), ("unknown", 1)]))
    assert world.state(run) is StateType.PENDING
    world.do(lambda unit: registering.release(unit, [(run.id, 1)]))
    assert world.state(run) is StateType.SCHEDULED
    assert world.run(run).state.message == "handed back by its host"


def test_what_is_handed_back_while_it_is_cancelled_is_cancelled(world):
    world.host()
    run = world.submit()
    world.do(lambda unit: cancel(unit, run.id))
    world.do(lambda unit: registering.release(unit, [(run.id, 1)]))
    assert world.state(run) is StateType.CANCELLED


# Hosts that go


def test_a_lost_hosts_runs_crash_with_what_runs_inside_them(world):
    world.host(slots=2)
    running, pending = world.submit(), world.submit()
    world.start(running)
    state = StateRecord(StateType.RUNNING, "Running", 1.0)
    inner = FlowRun(
        id="s", name="i", flow_name="g", state=state, attempt=1, parent_run_id=running.id
    )
    world.frames(Frame("s", 1, 1, [SubflowCreated(inner)]))
    host = world.do(lambda unit: registering.lost(unit, "h", "killed by signal 9"))
    assert host.id == "h"
    assert [world.state(one) for one in (running, pending, "s")] == [StateType.CRASHED] * 3
    assert world.run(running).state.message == "its host ended: killed by signal 9"
    assert (world.stored().state, world.stored().ended) == (HostState.DEAD, 1000.0)
    assert world.hosts() == []
    assert world.do(lambda unit: registering.lost(unit, "h", "again")) is None
    assert world.stored().message == "killed by signal 9"


def test_a_lost_host_is_given_no_run_of_the_queue(world):
    world.host(slots=1)
    world.submit()
    queued = world.submit()
    world.do(lambda unit: registering.lost(unit, "h", "test"))
    assert world.state(queued) is StateType.SCHEDULED


def test_losing_what_nobody_knows_is_no_error(world):
    assert world.do(lambda unit: registering.lost(unit, "unknown", "test")) is None


def test_a_host_that_drains_is_told_so_once_and_planned_for(world):
    world.host()
    world.do(lambda unit: registering.drain(unit, "h", "it was asked to stop"))
    assert (world.stored().state, world.stored().message) == (
        HostState.DRAINING,
        "it was asked to stop",
    )
    assert world.last.demand == {"pool"}


def test_a_heartbeat_moves_the_lease_and_wakes_the_unreachable(world):
    world.host(ready=False)
    assert world.do(lambda unit: registering.renew(unit, "h", 1060.0))
    assert (world.stored().lease_until, world.last.demand) == (1060.0, set())
    world.do(lambda unit: unit.records.put_host(_with(unit, state=HostState.UNREACHABLE)))
    assert world.do(lambda unit: registering.renew(unit, "h", 1090.0))
    assert (world.stored().state, world.stored().lease_until) == (HostState.UP, 1090.0)
    assert world.last.demand == {"pool"}
    world.do(lambda unit: registering.lost(unit, "h", "test"))
    assert not world.do(lambda unit: registering.renew(unit, "h", 1090.0))
    assert not world.do(lambda unit: registering.renew(unit, "unknown", 1090.0))


# When a host is idle


def test_a_host_is_idle_since_its_last_run_ended(world):
    world.host(slots=2)
    one, two = world.submit(), world.submit()
    world.now = 1010.0
    world.finish(one)
    assert world.stored().idle_since == 1000.0
    world.now = 1020.0
    world.finish(two)
    assert world.stored().idle_since == 1020.0


@pytest.mark.parametrize(("least", "state"), [(0, HostState.DRAINING), (1, HostState.UP)])
def test_with_no_time_to_idle_a_host_leaves_after_its_run_and_takes_no_other(world, least, state):
    warm = {"min": least, "idle_timeout": 0.0}
    world.do(lambda unit: administration.update_pool(unit, "pool", {"warm": warm}))
    world.host(slots=1)
    first, second = world.submit(), world.submit()
    world.finish(first)
    assert world.stored().state is state
    if state is HostState.DRAINING:
        assert world.last.draining == {"h"}
        assert world.state(second) is StateType.SCHEDULED
    else:
        assert world.given() == [second.id]


# Workers


def worker(name: str, machine: Machine = HERE, pool: str = "pool") -> Worker:
    return Worker(id=name, name=name, pool=pool, machine=machine)


def register(world, one: Worker, *launched: str) -> None:
    world.do(lambda unit: registering.register_worker(unit, one, launched))


def adopt(world, *connected: str, gone=("w",)) -> None:
    world.do(lambda unit: registering.adopt(unit, connected, lambda one: one.id in gone))


def workers(world) -> list[str]:
    return [one.id for one in world.read(lambda records: records.workers("pool"))]


def test_a_worker_needs_a_pool(world):
    with pytest.raises(NotFound, match=r"no work pool 'x'.*`stoker work-pool create x"):
        register(world, worker("v", pool="x"))


def test_a_worker_needs_its_queues(world):
    world.queue("fast")
    register(world, replace(worker("v"), queues=["default", "fast"]))
    with pytest.raises(NotFound, match=r"'pool' has no queue 'nope'.*`stoker work-queue create"):
        register(world, replace(worker("u"), queues=["fast", "nope"]))
    assert "u" not in workers(world)


def test_a_worker_adopts_the_hosts_of_one_that_is_gone_with_their_leases(world):
    world.host()
    run = world.submit()
    register(world, worker("v"))
    adopt(world, "v")
    assert world.stored().worker_id == "v"
    assert world.lease(run).worker_id == "v"
    assert workers(world) == ["v"]
    assert world.last.demand == {"pool"}


def test_hosts_of_a_worker_that_may_come_back_stay_its_own(world):
    world.host()
    register(world, worker("v"))
    adopt(world, "v", gone=())
    assert world.stored().worker_id == "w"
    adopt(world, "v", "w", gone=("w",))
    assert world.stored().worker_id == "w", "it is connected"
    assert sorted(workers(world)) == ["v", "w"]


def test_a_worker_takes_back_what_it_launched(world):
    world.host()
    run = world.submit()
    register(world, worker("v"))
    adopt(world, "v")
    register(world, worker("w"), "h")
    assert world.stored().worker_id == "w"
    assert world.lease(run).worker_id == "w"


def test_a_worker_of_another_machine_or_pool_cannot_watch_them(world):
    world.pool("other")
    world.host()
    register(world, worker("v", ELSEWHERE))
    register(world, worker("u", pool="other"))
    adopt(world, "v", "u")
    assert world.stored().worker_id == "w"
    assert sorted(workers(world)) == ["v", "w"], "who has hosts is kept"


def test_a_worker_in_another_container_cannot_watch_them(world):
    world.host()
    host = world.stored()
    host.process = replace(host.process, machine=replace(HERE, pid_namespace="1"))
    world.do(lambda unit: unit.records.put_host(host))
    assert world.stored().process.machine.pid_namespace == "1"
    register(world, worker("v", replace(HERE, pid_namespace="2")))
    adopt(world, "v")
    assert world.stored().worker_id == "w"
    register(world, worker("u", replace(HERE, pid_namespace="1")))
    adopt(world, "v", "u")
    assert world.stored().worker_id == "u"


def test_a_worker_adopts_hosts_of_before_the_boot_to_find_them_dead(world):
    world.host()
    register(world, worker("v", REBOOTED))
    adopt(world, "v")
    assert world.stored().worker_id == "v"


def test_a_worker_that_leaves_adopts_nothing(world):
    world.host()
    register(world, replace(worker("v"), draining=True))
    adopt(world, "v")
    assert world.stored().worker_id == "w"


def test_what_a_worker_that_leaves_has_not_launched_is_given_up(world):
    world.host()
    ordered(world, id="o")
    ordered(world, id="x", worker_id="v")
    world.do(lambda unit: registering.drain_worker(unit, worker("w")))
    assert [world.stored(name).state for name in "hox"] == [
        HostState.DRAINING,
        HostState.DEAD,
        HostState.REQUESTED,
    ]
    assert world.last.draining == {"h"}
    assert world.read(lambda records: records.workers("pool"))[0].draining
    assert world.last.demand == {"pool"}


def test_a_host_that_was_only_ordered_is_given_up_with_its_worker(world):
    ordered(world)
    adopt(world, gone=())
    assert world.stored().state is HostState.REQUESTED
    adopt(world)
    assert world.stored().state is HostState.DEAD
    assert world.last.demand == {"pool"}


# Scripts


def test_a_script_is_a_host_without_pool(world):
    world.do(lambda unit: scripts.register(unit, "s", PROCESS, 1030.0))
    found = world.stored("s")
    assert (found.pool, found.state, found.process) == ("", HostState.UP, PROCESS)
    world.do(lambda unit: scripts.renew(unit, "s", 1060.0))
    assert world.stored("s").lease_until == 1060.0
    world.do(lambda unit: scripts.leave(unit, "s"))
    assert world.stored("s").state is HostState.DEAD
    with pytest.raises(NotFound):
        world.do(lambda unit: scripts.renew(unit, "s", 1090.0))
    world.do(lambda unit: scripts.register(unit, "s", PROCESS, 1030.0))
    assert world.stored("s").state is HostState.UP


def test_a_script_that_leaves_takes_its_open_runs_with_it(world):
    world.do(lambda unit: scripts.register(unit, "s", PROCESS, 1030.0))
    state = StateRecord(StateType.RUNNING, "Running", 1.0)
    outer = FlowRun(id="o", name="o", flow_name="f", state=state, attempt=1, host_id="s")
    inner = FlowRun(
        id="i", name="i", flow_name="f", state=state, attempt=1, host_id="s", parent_run_id="o"
    )
    world.frames(
        Frame("o", 1, 1, [SubflowCreated(outer)]),
        Frame("i", 1, 1, [SubflowCreated(inner)]),
        host=None,
    )
    world.do(lambda unit: scripts.leave(unit, "s"))
    assert [world.state("o"), world.state("i")] == [StateType.CRASHED] * 2


@pytest.mark.parametrize(
    "claim",
    [
        lambda unit: scripts.register(unit, "h", PROCESS, 1.0),
        lambda unit: scripts.renew(unit, "h", 1.0),
        lambda unit: scripts.leave(unit, "h"),
    ],
)
def test_a_script_cannot_speak_for_a_pools_host(world, claim):
    before = world.host()
    with pytest.raises(Conflict, match="no script"):
        world.do(claim)
    assert world.stored() == before


def test_what_a_host_has_said_on_an_earlier_connection_changes_nothing(world):
    """A server that stood still acts on it when the host has been given runs by another one."""
    world.host(connection="later")
    run = world.submit()
    world.start(run)
    assert world.do(lambda unit: registering.compare(unit, "h", "earlier", [])) is None
    assert world.state(run) is StateType.RUNNING
    assert world.do(lambda unit: registering.compare(unit, "h", "later", [])) is not None
    assert world.state(run) is StateType.CRASHED
