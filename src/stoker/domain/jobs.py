"""A job: one attempt of one run, complete, as it is handed to a child."""

from typing import Any

from msgspec import Struct, field

from stoker.domain.deployments import Code
from stoker.domain.environment import Environment
from stoker.domain.limits import RunLimits

TIMEOUT_GRACE = 2.0
"""Seconds that a run has to clean up after its time limit, before its host ends it."""


class Job(Struct, kw_only=True):
    """One attempt of one run, complete: what a child needs to execute it.

    Attributes:
        run_id: The run.
        attempt: The attempt; the fencing token of all its reports.
        code: What the zygote has imported.
        function: Name of the flow's function in ``code.file``.
        parameters: As JSON values.
        env: Run environment, less what is in the code's; None where a variable is not set.
        flow_name: For the run's context.
        run_name: For the run's context.
        deployment: ``"flow/name"``.
        parent_run_id: For the run's context.
        tags: For the run's context.
        timeout: Seconds that it may take; a little later the agent ends the process.
        limits: What it may use of the host.
        scheduled: When it was to begin, seconds since the epoch: of an occurrence its instant.
        runner: Who knows what a flow is; ``"stoker"`` is our engine.
        assigned: When it went out to the host, seconds since the epoch.
    """

    run_id: str
    attempt: int
    code: Code
    function: str
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    env: Environment = field(default_factory=dict[str, str | None])
    flow_name: str = ""
    run_name: str = ""
    deployment: str = ""
    parent_run_id: str | None = None
    tags: list[str] = field(default_factory=list[str])
    timeout: float | None = None
    limits: RunLimits = RunLimits()
    scheduled: float = 0.0
    runner: str = "stoker"
    assigned: float = 0.0
