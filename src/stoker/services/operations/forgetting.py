"""Deleting runs that are over."""

from stoker.domain.errors import Conflict
from stoker.services.lookup import need_run
from stoker.services.unit import Unit


def forget(unit: Unit, run_id: str) -> None:
    """Delete a run that is over, and the runs that were called in its process.

    Raises:
        NotFound: There is no such run.
        Conflict: It is not over.
    """
    run = need_run(unit.records, run_id)
    if not run.state.is_terminal:
        raise Conflict(f"flow run {run.name} is {run.state.name}; cancel it first")
    unit.records.delete_run(run_id)
