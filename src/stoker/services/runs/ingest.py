"""Taking in what running flows report. Each frame is applied once, and in order."""

from collections.abc import Sequence

from stoker.domain.anatomy import classify
from stoker.domain.errors import Invalid
from stoker.domain.events import EmitEvent, check_emitted
from stoker.domain.reports import (
    AwaitingRetry,
    Emitted,
    Finished,
    Frame,
    HandedOver,
    Logged,
    Report,
    SlotsGivenBack,
    Started,
    SubflowCreated,
    TaskRunChanged,
)
from stoker.domain.runs import FlowRun, LogLine, TaskRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import SUSPENDING, Command, Wish
from stoker.services.changing import change, closing_state, end_inner
from stoker.services.concurrency import limiting
from stoker.services.concurrency.limiting import Holder
from stoker.services.events.happening import emitted, run_entered
from stoker.services.runs.losing import lose
from stoker.services.settling import settle
from stoker.services.unit import Unit


def ingest(unit: Unit, host_id: str | None, frames: Sequence[Frame]) -> None:
    """Apply frames from a host, or from a script that runs its flows itself.

    A frame of another attempt than the current one changes nothing, nor does one whose number
    was seen before, nor one of a run that another host has. Log lines and task runs that come
    after the run's end are kept.

    Args:
        unit: The transaction.
        host_id: Whose frames they are, and where runs execute that are new; None where their
            records say it.
        frames: Oldest first.
    """
    _Ingest(unit, host_id).run(frames)


class _Ingest:
    """One batch of frames. Runs are read once, task runs and log lines written together."""

    def __init__(self, unit: Unit, host_id: str | None) -> None:
        self._unit = unit
        self._host_id = host_id
        self._runs: dict[str, FlowRun] = {}
        self._lines: dict[str, list[LogLine]] = {}
        self._task_runs: dict[str, TaskRun] = {}
        self._created_runs: list[FlowRun] = []
        self._ended = 0

    def run(self, frames: Sequence[Frame]) -> None:
        wanted = list(dict.fromkeys(frame.run_id for frame in frames))
        self._runs = {run.id: run for run in self._unit.records.flow_runs_of(wanted)}
        for frame in frames:
            self._frame(frame)
        for run in self._created_runs:
            self._end_orphan(self._find(run.id) or run)
        records = self._unit.records
        records.put_task_runs(list(self._task_runs.values()))
        for run_id, lines in self._lines.items():
            records.add_logs(run_id, lines)
        self._unit.logged |= self._lines.keys()

    def _frame(self, frame: Frame) -> None:
        if frame.reports and isinstance(frame.reports[0], SubflowCreated):
            self._created(frame.reports[0].run)
        run = self._find(frame.run_id)
        if run is not None and run.deployment_id is None and self._unit.over:
            # It may have been part of a run that has ended, and has ended with it.
            settle(self._unit)
            run = self._find(frame.run_id)
        if run is None or frame.attempt != run.attempt:
            return
        if not self._is_its_own(run):
            return
        if not self._unit.records.advance(run.id, frame.seq):
            return
        for report in frame.reports:
            self._report(run, report)

    def _find(self, run_id: str) -> FlowRun | None:
        # The end of one run may have ended others, which are read already.
        for ended in self._unit.ended[self._ended :]:
            self._runs[ended.id] = ended
        self._ended = len(self._unit.ended)
        run = self._runs.get(run_id) or self._unit.records.flow_run(run_id)
        if run is not None:
            self._runs[run_id] = run
        return run

    def _is_its_own(self, run: FlowRun) -> bool:
        return self._host_id is None or run.host_id == self._host_id

    def _created(self, run: FlowRun) -> None:
        parent = self._find(run.parent_run_id) if run.parent_run_id is not None else None
        if parent is not None and not self._is_its_own(parent):
            return
        run.host_id = self._host_id or run.host_id
        if self._unit.records.insert_subflow(run):
            self._runs[run.id] = run
            self._created_runs.append(run)
            run_entered(self._unit, run)

    def _end_orphan(self, run: FlowRun) -> None:
        """End a run whose beginning arrived after the attempt that it was part of was over."""
        parent = self._find(run.parent_run_id) if run.parent_run_id is not None else None
        if parent is None or run.state.is_terminal:
            return
        if parent.state.is_terminal or (parent.deployment_id and parent.host_id is None):
            end_inner(self._unit, run, parent)

    def _report(self, run: FlowRun, report: Report) -> None:
        match report:
            case Logged(lines):
                self._lines.setdefault(run.id, []).extend(lines)
            case TaskRunChanged(task_run):
                self._task_changed(run, task_run)
            case HandedOver():
                self._handed_over(run, report)
            case Started():
                self._started(run, report)
            case AwaitingRetry():
                wish = Wish(
                    command=Command.RETRY,
                    at=report.at,
                    attempt=run.attempt,
                    message=report.message,
                )
                change(self._unit, run, wish)
            case Finished():
                self._finished(run, report)
            case SlotsGivenBack(id):
                limiting.give_back(self._unit, id, Holder(run_id=run.id))
            case Emitted(event=event):
                self._emitted(run, event)
            case SubflowCreated():
                pass

    def _emitted(self, run: FlowRun, event: EmitEvent) -> None:
        try:
            check_emitted(event)
        except Invalid:
            # What its own process did not refuse no flow has made; the others go on.
            return
        emitted(self._unit, event, run)

    def _task_changed(self, run: FlowRun, task_run: TaskRun) -> None:
        over = run.state.is_terminal or run.host_id is None
        if over and run.deployment_id is not None and task_run.ended is None:
            # It was open when its process ended.
            task_run.state = closing_state(run)
            task_run.ended = task_run.state.at
        self._task_runs[task_run.id] = task_run

    def _finished(self, run: FlowRun, report: Finished) -> None:
        state = report.state
        if state.type is not StateType.COMPLETED:
            # With its end what is open of these ends.
            self._unit.records.put_task_runs(list(self._task_runs.values()))
            self._task_runs.clear()
        suspends = state.type is StateType.PAUSED
        if report.lost:
            lose(self._unit, run, state.message, run.attempt)
            return
        cancelled = state.type is StateType.CANCELLED
        if run.state.name == SUSPENDING and (suspends or cancelled):
            wish = Wish(command=Command.LEAVE, at=state.at, attempt=run.attempt)
        else:
            if suspends:
                # An inner run, which ends with its process; or one that was cancelled meanwhile.
                text = "its process was suspended"
                state = StateRecord(StateType.CANCELLED, "Cancelled", state.at, text)
            wish = Wish(
                command=Command.FINISH,
                at=state.at,
                attempt=run.attempt,
                state=state,
                result=report.result,
            )
        change(self._unit, run, wish)

    def _handed_over(self, run: FlowRun, report: HandedOver) -> None:
        anatomy = run.anatomy
        anatomy.assigned = report.assigned
        anatomy.received = report.received
        anatomy.handed_over = report.handed_over
        anatomy.imported = report.imported
        anatomy.import_seconds = report.import_seconds
        anatomy.start_class = classify(anatomy)
        self._unit.records.set_anatomy(run.id, anatomy)

    def _started(self, run: FlowRun, report: Started) -> None:
        if run.anatomy.first_line is None and run.deployment_id is not None:
            run.anatomy.first_line = report.at
            self._unit.started.append(run.anatomy)
            self._unit.records.set_anatomy(run.id, run.anatomy)
        if report.name and report.name != run.name:
            run.name = report.name
            self._unit.records.rename_run(run.id, report.name)
        wish = Wish(
            command=Command.START,
            at=report.at,
            attempt=run.attempt,
            run_count=report.run_count,
        )
        change(self._unit, run, wish)
