"""What the caller of a flow or task gets once its run is over."""

from typing import Any

from stoker.engine.context import Context
from stoker.engine.steps import Outcome, Steps


def ended(outcome: Outcome, return_state: bool) -> Any:
    """Return what a run returned, or its state, or raise what ended it.

    What ends a process, such as `KeyboardInterrupt`, is raised in place of any state.
    """
    error = outcome.error
    if return_state and (error is None or isinstance(error, Exception)):
        from stoker.states import State

        return State.of(outcome)
    if error is None:
        return outcome.value
    try:
        raise error
    finally:
        # The traceback holds this frame: without it there is no cycle to collect.
        del error, outcome


async def ended_later(steps: Steps, context: Context, return_state: bool) -> Any:
    """Run a machine on the event loop, and end as `ended` does."""
    from stoker.engine import looping

    return ended(await looping.drive(steps, context), return_state)
