"""The table of states and commands, and the function that reads it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.runs import FlowRun
from stoker.domain.states import ACTIVE, TERMINAL, ResultRecord, StateRecord, StateType
from stoker.domain.transitions import TABLE, Command, Rejected, Transition, Wish, decide

S = StateType
PAIRS = list(itertools.product(StateType, Command))

# Written out once more, so that a change of the table is a change of this test.
ALLOWED = {
    (S.SCHEDULED, Command.CLAIM): S.PENDING,
    (S.SCHEDULED, Command.CANCEL): S.CANCELLED,
    (S.SCHEDULED, Command.LATE): S.SCHEDULED,
    (S.SCHEDULED, Command.SUSPEND): S.PAUSED,
    (S.PENDING, Command.RELEASE): S.SCHEDULED,
    (S.PENDING, Command.START): S.RUNNING,
    (S.PENDING, Command.FINISH): S.COMPLETED,
    (S.PENDING, Command.CANCEL): S.CANCELLING,
    (S.PENDING, Command.CRASH): S.CRASHED,
    (S.PENDING, Command.RECOVER): S.SCHEDULED,
    (S.PENDING, Command.SUSPEND): S.PAUSED,
    (S.RUNNING, Command.START): S.RUNNING,
    (S.RUNNING, Command.RETRY): S.RUNNING,
    (S.RUNNING, Command.FINISH): S.COMPLETED,
    (S.RUNNING, Command.CANCEL): S.CANCELLING,
    (S.RUNNING, Command.CRASH): S.CRASHED,
    (S.RUNNING, Command.RECOVER): S.SCHEDULED,
    (S.RUNNING, Command.PAUSE): S.PAUSED,
    (S.RUNNING, Command.SUSPEND): S.PAUSED,
    (S.RUNNING, Command.LEAVE): S.PAUSED,
    (S.PAUSED, Command.FINISH): S.COMPLETED,
    (S.PAUSED, Command.CANCEL): S.CANCELLING,
    (S.PAUSED, Command.CRASH): S.CRASHED,
    (S.PAUSED, Command.RECOVER): S.SCHEDULED,
    (S.PAUSED, Command.SUSPEND): S.PAUSED,
    (S.PAUSED, Command.LEAVE): S.PAUSED,
    (S.PAUSED, Command.RESUME): S.RUNNING,
    (S.PAUSED, Command.EXPIRE): S.RUNNING,
    (S.CANCELLING, Command.FINISH): S.CANCELLED,
    (S.CANCELLING, Command.CRASH): S.CANCELLED,
    **{(end, Command.RERUN): S.SCHEDULED for end in TERMINAL},
}
WITHOUT_PROCESS = {
    Command.CANCEL: S.CANCELLED,
    Command.RESUME: S.SCHEDULED,
    Command.EXPIRE: S.FAILED,
}
"""What can happen to a suspended run."""


def run_in(state: StateType, **fields) -> FlowRun:
    record = StateRecord(state, fields.pop("state_name", state.title()), 1.0)
    return FlowRun(id="r", name="n", flow_name="f", state=record, **fields)


def suspended(**fields) -> FlowRun:
    return run_in(S.PAUSED, state_name="Suspended", **fields)


def suspending(**fields) -> FlowRun:
    return run_in(S.PAUSED, state_name="Suspending", host_id="h", **fields)


def wish_for(command: Command, **fields) -> Wish:
    fields.setdefault("run_count", 2 if command is Command.START else None)
    return Wish(command=command, at=2.0, **fields)


def decided(run: FlowRun, wish: Wish) -> Transition:
    found = decide(run, wish)
    assert isinstance(found, Transition), found
    return found


def refused(run: FlowRun, wish: Wish) -> str:
    found = decide(run, wish)
    assert isinstance(found, Rejected), found
    return found.reason


@pytest.mark.parametrize(("state", "command"), PAIRS)
def test_every_pair_of_state_and_command(state, command):
    run = run_in(state, version=7, attempt=3, host_id="h")
    expected = ALLOWED.get((state, command))
    if expected is None:
        assert state.title() in refused(run, wish_for(command))
        return
    found = decided(run, wish_for(command))
    assert found.state.type is expected
    assert found.state.at == 2.0
    assert found.version == 7


@pytest.mark.parametrize("command", list(Command))
def test_what_can_happen_to_a_run_that_is_suspended(command):
    expected = WITHOUT_PROCESS.get(command)
    if expected is None:
        assert "Suspended" in refused(suspended(), wish_for(command))
        return
    found = decided(suspended(paused_until=9.0), wish_for(command))
    assert (found.state.type, found.paused_until, found.ends_attempt) == (expected, None, True)


def test_the_table_leaves_an_end_by_one_way_and_ends_where_it_must():
    left = {command for state, command in TABLE if state in TERMINAL}
    assert left == {Command.RERUN}
    for state in {*ACTIVE, S.PAUSED}:
        assert (state, Command.CRASH) in TABLE, "whatever is active can lose its host"
        assert (state, Command.FINISH) in TABLE


@pytest.mark.parametrize(("state", "command"), sorted(ALLOWED))
def test_another_attempt_than_the_current_is_fenced(state, command):
    run = run_in(state, attempt=2, host_id="h")
    assert "attempt 1 is over" in refused(run, wish_for(command, attempt=1))
    assert decided(run, wish_for(command, attempt=2)).run_id == "r"


def test_a_claim_begins_the_next_attempt_on_its_host():
    found = decided(run_in(S.SCHEDULED, attempt=1), wish_for(Command.CLAIM, host_id="h"))
    assert (found.attempt, found.host_id, found.ends_attempt) == (2, "h", False)


def test_a_released_run_has_no_host_and_keeps_its_attempt():
    found = decided(run_in(S.PENDING, attempt=1, host_id="h"), wish_for(Command.RELEASE))
    assert (found.attempt, found.host_id, found.ends_attempt) == (1, None, True)


def test_a_run_that_ends_keeps_the_host_that_it_ended_on():
    found = decided(run_in(S.RUNNING, attempt=1, host_id="h"), wish_for(Command.CRASH))
    assert (found.host_id, found.ends_attempt) == ("h", True)


def test_only_the_first_start_is_one():
    first = decided(run_in(S.PENDING), wish_for(Command.START, run_count=1))
    assert first.first_start
    assert (first.state.name, first.run_count) == ("Running", 1)
    again = decided(run_in(S.RUNNING, started=1.0, run_count=1), wish_for(Command.START))
    assert not again.first_start
    assert (again.state.name, again.run_count) == ("Retrying", 2)


def test_the_first_start_of_a_run_that_began_as_running_is_no_retry():
    """A flow that is called in a process is recorded as running before its first call."""
    found = decided(run_in(S.RUNNING, attempt=1), wish_for(Command.START, run_count=1))
    assert found.first_start
    assert found.state.name == "Running"


def test_a_start_that_was_counted_already_is_refused():
    run = run_in(S.RUNNING, started=1.0, run_count=2)
    assert refused(run, wish_for(Command.START, run_count=2))
    assert refused(run, wish_for(Command.START, run_count=1))
    assert decided(run, wish_for(Command.START, run_count=3)).run_count == 3


@pytest.mark.parametrize("end", sorted(TERMINAL))
@pytest.mark.parametrize("state", [S.PENDING, S.RUNNING, S.CANCELLING])
def test_a_run_ends_as_it_says_itself(state, end):
    result = ResultRecord("json", b"1")
    own = StateRecord(end, "Whatever", 9.0, "because")
    found = decided(run_in(state), wish_for(Command.FINISH, state=own, result=result))
    assert found.state == own
    assert found.result == result


@pytest.mark.parametrize("state", sorted(set(StateType) - TERMINAL))
def test_a_run_does_not_end_in_a_state_that_is_no_end(state):
    wish = wish_for(Command.FINISH, state=StateRecord(state, "Odd", 9.0))
    assert refused(run_in(S.RUNNING), wish) == "Odd does not end a run"


def test_a_lost_run_is_queued_again_and_counts_it():
    run = run_in(S.RUNNING, attempt=1, host_id="h", crashes=1, started=1.0, run_count=3)
    found = decided(run, wish_for(Command.RECOVER))
    assert found.state.name == "AwaitingCrashRetry"
    assert (found.attempt, found.host_id, found.crashes, found.ends_attempt) == (1, None, 2, True)
    assert (found.due, found.queued) == (2.0, True)
    later = decided(run, wish_for(Command.RECOVER, due=5.0))
    assert (later.due, later.queued) == (5.0, False)


def test_the_next_attempt_counts_its_calls_afresh():
    found = decided(run_in(S.SCHEDULED, attempt=1, run_count=3), wish_for(Command.CLAIM))
    assert found.run_count == 0


def test_a_run_that_is_put_back_or_late_keeps_its_place():
    for state, command in ((S.PENDING, Command.RELEASE), (S.SCHEDULED, Command.LATE)):
        assert decided(run_in(state, due=0.5), wish_for(command)).due == 0.5


def test_what_was_due_waits_for_no_clock_that_is_set_back():
    back = wish_for(Command.RELEASE)
    assert decided(run_in(S.PENDING, attempt=1, host_id="h", due=99.0), back).queued
    assert decided(run_in(S.SCHEDULED, due=99.0, queued=True), wish_for(Command.LATE)).queued
    resumed = decided(suspended(attempt=1, due=99.0), wish_for(Command.RESUME))
    assert (resumed.queued, resumed.due) == (True, 2.0)


def test_what_is_for_later_is_not_in_its_queue():
    assert not decided(run_in(S.SCHEDULED, due=99.0), wish_for(Command.LATE)).queued
    assert not decided(suspended(due=99.0), wish_for(Command.RESUME)).queued


def test_a_run_becomes_late_once():
    assert refused(run_in(S.SCHEDULED, state_name="Late"), wish_for(Command.LATE))


def test_a_pause_keeps_its_host_and_its_end():
    found = decided(run_in(S.RUNNING, host_id="h"), wish_for(Command.PAUSE, until=9.0))
    assert (found.host_id, found.paused_until, found.ends_attempt) == ("h", 9.0, False)
    over = decided(run_in(S.PAUSED, host_id="h", paused_until=9.0), wish_for(Command.RESUME))
    assert (over.state.name, over.host_id, over.paused_until) == ("Running", "h", None)


def test_a_run_is_suspended_once_its_process_has_ended():
    asked = decided(run_in(S.RUNNING, host_id="h"), wish_for(Command.SUSPEND, until=9.0))
    assert (asked.state.name, asked.host_id, asked.ends_attempt) == ("Suspending", "h", False)
    run = suspending(paused_until=9.0, crashes=1)
    assert refused(run, wish_for(Command.RESUME))
    assert refused(run, wish_for(Command.EXPIRE))
    assert refused(run, wish_for(Command.SUSPEND))
    for command in (Command.LEAVE, Command.CRASH, Command.RECOVER):
        found = decided(run, wish_for(command))
        assert (found.state.type, found.state.name) == (S.PAUSED, "Suspended")
        assert (found.host_id, found.paused_until, found.ends_attempt) == (None, 9.0, True)
        assert found.crashes == 1


def test_a_suspended_run_that_was_for_later_stays_so():
    assert decided(suspended(due=7.0), wish_for(Command.RESUME)).due == 7.0
    assert decided(suspended(due=0.5), wish_for(Command.RESUME)).due == 2.0


def test_a_run_that_is_run_again_begins_at_once_and_may_crash_as_often_as_before():
    run = run_in(S.CRASHED, attempt=2, host_id="h", crashes=3, due=0.5)
    found = decided(run, wish_for(Command.RERUN))
    assert found.state.name == "AwaitingRetry"
    assert (found.attempt, found.host_id, found.crashes) == (2, None, 0)
    assert (found.due, found.queued) == (2.0, True)


def applied(run: FlowRun, change: Transition) -> FlowRun:
    state = change.state
    started = state.at if change.first_start else run.started
    return run_in(
        state.type,
        state_name=state.name,
        version=run.version + 1,
        attempt=change.attempt,
        run_count=change.run_count,
        host_id=change.host_id,
        started=started,
        due=change.due,
        queued=change.queued,
        crashes=change.crashes,
        paused_until=change.paused_until,
    )


WISHES = st.builds(
    Wish,
    command=st.sampled_from(Command),
    at=st.floats(0, 100),
    attempt=st.sampled_from([None, None, None, 0, 1, 2]),
    state=st.none() | st.builds(StateRecord, st.sampled_from(S), st.just("X"), st.just(1.0)),
    host_id=st.just("h"),
    run_count=st.none() | st.integers(0, 4),
    due=st.none() | st.floats(0, 200),
    until=st.none() | st.floats(0, 200),
)


@given(st.sampled_from(S), st.lists(WISHES, max_size=30))
def test_no_sequence_of_wishes_breaks_a_rule(begin, wishes):
    run = run_in(begin, host_id="h" if begin in ACTIVE else None)
    for wish in wishes:
        change = decide(run, wish)
        if isinstance(change, Rejected):
            continue
        after = applied(run, change)
        kind, command = after.state.type, wish.command
        assert run.state.type not in TERMINAL or command is Command.RERUN
        assert after.version > run.version
        assert after.attempt - run.attempt == (command is Command.CLAIM)
        assert after.run_count >= run.run_count or command is Command.CLAIM
        # What executes has a host; what waits for one, and what is suspended, has none.
        assert kind not in ACTIVE or after.host_id == "h"
        assert kind is not S.SCHEDULED or after.host_id is None
        assert not after.queued or kind is S.SCHEDULED
        # No lease outlives its attempt, and none is given back while its process may live.
        executes = kind in ACTIVE or (kind is S.PAUSED and after.host_id is not None)
        assert change.ends_attempt == (not executes)
        assert after.paused_until is None or kind is S.PAUSED
        assert after.crashes >= run.crashes or command is Command.RERUN
        assert after.crashes - run.crashes <= 1
        run = after
