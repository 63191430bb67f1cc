"""Records of flow runs and task runs."""

from typing import Any

from msgspec import Struct, field

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.states import ResultRecord, StateRecord


class FlowRun(Struct, kw_only=True):
    """One run of a flow, as it is stored, sent and shown.

    Attributes:
        id: UUIDv7.
        name: A readable name, for example ``"amber-heron"``.
        flow_name: The flow's name.
        state: Where it is now.
        version: Counts the changes of state; what compare-and-set compares.
        attempt: Counts the times it was given a slot, from 1; the fencing token. 0 before.
        run_count: How often the user's function was called in this attempt, retries included.
        parameters: The flow's parameters, as JSON values.
        tags: Labels for people and filters.
        deployment: ``"flow/name"`` of its deployment; None for a run in its caller's process.
        deployment_id: The deployment's id.
        parent_run_id: The flow run that started it.
        pool: Name of its work pool; None in its caller's process.
        queue: Name of its work queue.
        lane: Key of the hosts that can run it.
        job_variables: What this run alone sets; ``env`` is its run environment.
        timeout: Seconds that it may take, its retries included.
        created: When it was accepted, seconds since the epoch.
        started: When the user's function was first called.
        ended: When it reached a terminal state.
        host_id: The host of the current attempt.
        waiting_for: Why a run that has no slot waits, and what is expected.
        anatomy: Stamps of its start.
        result: What it returned, or the exception that ended it.
        due: From when it may be given a slot, seconds since the epoch; its place in the queue.
        queued: Whether it is in its queue: scheduled, and due.
        crashes: How many of its attempts ended without a word: their process died.
        schedule_id: The schedule that it is an occurrence of.
        instant: Which occurrence: the nominal time, seconds since the epoch.
        paused_until: When its pause ends by itself, seconds since the epoch.
    """

    id: str
    name: str
    flow_name: str
    state: StateRecord
    version: int = 0
    attempt: int = 0
    run_count: int = 0
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    tags: list[str] = field(default_factory=list[str])
    deployment: str | None = None
    deployment_id: str | None = None
    parent_run_id: str | None = None
    pool: str | None = None
    queue: str | None = None
    lane: str | None = None
    job_variables: dict[str, Any] = field(default_factory=dict[str, Any])
    timeout: float | None = None
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    host_id: str | None = None
    waiting_for: str | None = None
    anatomy: StartAnatomy = field(default_factory=StartAnatomy)
    result: ResultRecord | None = None
    due: float = 0.0
    queued: bool = False
    crashes: int = 0
    schedule_id: str | None = None
    instant: float | None = None
    paused_until: float | None = None


class TaskRun(Struct, kw_only=True):
    """One call of a task inside a flow run.

    Attributes:
        id: UUIDv7.
        flow_run_id: The flow run that it is part of.
        task_name: The task's name.
        name: The task's name and a number, for example ``"add-3"``.
        state: Where it is now.
        run_count: How often the function was called, retries included.
        started: First call, seconds since the epoch.
        ended: When it reached a terminal state.
    """

    id: str
    flow_run_id: str
    task_name: str
    name: str
    state: StateRecord
    run_count: int = 0
    started: float | None = None
    ended: float | None = None


class LogLine(Struct, kw_only=True, omit_defaults=True):
    """One line of a run's log.

    Attributes:
        at: When it was written, seconds since the epoch.
        level: Level of the standard library's logging (10 debug … 50 critical).
        logger: Name of the logger; ``"stdout"`` or ``"stderr"`` for captured output.
        message: The text.
        task_run_id: The task run that wrote it.
    """

    at: float
    level: int
    logger: str
    message: str
    task_run_id: str | None = None


class StoredLogLine(LogLine, kw_only=True, omit_defaults=True):
    """A log line with its place in the run's log.

    Attributes:
        id: Grows with every line of the store; a cursor for reading on.
    """

    id: int
