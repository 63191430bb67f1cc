"""A backend that remembers what it was told, for tests of flows without a server."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from stoker.domain.errors import NotFound
from stoker.domain.reports import Finished, Logged, Report, Started, SubflowCreated, TaskRunChanged
from stoker.domain.requests import AcquireSlots, Slots
from stoker.domain.runs import FlowRun, LogLine, TaskRun
from stoker.engine import backends

Rep = TypeVar("Rep", bound=Report)


class RecordingBackend:
    """Remembers every report and request.

    Attributes:
        reports: ``(run id, report)``, in the order in which they came.
        asked: The requests.
        flushed: For each `flush`, how many reports had come before it.
        given_back: Ids of the requests for slots that were ended.
        closed: Whether it was closed.
        answer: Called with each request; returns the answer or raises.

    Example:
        ```python
        with recording() as backend:
            etl()
        assert backend.finished("etl").state.type is StateType.COMPLETED
        ```
    """

    def __init__(self, answer: Callable[[Any], Any] | None = None) -> None:
        self.reports: list[tuple[str, Report]] = []
        self.asked: list[Any] = []
        self.flushed: list[int] = []
        self.given_back: list[str] = []
        self.closed = False
        self.answer = answer or _no_answer
        self._lock = threading.Lock()

    def report(self, run_id: str, *reports: Report) -> None:
        """Remember reports."""
        with self._lock:
            self.reports += [(run_id, report) for report in reports]

    def flush(self) -> None:
        """Remember that all so far was to be recorded."""
        with self._lock:
            self.flushed.append(len(self.reports))

    def ask(self, request: Any) -> Any:
        """Remember a request and answer as ``answer`` does."""
        with self._lock:
            self.asked.append(request)
        return self.answer(request)

    def give_back(self, request_id: str) -> None:
        """Remember that a request for slots is over."""
        with self._lock:
            self.given_back.append(request_id)

    def close(self) -> None:
        """Remember that nobody will report any more."""
        self.closed = True

    def of_type(self, kind: type[Rep], run_id: str | None = None) -> list[Rep]:
        """Return all reports of one kind, of one flow run or of all."""
        return [
            report
            for known, report in self.reports
            if isinstance(report, kind) and run_id in (None, known)
        ]

    def of_run(self, run_id: str) -> list[Report]:
        """Return all reports about one flow run, in order."""
        return [report for known, report in self.reports if known == run_id]

    def runs(self, flow_name: str | None = None) -> list[FlowRun]:
        """Return the records of the flow runs made in this process, in order."""
        created = [report.run for report in self.of_type(SubflowCreated)]
        return [run for run in created if flow_name in (None, run.flow_name)]

    def run(self, flow_name: str) -> FlowRun:
        """Return the record of the only run of a flow.

        Raises:
            LookupError: There is none, or more than one.
        """
        found = self.runs(flow_name)
        if len(found) != 1:
            raise LookupError(f"{len(found)} runs of {flow_name!r}")
        return found[0]

    def finished(self, flow_name: str) -> Finished:
        """Return how the only run of a flow ended.

        Raises:
            LookupError: There is no such run, more than one, or it has not ended.
        """
        found = self.of_type(Finished, self.run(flow_name).id)
        if len(found) != 1:
            raise LookupError(f"{len(found)} ends of the run of {flow_name!r}")
        return found[0]

    def starts(self, run_id: str) -> list[Started]:
        """Return the starts of one flow run."""
        return self.of_type(Started, run_id)

    def task_runs(self, task_name: str | None = None) -> list[TaskRun]:
        """Return the last record of each task run, in the order of their ends."""
        last: dict[str, TaskRun] = {}
        for report in self.of_type(TaskRunChanged):
            last.pop(report.task_run.id, None)
            last[report.task_run.id] = report.task_run
        return [run for run in last.values() if task_name in (None, run.task_name)]

    def lines(self, run_id: str | None = None) -> list[LogLine]:
        """Return all log lines, of one flow run or of all, in order."""
        return [line for report in self.of_type(Logged, run_id) for line in report.lines]


def _no_answer(request: Any) -> Any:
    if isinstance(request, AcquireSlots):
        return Slots(granted=True)
    raise NotFound(f"nothing answers {type(request).__name__} here")


@contextmanager
def recording(answer: Callable[[Any], Any] | None = None) -> Generator[RecordingBackend]:
    """Within the block, flows called in this process report to a new `RecordingBackend`."""
    backend = RecordingBackend(answer)
    with backends.use(backend):
        yield backend
