"""Pausing, suspending and resuming flow runs."""

from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar, cast

from stoker.domain.requests import HoldRun, PauseRun, ResumeRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.engine import backends
from stoker.engine.context import FlowContext, MissingContext, require
from stoker.engine.interrupts import RunSuspended

__all__ = [
    "apause_flow_run",
    "aresume_flow_run",
    "asuspend_flow_run",
    "pause_flow_run",
    "resume_flow_run",
    "suspend_flow_run",
]

T = TypeVar("T")

HOUR = 3600.0

_numbers = count(1)
"""Numbers the pauses of this process that have no key."""


def pause_flow_run(
    *, timeout: float | None = HOUR, key: str | None = None, flow_run_id: str | None = None
) -> None:
    """Pause the present flow run until somebody resumes it: it keeps its process and its slot.

    Inside a coroutine function it returns an awaitable; `apause_flow_run` always does.

    Args:
        timeout: Seconds after which it fails instead; None to wait for ever. A time limit of the
            flow goes on meanwhile.
        key: Names the pause. One that is over does not pause again, for example in the next
            attempt after a crash. By default the pauses of an attempt are numbered.
        flow_run_id: Pauses another run, from outside: its processes stand still.

    Raises:
        FlowPauseTimeout: Nobody resumed it in time.
        MissingContext: It was called outside of a flow, or in a task.
        Conflict: The run does not execute, or not as a deployment.

    Example:
        ```python
        @flow
        def release():
            build()
            pause_flow_run(timeout=600)  # Until `stoker flow-run resume ID`.
            publish()
        ```
    """
    return _now_or_later(_held(flow_run_id, timeout, key, suspend=False))


async def apause_flow_run(
    *, timeout: float | None = HOUR, key: str | None = None, flow_run_id: str | None = None
) -> None:
    """Do what `pause_flow_run` does, in a coroutine."""
    await _later(_held(flow_run_id, timeout, key, suspend=False))


def suspend_flow_run(
    *, flow_run_id: str | None = None, timeout: float | None = HOUR, key: str | None = None
) -> None:
    """Suspend a flow run until somebody resumes it: its process ends, and its slot is free.

    Resumed, it is queued again, and its function is called from the start; there the same pause
    is passed over. What the run has done before it does again, unless its tasks are such that
    they know.

    Inside a coroutine function it returns an awaitable; `asuspend_flow_run` always does.

    Args:
        flow_run_id: Another run; the present one by default.
        timeout: Seconds after which it fails instead; None to wait for ever.
        key: See `pause_flow_run`.

    Raises:
        MissingContext: It was called outside of a flow, or in a task.
        Conflict: The run is over, or does not execute as a deployment.
    """
    return _now_or_later(_held(flow_run_id, timeout, key, suspend=True))


async def asuspend_flow_run(
    *, flow_run_id: str | None = None, timeout: float | None = HOUR, key: str | None = None
) -> None:
    """Do what `suspend_flow_run` does, in a coroutine."""
    await _later(_held(flow_run_id, timeout, key, suspend=True))


def resume_flow_run(flow_run_id: str) -> None:
    """Let a flow run go on that is paused or suspended.

    Inside a coroutine function it returns an awaitable; `aresume_flow_run` always does.

    Raises:
        NotFound: There is no such run.
        Conflict: It is not paused, or its deployment was deleted meanwhile.
    """
    return _now_or_later(lambda: _resume(flow_run_id))


async def aresume_flow_run(flow_run_id: str) -> None:
    """Do what `resume_flow_run` does, in a coroutine."""
    await _later(lambda: _resume(flow_run_id))


def _resume(flow_run_id: str) -> None:
    backends.current().ask(ResumeRun(run_id=flow_run_id))


def _held(
    flow_run_id: str | None, timeout: float | None, key: str | None, *, suspend: bool
) -> Callable[[], None]:
    what = "suspend_flow_run" if suspend else "pause_flow_run"
    if timeout is not None and timeout <= 0:
        raise ValueError(f"{what}: timeout must be more than 0 seconds, not {timeout}")
    if flow_run_id is not None:
        other = HoldRun(run_id=flow_run_id, timeout=timeout, suspend=suspend)
        return lambda: _hold(other)
    context = require(what)
    if not isinstance(context, FlowContext):
        raise MissingContext(f"{what} works in a flow, not in a task; call it in the flow itself")
    name = key or str(next(_numbers))
    request = PauseRun(run_id=context.id, key=name, timeout=timeout, suspend=suspend)
    return lambda: _pause(request)


def _hold(request: HoldRun) -> None:
    backends.current().ask(request)


def _pause(request: PauseRun) -> None:
    run: FlowRun = backends.current().ask(request)
    if request.suspend and run.state.type is StateType.PAUSED:
        raise RunSuspended("it suspended itself")


def _now_or_later(work: Callable[[], None]) -> None:
    from stoker.deployments import in_coroutine

    # Its type says what the many get; who calls it in a coroutine knows to await it.
    return cast(None, _later(work)) if in_coroutine() else work()


def _later(work: Callable[[], T]) -> Awaitable[T]:
    from stoker.engine.looping import in_thread

    return in_thread(work)
