"""What runs leave behind: task runs and log lines."""

from collections.abc import Sequence
from typing import Protocol

from stoker.domain.runs import LogLine, StoredLogLine, TaskRun
from stoker.domain.states import StateRecord


class TraceRecords(Protocol):
    """Task runs and log lines, within one transaction."""

    def put_task_runs(self, task_runs: Sequence[TaskRun]) -> None: ...
    def end_task_runs(self, flow_run_id: str, state: StateRecord) -> None:
        """End the task runs of a flow run that are still open."""
        ...

    def task_runs(self, flow_run_id: str) -> list[TaskRun]: ...
    def add_logs(self, run_id: str, lines: Sequence[LogLine]) -> None: ...
    def logs(self, run_id: str, after: int, limit: int) -> list[StoredLogLine]: ...
