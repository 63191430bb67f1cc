"""What runs leave behind: task runs and log lines."""

from collections.abc import Sequence

from stoker.domain.runs import LogLine, StoredLogLine, TaskRun
from stoker.domain.states import StateRecord
from stoker.storage.records import rows
from stoker.storage.records.statements import Statements


class Traces(Statements):
    """See `TraceRecords`."""

    def put_task_runs(self, task_runs: Sequence[TaskRun]) -> None:
        values = [rows.task_run_values(run) for run in task_runs]
        self._many("put_task_run", values)

    def end_task_runs(self, flow_run_id: str, state: StateRecord) -> None:
        values = {
            "run": flow_run_id,
            "type": state.type,
            "name": state.name,
            "at": state.at,
            "message": state.message,
        }
        self._do("end_task_runs", values)

    def task_runs(self, flow_run_id: str) -> list[TaskRun]:
        return [rows.task_run_of(row) for row in self._all("task_runs", flow_run_id)]

    def add_logs(self, run_id: str, lines: Sequence[LogLine]) -> None:
        self._many(
            "add_log",
            [
                {
                    "run_id": run_id,
                    "task_run_id": line.task_run_id,
                    "at": line.at,
                    "level": line.level,
                    "logger": line.logger,
                    "message": line.message,
                }
                for line in lines
            ],
        )

    def logs(self, run_id: str, after: int, limit: int) -> list[StoredLogLine]:
        return [
            StoredLogLine(id=i, at=at, level=level, logger=logger, message=text, task_run_id=task)
            for i, at, level, logger, text, task in self._all("logs", run_id, after, limit)
        ]
