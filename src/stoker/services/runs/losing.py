"""Runs whose process was lost: they crash, or are queued again as a new attempt."""

from stoker.domain.pauses import OUTSIDE, Pause, PauseEnd
from stoker.domain.runs import FlowRun
from stoker.domain.transitions import Command, Wish
from stoker.services.changing import change
from stoker.services.unit import Unit


def lose(unit: Unit, run: FlowRun, message: str, attempt: int | None = None) -> None:
    """End an attempt whose process died, was fenced, or is lost without a word.

    A run of a deployment with crash retries left is queued again; all others crash. One that was
    being cancelled is cancelled, one that was being suspended is suspended.

    Args:
        unit: The transaction.
        run: The run, as it was read in this transaction.
        message: What happened, for people.
        attempt: The attempt that is lost; none later is touched.
    """
    again = _again(unit, run, message, attempt)
    if again is not None and change(unit, run, again) is None:
        if unit.records.pause(run.id, OUTSIDE) is not None:
            # It was of the attempt that is lost.
            over = Pause(run_id=run.id, key=OUTSIDE, end=PauseEnd.RESUMED)
            unit.records.put_pause(over)
        return
    wish = Wish(command=Command.CRASH, at=unit.now, attempt=attempt, message=message)
    change(unit, run, wish)


def _again(unit: Unit, run: FlowRun, message: str, attempt: int | None) -> Wish | None:
    if run.deployment_id is None:
        return None
    deployment = unit.records.deployment(run.deployment_id)
    if deployment is None or run.crashes >= deployment.crash_retries:
        return None
    left = deployment.crash_retries - run.crashes - 1
    return Wish(
        command=Command.RECOVER,
        at=unit.now,
        attempt=attempt,
        message=f"{message}; {left} {'retry' if left == 1 else 'retries'} after a crash left",
        due=unit.now + deployment.crash_retry_delay,
    )
