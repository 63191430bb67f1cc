"""A worn host goes when another is as warm: never before, and never without need."""

import pytest

from stoker.domain.hosts import HostState
from stoker.domain.pools import Machine, Worker
from stoker.services import administration
from stoker.services.fleet import registering
from stoker.services.fleet.capacity import plan
from stoker.services.fleet.replacing import PATIENCE


def planned(world, limit: int | None = None, *others: Worker):
    worker = Worker(id="w", name="w", pool="pool", machine=Machine("here", "boot"), limit=limit)
    return world.do(lambda unit: plan(unit, "pool", [worker, *others], {}, world.ready))


def knobs(world, **fields) -> None:
    world.do(lambda unit: administration.update_pool(unit, "pool", {"warm": fields}))


def wear(world, host: str = "h", reason: str = "old") -> None:
    world.do(lambda unit: registering.worn(unit, host, reason))


def come_up(world, host_id: str) -> None:
    """What was ordered registers, and says what it holds: nothing."""
    found = world.stored(host_id)
    world.host(
        host_id,
        slots=found.slots,
        once=found.once,
        lane=found.lane,
        replaces=found.replaces,
        registered=world.now,
    )


def draining(world) -> list[str]:
    return [host.id for host in world.hosts() if host.state is HostState.DRAINING]


def code(world) -> str:
    return world.read(lambda records: records.deployment("f/d")).code.key


@pytest.fixture
def warm(world):
    """A pool that keeps one host, which is warm and worn."""
    knobs(world, min=1, max=1)
    world.host()
    world.ready["h"].codes.add(code(world))
    wear(world)
    return world


def test_a_worn_host_says_why_and_takes_runs(warm):
    assert "pool" in warm.last.demand
    assert (warm.stored().worn, warm.stored().message) == ("old", "old")
    assert warm.host_of(warm.submit()) == "h"
    wear(warm, reason="again")
    assert (warm.stored().worn, warm.last.demand) == ("old", set())


def test_a_replacement_is_ordered_once_and_above_the_most(warm):
    (host,) = planned(warm).requested
    assert (host.replaces, host.lane) == ("h", warm.lane())
    assert planned(warm).requested == []
    assert draining(warm) == []


def test_a_worn_host_goes_when_its_replacement_has_imported_what_it_has(warm):
    (new,) = planned(warm).requested
    come_up(warm, new.id)
    assert planned(warm).patience == warm.now + PATIENCE
    assert draining(warm) == []
    warm.ready[new.id].codes.add(code(warm))
    assert planned(warm).patience is None
    assert draining(warm) == ["h"]
    assert warm.last.draining == {"h"}
    assert warm.stored().message == "replaced: old"
    assert planned(warm).requested == []


def test_it_goes_too_when_the_replacement_cannot_import_a_code(warm):
    (new,) = planned(warm).requested
    come_up(warm, new.id)
    warm.ready[new.id].note_zygote(code(warm), ready=False)
    planned(warm)
    assert draining(warm) == ["h"]


def test_it_goes_too_when_the_replacement_had_its_time(warm):
    (new,) = planned(warm).requested
    come_up(warm, new.id)
    warm.now += PATIENCE
    planned(warm)
    assert draining(warm) == ["h"]


def test_codes_that_nothing_is_deployed_with_any_more_are_not_waited_for(warm):
    (new,) = planned(warm).requested
    come_up(warm, new.id)
    warm.do(lambda unit: administration.delete_deployment(unit, "f/d"))
    planned(warm)
    assert draining(warm) == ["h"]


def test_a_replacement_whose_socket_is_gone_is_not_there(warm):
    (new,) = planned(warm).requested
    come_up(warm, new.id)
    warm.ready.pop(new.id).codes.add(code(warm))
    planned(warm)
    assert draining(warm) == []


def test_a_replacement_that_dies_is_replaced(warm):
    (new,) = planned(warm).requested
    warm.do(lambda unit: registering.lost(unit, new.id, "test"))
    assert [host.replaces for host in planned(warm).requested] == ["h"]


def test_a_workers_limit_leaves_room_for_a_replacement(warm):
    assert len(planned(warm, limit=8).requested) == 1


def test_the_replacement_may_be_worn_itself(warm):
    (new,) = planned(warm).requested
    come_up(warm, new.id)
    wear(warm, new.id)
    assert planned(warm).requested == [], "no more than one above the most"
    warm.ready[new.id].codes.add(code(warm))
    planned(warm)
    assert draining(warm) == ["h"]
    assert [host.replaces for host in planned(warm).requested] == [new.id]


def test_worn_hosts_still_count_for_demand(world):
    knobs(world, max=3, slots_per_host=1)
    for name in ("h1", "h2"):
        world.host(name, slots=1)
        wear(world, name)
    world.submit()
    assert [host.replaces for host in planned(world).requested] == ["h1"]


def test_no_more_than_one_above_the_most_replace_at_a_time(world):
    knobs(world, min=3, max=3)
    for name in ("h1", "h2", "h3"):
        world.host(name)
        wear(world, name)
    (first,) = planned(world).requested
    come_up(world, first.id)
    planned(world)
    assert draining(world) == ["h1"]
    assert [host.replaces for host in planned(world).requested] == ["h2"]


def test_an_idle_worn_host_that_nobody_needs_is_not_replaced_and_leaves_first(world):
    knobs(world, max=4)
    world.host("h1", idle_since=900.0)
    world.host("h2", idle_since=950.0)
    wear(world, "h2")
    assert planned(world).requested == []
    assert draining(world) == []
    knobs(world, min=1)
    world.now = 9999.0
    planned(world)
    assert draining(world) == ["h2"]


def test_a_replacement_does_not_leave_before_what_it_replaces(warm):
    (new,) = planned(warm).requested
    knobs(warm, min=0)
    warm.now += 30
    come_up(warm, new.id)
    warm.now += 299
    warm.ready.clear()
    planned(warm)
    assert draining(warm) == ["h"]


def test_while_one_is_replaced_those_of_other_queues_stay(world):
    world.queue("q")
    knobs(world, min=2, max=2)
    other = world.worker("v", queues=["q"])
    world.host("h1", idle_since=0.0)
    world.host("h2", worker_id="v", queues=["q"], idle_since=0.0)
    wear(world, "h1")
    (new,) = planned(world, None, other).requested
    assert new.replaces == "h1"
    planned(world, None, other)
    assert draining(world) == []


def test_where_hosts_leave_at_once_a_worn_one_still_waits_for_its_replacement(warm):
    knobs(warm, idle_timeout=0)
    run = warm.submit()
    warm.start(run)
    (new,) = planned(warm).requested
    warm.finish(run)
    assert draining(warm) == []
    come_up(warm, new.id)
    warm.ready[new.id].codes.add(code(warm))
    planned(warm)
    assert draining(warm) == ["h"]


@pytest.mark.parametrize("state", [HostState.DRAINING, HostState.DEAD])
def test_a_host_that_leaves_anyway_is_not_replaced(world, state):
    world.host(state=state, ready=False)
    wear(world)
    assert world.stored().worn == ""


def test_a_host_that_was_silent_for_a_while_may_say_that_it_is_worn(world):
    knobs(world, min=1)
    world.host(state=HostState.UNREACHABLE)
    wear(world)
    world.do(lambda unit: registering.renew(unit, "h", world.now + 30))
    assert (world.stored().state, world.stored().message) == (HostState.UP, "old")
    assert [host.replaces for host in planned(world).requested] == ["h"]
