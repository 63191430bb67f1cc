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
    (S.PENDING, Command.RELEASE): S.SCHEDULED,
    (S.PENDING, Command.START): S.RUNNING,
    (S.PENDING, Command.FINISH): S.COMPLETED,
    (S.PENDING, Command.CANCEL): S.CANCELLING,
    (S.PENDING, Command.CRASH): S.CRASHED,
    (S.RUNNING, Command.START): S.RUNNING,
    (S.RUNNING, Command.RETRY): S.RUNNING,
    (S.RUNNING, Command.FINISH): S.COMPLETED,
    (S.RUNNING, Command.CANCEL): S.CANCELLING,
    (S.RUNNING, Command.CRASH): S.CRASHED,
    (S.CANCELLING, Command.FINISH): S.CANCELLED,
    (S.CANCELLING, Command.CRASH): S.CANCELLED,
}


def run_in(state: StateType, **fields) -> FlowRun:
    record = StateRecord(state, state.title(), 1.0)
    return FlowRun(id="r", name="n", flow_name="f", state=record, **fields)


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
    run = run_in(state, version=7, attempt=3)
    expected = ALLOWED.get((state, command))
    if expected is None:
        assert state.title() in refused(run, wish_for(command))
        return
    found = decided(run, wish_for(command))
    assert found.state.type is expected
    assert found.state.at == 2.0
    assert found.version == 7


def test_the_table_leaves_no_terminal_state_and_ends_where_it_must():
    assert not [state for state, _ in TABLE if state in TERMINAL]
    for state in ACTIVE:
        assert (state, Command.CRASH) in TABLE, "whatever is active can lose its host"
        assert (state, Command.FINISH) in TABLE


@pytest.mark.parametrize(("state", "command"), sorted(ALLOWED))
def test_another_attempt_than_the_current_is_fenced(state, command):
    run = run_in(state, attempt=2)
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


def applied(run: FlowRun, change: Transition) -> FlowRun:
    state = change.state
    started = state.at if change.first_start else run.started
    return run_in(
        state.type,
        version=run.version + 1,
        attempt=change.attempt,
        run_count=change.run_count,
        host_id=change.host_id,
        started=started,
    )


WISHES = st.builds(
    Wish,
    command=st.sampled_from(Command),
    at=st.floats(0, 100),
    attempt=st.sampled_from([None, None, None, 0, 1, 2]),
    state=st.none() | st.builds(StateRecord, st.sampled_from(S), st.just("X"), st.just(1.0)),
    host_id=st.just("h"),
    run_count=st.none() | st.integers(0, 4),
)


@given(st.sampled_from(S), st.lists(WISHES, max_size=20))
def test_no_sequence_of_wishes_leaves_an_end_or_goes_back(begin, wishes):
    run = run_in(begin)
    for wish in wishes:
        change = decide(run, wish)
        if isinstance(change, Rejected):
            continue
        assert run.state.type not in TERMINAL
        after = applied(run, change)
        assert after.version > run.version
        assert after.attempt - run.attempt == (wish.command is Command.CLAIM)
        assert after.run_count >= run.run_count
        assert after.state.type is not S.SCHEDULED or after.host_id is None
        run = after
