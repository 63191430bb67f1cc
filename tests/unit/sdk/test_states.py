"""States as users see them."""

import pickle

import pytest

from stoker.domain.states import ResultRecord, StateRecord, StateType
from stoker.results import encode_error
from stoker.states import (
    Cancelled,
    CancelledRun,
    Completed,
    Crashed,
    CrashedRun,
    Failed,
    FailedRun,
    MissingResult,
    Pending,
    Running,
    Scheduled,
    State,
    UnfinishedRun,
)


@pytest.mark.parametrize(
    ("state", "question"),
    [
        (Completed(), "is_completed"),
        (Failed(), "is_failed"),
        (Crashed(), "is_crashed"),
        (Cancelled(), "is_cancelled"),
        (Pending(), "is_pending"),
        (Running(), "is_running"),
        (Scheduled(), "is_scheduled"),
        (State(StateType.PAUSED), "is_paused"),
        (State(StateType.CANCELLING), "is_cancelling"),
    ],
)
def test_each_state_is_what_it_is_alone(state: State, question: str) -> None:
    asked = [name for name in dir(State) if name.startswith("is_") and name != "is_final"]
    assert [name for name in asked if getattr(state, name)()] == [question]
    assert state.is_final() == (question in {
        "is_completed", "is_failed", "is_crashed", "is_cancelled"
    })  # fmt: skip
    assert state.name == state.type.value.capitalize()


def test_results() -> None:
    assert Completed(data=3).result() == 3
    with pytest.raises(UnfinishedRun, match="Running"):
        Running().result()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (Failed("why"), FailedRun),
        (Crashed("why"), CrashedRun),
        (Cancelled("why"), CancelledRun),
        (Failed("why", data=KeyError("why")), KeyError),
    ],
)
def test_results_of_what_did_not_complete(state: State, error: type[Exception]) -> None:
    with pytest.raises(error, match="why"):
        state.result()
    assert isinstance(state.result(raise_on_failure=False), error)


def test_a_record_with_its_result() -> None:
    record = StateRecord(StateType.COMPLETED, "Completed", 5.0, "fine")
    state = State.from_record(record, ResultRecord("json", b'{"a": 1}'))
    assert (state.timestamp, state.message) == (5.0, "fine")
    assert state.result() == {"a": 1}
    with pytest.raises(MissingResult, match="not kept"):
        State.from_record(record).result()


def test_a_record_with_an_error() -> None:
    record = StateRecord(StateType.FAILED, "Failed", 5.0, "ValueError: no")
    with pytest.raises(ValueError, match="no"):
        State.from_record(record, encode_error(ValueError("no"))).result()
    with pytest.raises(FailedRun, match="ValueError: no"):
        State.from_record(record).result()


def test_a_state_can_be_pickled() -> None:
    state = pickle.loads(pickle.dumps(Completed("fine", data=[1])))
    assert (state, state.result()) == (Completed("fine"), [1])
    assert repr(state) == "Completed('fine')"
