"""The driver for ordinary functions: does what a machine asks for, blocking."""

import time
from typing import Any

from stoker.engine.context import CURRENT, Context
from stoker.engine.interrupts import call_within, deliver
from stoker.engine.steps import (
    Call,
    Flush,
    GiveBack,
    Note,
    Outcome,
    Resolve,
    Settle,
    Sleep,
    Step,
    Steps,
    Take,
    Tell,
)


def drive(steps: Steps, context: Context) -> Outcome:
    """Run a machine to its end, as the run of ``context``.

    Raises:
        BaseException: What the machine itself raises; a run's own failure is an outcome.
    """
    token = CURRENT.set(context)
    try:
        step = steps.send(None)
        while True:
            try:
                if type(step) is Call and step.timeout is None:
                    answer = step.function(*step.args, **step.kwargs)
                elif type(step) is Tell:
                    flow = context.flow
                    answer = deliver(flow.backend, flow.id, *step.reports)
                else:
                    answer = perform(step, context)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return end.value
    finally:
        CURRENT.reset(token)


def perform(step: Step, context: Context) -> Any:
    """Do one thing that a machine asks for, and return the answer."""
    match step:
        case Call():
            if step.timeout is None:
                return step.function(*step.args, **step.kwargs)
            return call_within(step.timeout, step.what, step.function, step.args, step.kwargs)
        case Sleep():
            return time.sleep(seconds_of(step))
        case Tell():
            return deliver(context.flow.backend, context.flow.id, *step.reports)
        case Note():
            from stoker.logging import note

            return note(context, step.level, step.text, step.error)
        case Resolve():
            from stoker.futures import resolve_arguments

            return resolve_arguments(step.args, step.kwargs, step.wait_for)
        case Settle():
            return step.pool.settle(cancel=step.cancel, abandon=step.abandon)
        case Take():
            from stoker.engine.slots import take_tags

            return take_tags(step.claim)
        case GiveBack():
            return step.claim.give_back()
        case Flush():
            return context.flow.backend.flush()


def seconds_of(step: Sleep) -> float:
    """Return a delay with its random part."""
    if not step.jitter:
        return step.seconds
    import random

    return step.seconds * (1 + step.jitter * random.random())
