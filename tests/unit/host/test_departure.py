"""When a host takes runs, and when it leaves."""

from stoker.host.agent.departure import Departure


def test_a_host_takes_runs_until_it_drains():
    departure = Departure(once=False)
    departure.took_run()
    assert departure.may_take()
    assert not departure.is_due(connected=False)
    departure.draining = True
    assert not departure.may_take()


def test_a_host_that_drains_waits_for_runs_that_are_on_their_way():
    departure = Departure(once=False)
    departure.draining = True
    assert not departure.is_due(connected=True)
    assert departure.is_due(connected=False)
    departure.dismissed = True
    assert departure.is_due(connected=True)


def test_a_host_that_is_used_once_takes_one_run_and_leaves_unasked():
    departure = Departure(once=True)
    assert departure.may_take()
    assert not departure.is_due(connected=True)
    departure.took_run()
    assert not departure.may_take()
    assert departure.is_due(connected=True)
