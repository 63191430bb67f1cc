"""Cancelling a run, and with it the runs that it waits for."""

from stoker.domain.errors import Conflict, NotFound
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.domain.transitions import Command, Wish
from stoker.services.changing import change
from stoker.services.unit import CancelOrder, Unit


def cancel(unit: Unit, run_id: str) -> FlowRun:
    """Cancel a run: at once where it is queued, else by asking its host.

    Raises:
        NotFound: There is no such run.
        Conflict: It is over, or executes in a process that takes no orders.
    """
    run = unit.records.flow_run(run_id)
    if run is None:
        raise NotFound(f"there is no flow run {run_id!r}; `stoker flow-run ls` lists them")
    if run.deployment_id is None:
        raise Conflict(
            f"flow run {run.name} executes in its caller's process; cancel its parent, or stop "
            "the script that runs it"
        )
    waited_for = unit.records.waits_of(run_id)
    host_id = run.host_id
    if run.state.type is not StateType.CANCELLING:
        rejected = change(
            unit, run, Wish(command=Command.CANCEL, at=unit.now, message="cancelled by a user")
        )
        if rejected is not None:
            raise Conflict(rejected.reason)
    if run.state.type is StateType.CANCELLING and host_id is not None:
        unit.cancels.append(CancelOrder(host_id, run.id, run.attempt))
    for child_id in waited_for:
        child = unit.records.flow_run(child_id)
        if child is not None and not child.state.is_terminal:
            cancel(unit, child_id)
    return run
