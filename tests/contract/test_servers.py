"""The contract of `Store`: servers, leaders, launches and zygotes."""

import time

import pytest

from stoker.domain.hosts import Host, HostState, HostZygote
from stoker.domain.servers import Launches, Server
from stoker.ports.store import Store


@pytest.fixture
def do(store: Store):
    return lambda work: store.write(work).result(10)


def a_server(name: str, until: float = 10.0) -> Server:
    return Server(id=name, address=f"http://{name}", version="1", started=1.0, lease_until=until)


def test_the_time_is_about_that_of_this_machine(do):
    before = time.time()
    assert before - 2.0 < do(lambda records: records.time()) < time.time() + 2.0


def test_servers_are_registered_renewed_and_forgotten(do):
    do(lambda records: records.put_server(a_server("b")))
    do(lambda records: records.put_server(a_server("a")))
    do(lambda records: records.put_server(a_server("b", 20.0)))
    assert do(lambda records: records.servers()) == [a_server("a"), a_server("b", 20.0)]
    do(lambda records: records.delete_server("a"))
    assert do(lambda records: records.servers()) == [a_server("b", 20.0)]


def test_one_server_leads_a_loop_until_its_lease_lapses_or_it_leaves(do):
    def lead(name: str, server: str, now: float) -> bool:
        return do(lambda records: records.lead(name, server, now, 6.0))

    assert lead("sweeper", "a", 100.0)
    assert not lead("sweeper", "b", 105.0)
    assert lead("planner", "b", 105.0), "another loop"
    assert lead("sweeper", "a", 105.0), "renewed"
    assert not lead("sweeper", "b", 110.0)
    assert lead("sweeper", "b", 111.5)
    assert not lead("sweeper", "a", 111.5)
    do(lambda records: records.delete_server("b"))
    assert lead("sweeper", "a", 111.5)
    assert lead("planner", "a", 111.5)


def test_a_lease_of_before_the_clock_was_set_back_holds_nobody_up(do):
    assert do(lambda records: records.lead("sweeper", "a", 5000.0, 6.0))
    assert do(lambda records: records.lead("sweeper", "b", 100.0, 6.0))


def test_how_far_leaps_were_followed(do):
    assert do(lambda records: records.leapt()) == 0.0
    for seconds in (-3600.5, 10.25):
        do(lambda records, seconds=seconds: records.put_leapt(seconds))
        assert do(lambda records: records.leapt()) == seconds


def test_how_launches_go(do):
    one = Launches(pool="p", lane="l", failures=2, blocked_until=9.0, reason="no", starts=[1.5])
    other = Launches(pool="p", lane="m")
    for launches in (other, Launches(pool="p", lane="l"), one, Launches(pool="q", lane="l")):
        do(lambda records, launches=launches: records.put_launches(launches))
    assert do(lambda records: records.launches("p")) == [one, other]
    do(lambda records: records.delete_launches("p"))
    assert do(lambda records: records.launches("p")) == []
    assert len(do(lambda records: records.launches("q"))) == 1


def test_zygotes_are_those_of_living_hosts(do):
    do(lambda records: records.put_host(Host(id="h", pool="p", lane="l", state=HostState.UP)))
    do(lambda records: records.put_host(Host(id="i", pool="q", lane="l", state=HostState.UP)))
    good = HostZygote(host_id="h", key="k", import_seconds=1.5, faults=["a thread"])
    bad = HostZygote(host_id="h", key="m", ready=False, message="no module")
    far = HostZygote(host_id="i", key="k")
    for zygote in (HostZygote(host_id="h", key="k"), good, bad, far):
        do(lambda records, zygote=zygote: records.put_zygote(zygote))
    assert do(lambda records: records.zygotes("p")) == [good, bad]
    assert do(lambda records: records.zygotes()) == [good, bad, far]
    do(lambda records: records.drop_zygotes("h", "k"))
    assert do(lambda records: records.zygotes("p")) == [bad]
    do(lambda records: records.put_host(Host(id="h", pool="p", lane="l", state=HostState.DEAD)))
    assert do(lambda records: records.zygotes()) == [far]
    do(lambda records: records.drop_zygotes("i"))
    assert do(lambda records: records.zygotes()) == []
