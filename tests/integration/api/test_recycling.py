"""What the server tells hosts about their terms, worn ones, and those that are used once."""

import msgspec
import pytest

from stoker.domain.deployments import Deployment
from stoker.domain.pools import HostTerms
from stoker.wire import host as wire
from stoker.wire import worker as worker_wire


def code_of(server, name: str = "d") -> str:
    """The key of a deployment's code, as a host learns it."""
    found = msgspec.convert(server.get(f"/api/deployments/f/{name}"), Deployment)
    assert found.code is not None
    return found.code.key


def test_a_change_of_its_pool_reaches_a_host_at_once(server, up):
    _, host = up
    server.make("PATCH", "/api/work-pools/pool", {"fence_after": 60, "warm": {"max_runs": 9}})
    terms = host.hear(wire.NewTerms).terms
    assert terms == HostTerms(fence_after=60.0, max_runs=9, max_memory_growth=256.0)
    host.say(wire.TermsTaken(fence_after=60.0))
    server.make("PATCH", "/api/work-pools/pool", {"paused": True})
    server.make("PATCH", "/api/work-pools/pool", {"warm": {"max_age": 5}})
    assert host.hear(wire.NewTerms).terms.max_age == 5.0
    (stored,) = server.get("/api/work-pools/pool")["hosts"]
    assert stored["fence_after"] == 60.0


def test_a_host_learns_its_terms_when_it_connects(server, up, host):
    first, _ = up
    server.make("PATCH", "/api/work-pools/pool", {"warm": {"max_runs": 3, "max": 2, "min": 2}})
    order = first.orders(2)[1]
    first.launched(order.host_id, "token")
    welcome = host(order.host_id).hear(wire.HostWelcome)
    assert welcome.terms == HostTerms(fence_after=600.0, max_runs=3, max_memory_growth=256.0)


def test_a_worn_host_is_told_to_leave_when_another_is_as_warm(server, up, host):
    first, worn = up
    key = code_of(server)
    worn.say(wire.ZygoteChanged(key=key, state="ready"))
    worn.say(wire.HostWorn(reason="old"))
    new_id = next(one.host_id for one in first.orders(2) if one.host_id != worn.id)
    first.launched(new_id, "token")
    new = host(new_id).welcome()
    run = server.run()
    assert worn.job().run_id == run["id"], "until then it takes runs"
    worn.finish(run["id"])
    new.say(wire.ZygoteChanged(key=key, state="ready"))
    worn.hear(wire.Drain)
    run = server.run()
    assert new.job().run_id == run["id"]
    states = {one["id"]: one["message"] for one in server.get("/api/work-pools/pool")["hosts"]}
    assert states[worn.id] == "replaced: old"


@pytest.fixture
def own(server, worker, host):
    """A worker, and a host that is used once and has a run: the run's id, too."""
    server.deploy("own", isolation="host")
    first = worker()
    (order,) = first.orders(1)
    assert (order.once, order.slots) == (True, 1)
    first.launched(order.host_id, "token")
    up = host(order.host_id).welcome()
    run = server.run("f/own")
    assert up.job().run_id == run["id"]
    return first, up, run["id"]


def test_a_host_that_is_used_once_is_replaced_while_its_run_goes_on(server, own):
    first, up, run_id = own
    first.orders(2)
    second = server.run("f/own")["id"]
    up.finish(run_id)
    assert server.state(second) == "SCHEDULED"
    first.say(worker_wire.HostLost(host_id=up.id, reason="it left"))
    assert server.state(run_id) == "COMPLETED"


def test_it_keeps_its_run_over_a_new_connection_and_gets_no_other(server, own, host):
    _, up, run_id = own
    up.close()
    again = host(up.id)
    again.welcome((run_id, 1))
    second = server.run("f/own")["id"]
    again.finish(run_id)
    assert server.state(run_id) == "COMPLETED"
    assert server.state(second) == "SCHEDULED"
    again.say(wire.HostHeartbeat(at=1.0))
    again.hear(wire.HeartbeatAck)
    assert not again.heard(wire.Drain, wire.Assign)


def test_where_its_run_never_arrived_it_leaves_and_the_run_is_queued_again(server, own, host):
    _, up, run_id = own
    up.close()
    again = host(up.id)
    again.welcome()
    again.hear(wire.Drain)
    assert server.state(run_id) == "SCHEDULED"


def test_a_run_on_a_host_of_its_own_can_be_cancelled(server, own):
    _, up, run_id = own
    server.make("POST", f"/api/flow-runs/{run_id}/cancel")
    cancel = up.hear(wire.CancelRun)
    assert (cancel.run_id, cancel.attempt) == (run_id, 1)
