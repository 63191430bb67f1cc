"""Pausing, suspending and resuming runs; and pauses that nobody ended in time."""

from stoker.domain.errors import Conflict, FlowPauseTimeout
from stoker.domain.pauses import OUTSIDE, Pause, PauseEnd
from stoker.domain.requests import HoldRun, PauseRun
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.domain.transitions import SUSPENDING, Command, Wish
from stoker.services.changing import change
from stoker.services.lookup import need_executed, need_run
from stoker.services.unit import CancelOrder, StopOrder, Unit

OVERDUE = 100
"""Pauses that one unit of work ends at the most."""


def pause_itself(unit: Unit, request: PauseRun) -> FlowRun | None:
    """Pause the run that asks; return it once it may go on, None as long as it has to wait.

    A run that suspends itself goes on with its end: it is returned at once.

    Raises:
        FlowPauseTimeout: This pause is over, since nobody resumed it in time.
        Conflict: It cannot pause, since it is being cancelled for example.
    """
    run = need_run(unit.records, request.run_id)
    known = unit.records.pause(run.id, request.key)
    match known and known.end:
        case PauseEnd.RESUMED:
            return run
        case PauseEnd.EXPIRED:
            raise FlowPauseTimeout(f"flow run {run.name} was paused and never resumed")
        case _:
            pass
    if run.state.type is not StateType.PAUSED:
        _begin(unit, run, request.timeout, suspend=request.suspend)
    elif known is not None:
        return run if request.suspend else None
    elif request.suspend:
        raise Conflict(f"flow run {run.name} is {run.state.name} already")
    unit.records.put_pause(Pause(run_id=run.id, key=request.key))
    return run if request.suspend else None


def give_up_pause(unit: Unit, run_id: str, attempt: int) -> None:
    """A run that paused itself has turned to something else: its time was over, for example."""
    run = need_run(unit.records, run_id)
    if run.attempt == attempt and run.state.name != SUSPENDING:
        change(unit, run, Wish(command=Command.RESUME, at=unit.now, attempt=attempt))


def hold(unit: Unit, request: HoldRun) -> FlowRun:
    """Pause or suspend a run from outside.

    A paused run's processes stand still. A suspended one's are ended, as if it were cancelled; it
    is `Suspended` when they have.

    Raises:
        NotFound: There is no such run.
        Conflict: It is over, does not run, or executes in a process that takes no orders.
    """
    run = need_executed(unit.records, request.run_id, "suspend" if request.suspend else "pause")
    _begin(unit, run, request.timeout, suspend=request.suspend)
    unit.records.put_pause(Pause(run_id=run.id, key=OUTSIDE))
    if run.host_id is not None:
        _order(unit, run, run.host_id)
    return run


def resume(unit: Unit, run_id: str) -> FlowRun:
    """Let a paused run go on; queue a suspended one again.

    Raises:
        NotFound: There is no such run.
        Conflict: It is not paused, or nothing could execute it any more.
    """
    run = need_run(unit.records, run_id)
    gone = run.deployment_id and unit.records.deployment(run.deployment_id) is None
    if run.host_id is None and gone:
        raise Conflict(f"the deployment of flow run {run.name} was deleted")
    rejected = change(unit, run, Wish(command=Command.RESUME, at=unit.now))
    if rejected is not None:
        raise Conflict(f"flow run {run.name}: {rejected.reason}")
    _over(unit, run, PauseEnd.RESUMED)
    return run


def expire(unit: Unit) -> float | None:
    """End the pauses that nobody ended in time; return when the next is to end."""
    for run in unit.records.overdue_pauses(unit.now, OVERDUE):
        message = f"it was {run.state.name.lower()} and never resumed"
        host_id = run.host_id
        change(unit, run, Wish(command=Command.EXPIRE, at=unit.now, message=message))
        outside = unit.records.pause(run.id, OUTSIDE)
        if host_id is not None and outside is not None and outside.end is PauseEnd.OPEN:
            order = CancelOrder(host_id, run.id, run.attempt, now=True, failure=message)
            unit.cancels.append(order)
        _over(unit, run, PauseEnd.EXPIRED)
    return unit.records.next_overdue()


def tell_again(unit: Unit, run: FlowRun, host_id: str) -> None:
    """Tell a host that is connected again what concerns the pauses of a run that it holds."""
    if run.state.name == SUSPENDING:
        unit.cancels.append(CancelOrder(host_id, run.id, run.attempt, suspend=True))
        return
    pause = unit.records.pause(run.id, OUTSIDE)
    if pause is None:
        return
    if pause.end is PauseEnd.EXPIRED:
        failure = run.state.message or "it was paused and never resumed"
        unit.cancels.append(CancelOrder(host_id, run.id, run.attempt, now=True, failure=failure))
        return
    stop = run.state.type is StateType.PAUSED
    unit.stops.append(StopOrder(host_id, run.id, run.attempt, stop=stop))


def _begin(unit: Unit, run: FlowRun, timeout: float | None, *, suspend: bool) -> None:
    wish = Wish(
        command=Command.SUSPEND if suspend else Command.PAUSE,
        at=unit.now,
        until=None if timeout is None else unit.now + timeout,
    )
    rejected = change(unit, run, wish)
    if rejected is not None:
        raise Conflict(f"flow run {run.name}: {rejected.reason}")
    unit.scheduled = True


def _order(unit: Unit, run: FlowRun, host_id: str) -> None:
    if run.state.name == SUSPENDING:
        unit.cancels.append(CancelOrder(host_id, run.id, run.attempt, suspend=True))
    else:
        unit.stops.append(StopOrder(host_id, run.id, run.attempt, stop=True))


def _over(unit: Unit, run: FlowRun, end: PauseEnd) -> None:
    unit.records.end_pauses(run.id, end)
    unit.unpaused.append(run.id)
    if run.host_id is not None and run.state.type is StateType.RUNNING:
        unit.stops.append(StopOrder(run.host_id, run.id, run.attempt, stop=False))
