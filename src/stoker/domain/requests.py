"""What a flow, or a script, asks of the orchestrator and waits for an answer to."""

from typing import Any

from msgspec import Struct, field

from stoker.domain.concurrency import LimitKind
from stoker.domain.deployments import Deployment
from stoker.domain.runs import FlowRun


class StartRun(Struct, tag="start_run", kw_only=True, omit_defaults=True):
    """Start a run of a deployment. Answered with its `FlowRun`.

    Attributes:
        deployment: ``"flow/name"`` or the deployment's id.
        parameters: Over the deployment's own.
        name: The run's name; a readable one by default.
        tags: Besides the deployment's.
        job_variables: Over the deployment's; ``env`` alone leaves the start hot.
        parent_run_id: The flow run that starts it.
        idempotency_key: A second request for the deployment with the same key returns the first
            one's run.
        scheduled_time: From when it may begin, seconds since the epoch; at once by default.
        timeout: Seconds to wait for its end; 0 not to wait, None for ever. Where it passes, the
            answer is the run as it is then.
    """

    deployment: str
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    name: str | None = None
    tags: list[str] = field(default_factory=list[str])
    job_variables: dict[str, Any] = field(default_factory=dict[str, Any])
    parent_run_id: str | None = None
    idempotency_key: str | None = None
    scheduled_time: float | None = None
    timeout: float | None = 0


class AwaitRun(Struct, tag="await_run", kw_only=True, omit_defaults=True):
    """Wait for a run's end. Answered with its `FlowRun`, by push.

    Attributes:
        run_id: The run waited for.
        waiter_run_id: The flow run that waits; while it does, it lends its leases.
        timeout: Seconds; None for ever.
    """

    run_id: str
    waiter_run_id: str | None = None
    timeout: float | None = None


class ReadRun(Struct, tag="read_run", kw_only=True):
    """Read a flow run. Answered with its `FlowRun`."""

    run_id: str


class PauseRun(Struct, tag="pause_run", kw_only=True, omit_defaults=True):
    """Pause or suspend the flow run that asks.

    Answered with its `FlowRun` once it may go on; where it is suspended, at once: its process
    has to end then. Answered with `FlowPauseTimeout` where nobody resumed it in time.

    Attributes:
        run_id: The flow run; for a deployed run the server fills it in.
        key: Names the pause: one that is over does not begin again in a later attempt.
        timeout: Seconds after which the run fails; None for never.
        suspend: Whether its process ends meanwhile.
    """

    run_id: str = ""
    key: str
    timeout: float | None = None
    suspend: bool = False


class HoldRun(Struct, tag="hold_run", kw_only=True, omit_defaults=True):
    """Pause or suspend another flow run. Answered with its `FlowRun` as it is then.

    Attributes:
        run_id: The flow run.
        timeout: Seconds after which it fails; None for never.
        suspend: Whether its process ends meanwhile.
    """

    run_id: str
    timeout: float | None = None
    suspend: bool = False


class ResumeRun(Struct, tag="resume_run", kw_only=True):
    """Let a paused or suspended flow run go on. Answered with its `FlowRun`."""

    run_id: str


class PutDeployment(Struct, tag="put_deployment", kw_only=True):
    """Create or replace a deployment (by flow and name). Answered with the `Deployment`."""

    deployment: Deployment


class AcquireSlots(Struct, tag="acquire_slots", kw_only=True, omit_defaults=True):
    """Take slots of limits, all of them or none. Answered with `Slots`, by push.

    Attributes:
        id: Made up by who asks; the same request may be sent again and keeps its place.
        kind: Of the limits.
        names: The limits. What is unknown limits nothing, unless ``strict``.
        slots: How many of each.
        decays: Whether they come back by themselves (`rate_limit`), and not with the holder.
        strict: Whether an unknown limit is an error.
        timeout: Seconds to wait at most; None for ever.
        label: What they are for, for people.
    """

    id: str
    kind: LimitKind
    names: list[str]
    slots: int = 1
    decays: bool = False
    strict: bool = False
    timeout: float | None = None
    label: str = ""


class Slots(Struct, kw_only=True):
    """Slots that were asked for.

    Attributes:
        granted: Whether all are there; otherwise none is, and the time is over.
        limited: The limits that there are: slots of these are held.
        waiting: Whether the time is not over, and the request is to be made again.
    """

    granted: bool
    limited: list[str] = field(default_factory=list[str])
    waiting: bool = False


RunRequest = StartRun | AwaitRun | ReadRun | PauseRun | HoldRun | ResumeRun
"""Requests that are answered with a `FlowRun`."""

Request = RunRequest | PutDeployment | AcquireSlots
Answer = FlowRun | Deployment | Slots
