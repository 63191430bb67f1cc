"""What runs leave behind: task runs and log lines."""

from collections.abc import Sequence
from typing import Protocol

from stoker.domain.runs import LogLine, StoredLogLine, TaskRun


class TraceRecords(Protocol):
    """Task runs and log lines, within one transaction."""

    def put_task_runs(self, task_runs: Sequence[TaskRun]) -> None: ...
    def task_runs(self, flow_run_id: str) -> list[TaskRun]: ...
    def add_logs(self, run_id: str, lines: Sequence[LogLine]) -> None: ...
    def logs(self, run_id: str, after: int, limit: int) -> list[StoredLogLine]: ...
