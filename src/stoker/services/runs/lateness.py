"""Runs that are late: they have waited too long for a slot."""

from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import LATE, Command, sources
from stoker.services.events.happening import run_entered
from stoker.services.unit import Unit

MOST = 200
"""Runs that one unit of work marks at the most: others wait for it."""


def mark_late(unit: Unit, after: float) -> list[FlowRun]:
    """Say of the runs that have been due for more than ``after`` seconds that they are late.

    Each once; claim and cancel work as before. Returns them.
    """
    message = f"it has waited more than {after:g} s for a slot"
    state = StateRecord(StateType.SCHEDULED, LATE, unit.now, message)
    late = unit.records.mark_late(sources(Command.LATE), unit.now - after, state, MOST)
    for run in sorted(late, key=lambda run: (run.due, run.id)):
        run_entered(unit, run)
    return late
