"""Deployments: flows that are started by name, each run in a process of its own."""

import sys
from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from stoker.domain.deployments import CollisionStrategy, ConcurrencyLimitConfig, Deployment
from stoker.domain.requests import AwaitRun, ReadRun, StartRun
from stoker.domain.runs import FlowRun
from stoker.engine import backends, resolve
from stoker.engine.context import CURRENT, current_flow
from stoker.engine.describing import describe, project_of, put
from stoker.engine.flow_files import deployment_of
from stoker.engine.options import labels
from stoker.engine.parameters import sendable

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.states import State

__all__ = [
    "CollisionStrategy",
    "ConcurrencyLimitConfig",
    "DeploymentRun",
    "arun_deployment",
    "deploy",
    "deployment_of",
    "describe",
    "project_of",
    "put",
    "run_deployment",
]


def deploy(*deployments: Deployment, work_pool_name: str | None = None) -> list[Deployment]:
    """Create or replace deployments, one after the other, and return them as they are stored.

    Args:
        deployments: What `Flow.to_deployment` returns.
        work_pool_name: Work pool on which their runs start; ``"default"`` by default.

    Raises:
        TypeError: Something else was given.
        ValueError: Nothing was.
        NotFound: There is no such work pool.
        Invalid: A deployment is impossible; says why.
        Unavailable: The server cannot be reached.

    Example:
        ```python
        deploy(etl.to_deployment("nightly"), report.to_deployment("weekly"), work_pool_name="gpu")
        ```
    """
    if not deployments:
        raise ValueError("deploy() needs a deployment: what flow.to_deployment(name) returns")
    for one in deployments:
        # Users need not heed types.
        if not isinstance(cast(object, one), Deployment):
            raise TypeError(f"deploy() takes what flow.to_deployment(name) returns, not {one!r}")
    stored: list[Deployment] = []
    for one in deployments:
        if work_pool_name is not None:
            one.pool = work_pool_name
        stored.append(put(one))
    return stored


class DeploymentRun:
    """A run of a deployment, as it was when it was read last.

    Attributes:
        record: Its full record.
    """

    __slots__ = ("record",)

    def __init__(self, record: FlowRun) -> None:
        self.record = record

    @property
    def id(self) -> str:
        """Its id."""
        return self.record.id

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def flow_name(self) -> str:
        """Its flow's name."""
        return self.record.flow_name

    @property
    def deployment(self) -> str | None:
        """``"flow/name"`` of its deployment."""
        return self.record.deployment

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its parameters, as JSON values."""
        return self.record.parameters

    @property
    def tags(self) -> list[str]:
        """Its labels."""
        return self.record.tags

    @property
    def parent_run_id(self) -> str | None:
        """Id of the flow run that started it."""
        return self.record.parent_run_id

    @property
    def state(self) -> "State[Any]":
        """Its state, with the result where the run is over."""
        from stoker.states import State

        return State.from_record(self.record.state, self.record.result)

    def result(self, raise_on_failure: bool = True) -> Any:
        """Return what the run returned; see `State.result`."""
        return self.state.result(raise_on_failure=raise_on_failure)

    def wait(self, timeout: float | None = None) -> "DeploymentRun":
        """Wait until the run is over, for at most ``timeout`` seconds; returns itself.

        A run that waits lends its slot to the one that it waits for.
        """
        if not self.record.state.is_terminal:
            backend, waiter = backends.current(), _parent(True)
            request = AwaitRun(run_id=self.id, waiter_run_id=waiter, timeout=timeout)
            self.record = backend.ask(request)
        return self

    async def wait_async(self, timeout: float | None = None) -> "DeploymentRun":
        """Wait as `wait` does, without blocking the event loop."""
        from stoker.engine.looping import in_thread

        return await in_thread(lambda: self.wait(timeout))

    def refresh(self) -> "DeploymentRun":
        """Read the run again; returns itself."""
        self.record = backends.current().ask(ReadRun(run_id=self.id))
        return self

    def __repr__(self) -> str:
        return f"<DeploymentRun {self.name} of {self.deployment}: {self.record.state.name}>"


def run_deployment(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    scheduled_time: "datetime | None" = None,
    timeout: float | None = None,
    flow_run_name: str | None = None,
    tags: Iterable[str] = (),
    job_variables: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    as_subflow: bool = True,
) -> DeploymentRun:
    """Start a run of a deployment, and wait until it is over.

    Inside a coroutine function it returns an awaitable; `arun_deployment` always does.

    Args:
        name: ``"flow/deployment"``, or the deployment's id.
        parameters: Over the deployment's own; what JSON can carry, pydantic models,
            dataclasses, dates and the like included.
        scheduled_time: From when it may begin; at once by default. One without a time zone is in
            UTC.
        timeout: Seconds to wait at most, after which the run is returned as it is then; 0 not
            to wait, None to wait for ever.
        flow_run_name: The run's name; a readable one by default.
        tags: Labels, besides the deployment's.
        job_variables: Over the deployment's; ``env`` alone leaves the start hot, but for what
            acts at the start of a process (see `stoker.domain.environment.acts_at_start`).
        idempotency_key: A second call with the same key returns the first one's run.
        as_subflow: Whether the present flow run becomes its parent: while it waits it lends its
            slot, and if it is cancelled so is the run.

    Raises:
        ParameterError: A parameter cannot be sent as JSON.
        NotFound: There is no such deployment.
        Invalid: The parameters' names or the job variables are not the deployment's, or
            ``scheduled_time`` is before 1970.
        Unavailable: The server cannot be reached.

    Example:
        ```python
        run = run_deployment("etl/nightly", {"day": date(2026, 1, 1)})
        print(run.state.result())
        ```
    """
    request = _request(
        name,
        parameters,
        scheduled_time=scheduled_time,
        timeout=timeout,
        flow_run_name=flow_run_name,
        tags=tags,
        job_variables=job_variables,
        idempotency_key=idempotency_key,
        as_subflow=as_subflow,
    )
    if in_coroutine():
        # Its type says what the many get; who calls it in a coroutine knows to await it.
        return cast(DeploymentRun, _ask_later(request))
    return _ask(request)


async def arun_deployment(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    scheduled_time: "datetime | None" = None,
    timeout: float | None = None,
    flow_run_name: str | None = None,
    tags: Iterable[str] = (),
    job_variables: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    as_subflow: bool = True,
) -> DeploymentRun:
    """Do what `run_deployment` does, in a coroutine.

    Example:
        ```python
        runs = await asyncio.gather(*(arun_deployment("etl/nightly", {"day": d}) for d in days))
        ```
    """
    return await _ask_later(
        _request(
            name,
            parameters,
            scheduled_time=scheduled_time,
            timeout=timeout,
            flow_run_name=flow_run_name,
            tags=tags,
            job_variables=job_variables,
            idempotency_key=idempotency_key,
            as_subflow=as_subflow,
        )
    )


def _request(
    name: str,
    parameters: Mapping[str, Any] | None,
    *,
    scheduled_time: "datetime | None",
    timeout: float | None,
    flow_run_name: str | None,
    tags: Iterable[str],
    job_variables: Mapping[str, Any] | None,
    idempotency_key: str | None,
    as_subflow: bool,
) -> StartRun:
    where = f"run_deployment({name!r})"
    if timeout is not None and timeout < 0:
        raise ValueError(f"{where}: timeout must be 0 or more seconds, not {timeout}")
    given = dict(parameters or {})
    if resolve.active():
        given = resolve.resolved(given)
    return StartRun(
        deployment=name,
        parameters=sendable(given, where),
        name=flow_run_name,
        tags=labels(tags, where),
        job_variables=dict(job_variables or {}),
        parent_run_id=_parent(as_subflow),
        idempotency_key=idempotency_key,
        scheduled_time=_instant(scheduled_time, where),
        timeout=timeout,
    )


def _instant(given: "datetime | None", where: str) -> float | None:
    if given is None:
        return None
    from datetime import UTC, datetime

    # Users need not heed types.
    if not isinstance(cast(object, given), datetime):
        raise TypeError(f"{where}: scheduled_time is a datetime, not {given!r}")
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def _parent(wanted: bool) -> str | None:
    flow = current_flow()
    return flow.id if wanted and flow is not None and flow.id else None


def _ask(request: StartRun) -> DeploymentRun:
    return DeploymentRun(backends.current().ask(request))


def _ask_later(request: StartRun) -> Awaitable[DeploymentRun]:
    from stoker.engine.looping import in_thread

    return in_thread(lambda: _ask(request))


def in_coroutine() -> bool:
    """Whether the caller can await: an event loop runs here, and not around a plain function."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    context = CURRENT.get()
    return context is None or context.is_async
