"""Cancelling a run, and with it the runs that it waits for."""

from stoker.domain.errors import Conflict
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType
from stoker.domain.transitions import Command, Wish
from stoker.services.changing import change
from stoker.services.lookup import need_executed, need_run
from stoker.services.unit import CancelOrder, Unit


def cancel(unit: Unit, run_id: str, message: str = "cancelled by a user") -> FlowRun:
    """Cancel a run and those that it waits for: at once where queued, else by asking their hosts.

    Raises:
        NotFound: There is no such run.
        Conflict: It is over, or executes in a process that takes no orders.
    """
    run = need_run(unit.records, run_id)
    if run.state.is_terminal:
        raise Conflict(
            f"flow run {run.name} is {run.state.name} already; there is nothing to cancel"
        )
    need_executed(unit.records, run_id, "cancel")
    affected = _with_waited_for(unit, run)
    for one in affected:
        if one.state.type is not StateType.CANCELLING:
            rejected = change(unit, one, Wish(command=Command.CANCEL, at=unit.now, message=message))
            if rejected is not None:
                raise Conflict(rejected.reason)
        if one.state.type is StateType.CANCELLING and one.host_id is not None:
            unit.cancels.append(CancelOrder(one.host_id, one.id, one.attempt))
    return run


def _with_waited_for(unit: Unit, run: FlowRun) -> list[FlowRun]:
    """A run and the open ones down its chain of waits. Runs may wait for each other in a ring."""
    found = {run.id: run}
    pending = [run.id]
    while pending:
        for child_id in unit.records.waits_of(pending.pop()):
            child = unit.records.flow_run(child_id)
            if child is None or child.state.is_terminal or child.id in found:
                continue
            found[child.id] = child
            pending.append(child.id)
    return list(found.values())
