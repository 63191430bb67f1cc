"""What a host needs of the engine: flows of a module made ready, and one job executed."""

import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from stoker.domain.deployments import Code
from stoker.domain.errors import Invalid
from stoker.domain.reports import Finished
from stoker.domain.states import StateRecord, StateType
from stoker.engine import backends, blocking
from stoker.engine.context import FlowContext
from stoker.engine.interrupts import cancelled_by_sigterm
from stoker.engine.machine import FlowAttempts, attempts, failed
from stoker.engine.parameters import ParameterError
from stoker.engine.steps import Outcome, Steps
from stoker.flows import Flow
from stoker.ports.backend import Backend
from stoker.results import encode_error
from stoker.suspend_signal import SUSPEND_SIGNAL
from stoker.tasks import Task
from stoker.wire.host import Job

AnyFlow = Flow[..., Any]
AnyTask = Task[..., Any]


def prepare(module: ModuleType) -> None:
    """Load and build what the flows of a module need for their first call, and no more.

    pydantic is loaded where one of them has a parameter to validate, asyncio where one is a
    coroutine function. What is wrong with a flow is told by its runs.
    """
    needed = {"stoker.engine.tracebacks", "stoker.logging"}
    for value in list(vars(module).values()):
        if isinstance(value, Task):
            needed |= {"stoker.futures", "stoker.task_runners"}
        elif not isinstance(value, Flow):
            continue
        elif value.validates:
            with suppress(ParameterError):
                value.signature.prepare()
        if cast("AnyFlow | AnyTask", value).is_async:
            needed.add("stoker.engine.looping")
    for name in needed:
        import_module(name)


@Task
def _step() -> None:
    """A step of the rehearsal."""


def _nothing() -> None:
    """What the rehearsal plays."""
    _step()


_stage = ModuleType("stoker_rehearsal")
_stage.__dict__["nothing"] = Flow(_nothing)
_play = Job(run_id="", attempt=1, code=Code(path="", file=""), function="nothing")


def rehearse() -> None:
    """Run a flow that does nothing through all of the engine; it leaves no trace."""
    execute(_stage, _play, backends.NULL)


def flow_of(module: ModuleType, function: str) -> AnyFlow:
    """Return a module's flow by the name of its function.

    Raises:
        Invalid: There is none; says which there are.
    """
    found = getattr(module, function, None)
    if isinstance(found, Flow):
        return cast(AnyFlow, found)
    file = getattr(module, "__file__", None) or module.__name__
    flows = [name for name, value in vars(module).items() if isinstance(value, Flow)]
    known = f"its flows are: {', '.join(flows)}" if flows else "it has no flow at all"
    if found is None:
        raise Invalid(f"{file} has no flow {function!r}; {known}")
    raise Invalid(
        f"{function!r} in {file} is a {type(found).__name__} and no flow; put @flow on it, "
        f"or name another: {known}"
    )


def execute(module: ModuleType, job: Job, backend: Backend) -> Finished:
    """Run one flow of a module to its end, and return how it ended.

    Never raises for what a user did wrong: that is a `FAILED` state with one clear message.
    SIGTERM cancels the run, and `SUSPEND_SIGNAL` suspends it. All other reports than the last go
    to ``backend``.
    """
    try:
        # Threads that the user's code starts itself report to the same backend.
        with cancelled_by_sigterm(), backends.use(backend):
            flow = flow_of(module, job.function)
            return _run(flow, job, backend)
    except Invalid as error:
        state = StateRecord(StateType.FAILED, "Failed", time.time(), str(error))
        return Finished(state, encode_error(error))
    except BaseException as error:
        outcome = failed(error, time.time())
        return Finished(outcome.state, encode_error(error))


def _run(flow: AnyFlow, job: Job, backend: Backend) -> Finished:
    context = FlowContext(
        id=job.run_id,
        name=job.run_name,
        flow_name=flow.name,
        backend=backend,
        parent=job.parent_run_id,
        tags=job.tags,
        deployment=job.deployment,
        attempt=job.attempt,
        scheduled=job.scheduled,
        top=True,
        is_async=flow.is_async,
        log_prints=flow.logs_prints(None),
        task_runner=flow.task_runner,
    )
    run = FlowAttempts(flow, flow.plan, context, partial(flow.keep, job.run_id, local=False))
    parameters = flow.accept(run, (), job.parameters)
    args, kwargs = flow.signature.arguments(parameters) if parameters else ((), {})
    steps = attempts(run, args, kwargs, flow.fn, time.time)
    outcome = _run_async(steps, context) if flow.is_async else blocking.drive(steps, context)
    return run.finished(outcome)


def _run_async(steps: Steps, context: FlowContext) -> Outcome:
    import asyncio
    import signal

    from stoker.engine import looping
    from stoker.engine.interrupts import ENDING, RunSuspended, in_main_thread

    async def main() -> Outcome:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        ended_by = 0

        def end(number: int, _: object) -> None:
            nonlocal ended_by
            if not ended_by:
                ended_by = number
                loop.call_soon_threadsafe(task.cancel)

        if in_main_thread():
            # Raising in the middle of the event loop would break it: the task is cancelled.
            for number in ENDING:
                signal.signal(number, end)
        outcome = await looping.drive(steps, context)
        if ended_by == SUSPEND_SIGNAL and outcome.state.type is StateType.CANCELLED:
            return failed(RunSuspended("suspended"), time.time())
        return outcome

    return asyncio.run(main())
