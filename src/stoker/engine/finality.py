"""How a run ends whose function returned futures or states: as they did.

As in Prefect 3: https://docs.prefect.io/v3/concepts/states#final-state-determination
"""

from collections.abc import Iterable
from typing import Any, cast

from stoker.domain.states import StateRecord, StateType
from stoker.engine import resolve
from stoker.engine.steps import Outcome
from stoker.states import State


def final_outcome(value: Any, at: float) -> Outcome:
    """Return the end of a run that returned ``value``.

    A state or future is the end itself. Of a collection of them, one that did not complete
    makes the run fail; its value is the list of states. Every other value completes the run.
    """
    single = _state_of(value)
    if single is not None:
        return _ended_as(single, at)
    if type(value) in {list, tuple, set} and value:
        parts = list(cast(Iterable[Any], value))
        states = [_state_of(part) for part in parts]
        if all(state is not None for state in states):
            return _ended_together(cast(list[State[Any]], states), at)
        return Outcome(_completed(at), type(value)(map(_kept, parts, states)))
    if type(value) is dict and next(resolve.placeholders(value), None) is not None:
        items = cast(dict[Any, Any], value).items()
        value = {key: _kept(item, _state_of(item)) for key, item in items}
    return Outcome(_completed(at), value)


def _completed(at: float) -> StateRecord:
    return StateRecord(StateType.COMPLETED, "Completed", at)


def _state_of(value: Any) -> State[Any] | None:
    if isinstance(value, State):
        return cast(State[Any], value)
    if next(resolve.placeholders(value), None) is value:
        from stoker.futures import Future

        if isinstance(value, Future):
            return cast(Future[Any], value).wait().state
    return None


def _kept(item: Any, state: State[Any] | None) -> Any:
    return item if state is None else state


def _ended_as(state: State[Any], at: float) -> Outcome:
    if not state.is_final():
        raise ValueError(
            f"a run cannot end {state.name}; return a final state, for example Completed()"
        )
    record = StateRecord(state.type, state.name, at, state.message)
    if state.is_completed():
        return Outcome(record, state.data)
    return Outcome(record, None, state.error())


def _ended_together(states: list[State[Any]], at: float) -> Outcome:
    bad = [state for state in states if not state.is_completed()]
    if not bad:
        return Outcome(_completed(at), states)
    message = f"{len(bad)} of {len(states)} states are not Completed; the first: {bad[0].message}"
    return Outcome(StateRecord(StateType.FAILED, "Failed", at, message), None, bad[0].error())
