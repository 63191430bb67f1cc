"""Pauses: what a run has asked for, and when it ends by itself."""

from typing import Protocol

from stoker.domain.pauses import Pause, PauseEnd
from stoker.domain.runs import FlowRun


class PauseRecords(Protocol):
    """Pauses, within one transaction."""

    def put_pause(self, pause: Pause) -> None:
        """Store a pause, in place of the one of the same key."""
        ...

    def pause(self, run_id: str, key: str) -> Pause | None: ...
    def end_pauses(self, run_id: str, end: PauseEnd) -> None:
        """Say of all open pauses of a run how they ended."""
        ...

    def drop_pauses(self, run_id: str) -> None:
        """Forget a run's pauses, so that it pauses anew."""
        ...

    def shelved_runs(self, deployment_id: str) -> list[FlowRun]:
        """A deployment's runs that are for later, suspended, or about to be, in any order."""
        ...

    def overdue_pauses(self, now: float, limit: int) -> list[FlowRun]:
        """Paused runs that nobody resumed in time, without those that are being suspended."""
        ...

    def next_overdue(self) -> float | None:
        """When the next pause ends by itself, seconds since the epoch."""
        ...
