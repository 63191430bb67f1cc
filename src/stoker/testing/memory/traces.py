"""What runs leave behind: task runs and log lines."""

from collections.abc import Sequence

from stoker.domain.runs import LogLine, StoredLogLine, TaskRun
from stoker.domain.states import StateRecord
from stoker.testing.memory.tables import Room, copies


class Traces(Room):
    """See `TraceRecords`."""

    def put_task_runs(self, task_runs: Sequence[TaskRun]) -> None:
        for run in task_runs:
            known = self._tables.task_runs.get(run.id)
            if known is None:
                self._tables.task_runs.put(run.id, run)
            elif known.ended is None:
                self._tables.task_runs.change(
                    run.id,
                    state=run.state,
                    run_count=run.run_count,
                    started=run.started,
                    ended=run.ended,
                )

    def end_task_runs(self, flow_run_id: str, state: StateRecord) -> None:
        for run in list(self._tables.task_runs.values()):
            if run.flow_run_id == flow_run_id and run.ended is None:
                self._tables.task_runs.change(run.id, state=state, ended=state.at)

    def task_runs(self, flow_run_id: str) -> list[TaskRun]:
        found = [run for run in self._tables.task_runs.values() if run.flow_run_id == flow_run_id]
        return copies(sorted(found, key=lambda run: run.id))

    def add_logs(self, run_id: str, lines: Sequence[LogLine]) -> None:
        for line in lines:
            number = max(self._tables.logs, default=0) + 1
            stored = StoredLogLine(
                id=number,
                at=line.at,
                level=line.level,
                logger=line.logger,
                message=line.message,
                task_run_id=line.task_run_id,
            )
            self._tables.logs[number] = (run_id, stored)

    def logs(self, run_id: str, after: int, limit: int) -> list[StoredLogLine]:
        found = [
            line
            for number, (of, line) in sorted(self._tables.logs.items())
            if of == run_id and number > after
        ]
        return copies(found[:limit])
