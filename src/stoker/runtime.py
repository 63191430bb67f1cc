"""Facts about the run that the present code belongs to, for use anywhere in it.

Example:
    ```python
    from stoker.runtime import flow_run

    print(flow_run.name, flow_run.parameters)
    ```

Outside of any run every attribute is None or empty.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stoker.engine.context import CURRENT, FlowContext, TaskContext, current_flow

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["deployment", "flow_run", "task_run"]


class _FlowRun:
    """The present flow run."""

    @property
    def id(self) -> str | None:
        """Its id."""
        flow = _flow()
        return flow and flow.id

    @property
    def name(self) -> str | None:
        """Its name."""
        flow = _flow()
        return flow and flow.name

    @property
    def flow_name(self) -> str | None:
        """Its flow's name."""
        flow = _flow()
        return flow and flow.flow_name

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its parameters by name, with their defaults."""
        flow = _flow()
        return {} if flow is None else flow.parameters

    @property
    def tags(self) -> list[str]:
        """Its labels."""
        flow = _flow()
        return [] if flow is None else list(flow.tags)

    @property
    def run_count(self) -> int:
        """Calls of its function so far: 1 in the first."""
        flow = _flow()
        return 0 if flow is None else flow.run_count

    @property
    def attempt(self) -> int:
        """Times that it was given a slot: 1 in its first attempt, 0 in its caller's process."""
        flow = _flow()
        return 0 if flow is None else flow.attempt

    @property
    def scheduled_start_time(self) -> "datetime | None":
        """When it was to begin, in UTC: of a schedule's or backfill's run its nominal instant.

        None in its caller's process.
        """
        flow = _flow()
        if flow is None or not flow.scheduled:
            return None
        from datetime import UTC, datetime

        return datetime.fromtimestamp(flow.scheduled, UTC)

    @property
    def parent_flow_run_id(self) -> str | None:
        """Id of the flow run that started it."""
        flow = _flow()
        return flow and flow.parent

    @property
    def deployment(self) -> str | None:
        """``"flow/name"`` of its deployment."""
        flow = _flow()
        return (flow and flow.deployment) or None


class _TaskRun:
    """The present task run."""

    @property
    def id(self) -> str | None:
        """Its id."""
        task = _task()
        return task and task.id

    @property
    def name(self) -> str | None:
        """Its name, for example ``"add-3"``."""
        task = _task()
        return task and task.name

    @property
    def task_name(self) -> str | None:
        """Its task's name."""
        task = _task()
        return task and task.task_name

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its arguments by name, with their defaults."""
        task = _task()
        return {} if task is None else task.signature.bind(task.args, task.kwargs)

    @property
    def tags(self) -> list[str]:
        """Its task's labels."""
        task = _task()
        return [] if task is None else list(task.tags)

    @property
    def run_count(self) -> int:
        """Calls of its function so far: 1 in the first."""
        task = _task()
        return 0 if task is None else task.run_count


class _Deployment:
    """The deployment of the present flow run."""

    @property
    def name(self) -> str | None:
        """Its own name."""
        full = flow_run.deployment
        return full and full.partition("/")[2]

    @property
    def flow_name(self) -> str | None:
        """Its flow's name."""
        full = flow_run.deployment
        return full and full.partition("/")[0]


def _flow() -> FlowContext | None:
    flow = current_flow()
    return flow if flow is not None and flow.id else None


def _task() -> TaskContext | None:
    context = CURRENT.get()
    return context if isinstance(context, TaskContext) else None


flow_run = _FlowRun()
task_run = _TaskRun()
deployment = _Deployment()
