"""The API as typed methods: the one caller of its routes."""

import time
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from stoker.client.event_calls import EventCalls
from stoker.client.replicas import Replicas
from stoker.domain import errors
from stoker.domain.concurrency import Limit, LimitKind
from stoker.domain.deployments import Deployment
from stoker.domain.errors import Invalid, StokerError
from stoker.domain.ids import new_id
from stoker.domain.pools import WorkPool, WorkQueue
from stoker.domain.requests import AcquireSlots, Slots, StartRun
from stoker.domain.runs import FlowRun, StoredLogLine, TaskRun
from stoker.domain.schedules import Backfill, DeploymentSchedule, Schedule
from stoker.domain.states import StateRecord
from stoker.wire.http import (
    Health,
    LimitCreate,
    LimitDetail,
    LimitUpdate,
    PoolCreate,
    PoolDetail,
    PoolUpdate,
    Problem,
    QueuePut,
    RunIds,
    RunPage,
    ScriptHello,
    ScriptSlots,
    StartRuns,
)
from stoker.wire.schedules import BackfillAnswer, BackfillStart, SchedulePatch

T = TypeVar("T")

WINDOW = 60.0
"""Seconds that one request to wait may be held by the server; a longer wait asks again."""

_encode = msgspec.json.Encoder().encode


class Api(EventCalls):
    """The server's API. May be used from many threads; see `Transport` for its connections.

    Of several addresses the next one is asked where one does not answer; see `Replicas`.

    Every method raises the `StokerError` that the server answers with, and `Unavailable`
    where there is no answer.

    Args:
        url: The server, for example ``"http://127.0.0.1:4200"``; or several, comma separated.
        key: The server's API key, where it has one.
        timeout: Seconds to wait for an answer that the server does not hold on purpose.

    Example:
        >>> api = Api("http://127.0.0.1:4200")
        >>> api.close()
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = 30.0) -> None:
        self._transport = Replicas(url, key, timeout)
        self.url = self._transport.url

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def health(self) -> Health:
        """Return the server's version, home and database."""
        return self._call(Health, "GET", "/api/health")

    # Flow runs.

    def start_run(self, request: StartRun) -> FlowRun:
        """Start a run of a deployment; wait for its end as ``request.timeout`` says.

        It always goes out with an idempotency key, so that sending it again is safe.
        """
        keyed = _keyed(request)
        forever = keyed.timeout is None
        hold = min(WINDOW, WINDOW if keyed.timeout is None else keyed.timeout)
        asked = msgspec.structs.replace(keyed, timeout=hold)
        deadline = time.monotonic() + (keyed.timeout or 0)
        run = self._call(FlowRun, "POST", "/api/flow-runs", asked, hold=hold, again=True)
        if run.state.is_terminal or keyed.timeout == 0:
            return run
        return self.wait_run(run.id, None if forever else deadline - time.monotonic(), last=run)

    def start_runs(self, requests: list[StartRun]) -> list[str]:
        """Start many runs, all or none, and return their ids in order."""
        body = StartRuns(runs=[_keyed(request) for request in requests])
        return self._call(RunIds, "POST", "/api/flow-runs/batch", body, again=True).ids

    def runs(
        self,
        *,
        states: list[str] | None = None,
        deployment: str | None = None,
        flow: str | None = None,
        pool: str | None = None,
        parent: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> RunPage:
        """Return one page of flow runs, newest first; ``before`` is the last page's ``next``."""
        query: list[tuple[str, object]] = [("state", state) for state in states or []]
        query += [
            (name, value)
            for name, value in (
                ("deployment", deployment),
                ("flow", flow),
                ("pool", pool),
                ("parent", parent),
                ("before", before),
            )
            if value is not None
        ]
        return self._call(RunPage, "GET", _query("/api/flow-runs", [*query, ("limit", limit)]))

    def run(self, run_id: str) -> FlowRun:
        """Return a flow run."""
        return self._call(FlowRun, "GET", f"/api/flow-runs/{_part(run_id)}")

    def wait_run(
        self, run_id: str, timeout: float | None = None, *, last: FlowRun | None = None
    ) -> FlowRun:
        """Return a flow run once it is over, or as it is after ``timeout`` seconds.

        The server holds the request and answers at the run's end. ``last`` is returned where
        no time is left.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = WINDOW if deadline is None else min(WINDOW, deadline - time.monotonic())
            if last is not None and (left <= 0 or last.state.is_terminal):
                return last
            last = self.wait_run_once(run_id, max(left, 0.0))

    def wait_run_once(self, run_id: str, hold: float) -> FlowRun:
        """Return a flow run once it is over, or as it is after ``hold`` seconds: one request."""
        path = _query(f"/api/flow-runs/{_part(run_id)}/wait", [("timeout", f"{hold:.3f}")])
        return self._call(FlowRun, "GET", path, hold=hold)

    def run_states(self, run_id: str) -> list[StateRecord]:
        """Return the states that a flow run has been in, in order."""
        return self._call(list[StateRecord], "GET", f"/api/flow-runs/{_part(run_id)}/states")

    def pause_run(self, run_id: str, timeout: float | None = 3600.0) -> FlowRun:
        """Let a flow run stand still; after ``timeout`` seconds it fails, with None never."""
        return self._hold(run_id, "pause", timeout)

    def suspend_run(self, run_id: str, timeout: float | None = 3600.0) -> FlowRun:
        """End a flow run's process, to be begun again; after ``timeout`` seconds it fails."""
        return self._hold(run_id, "suspend", timeout)

    def _hold(self, run_id: str, verb: str, timeout: float | None) -> FlowRun:
        path = _query(f"/api/flow-runs/{_part(run_id)}/{verb}", [("timeout", timeout or 0)])
        return self._call(FlowRun, "POST", path)

    def resume_run(self, run_id: str) -> FlowRun:
        """Let a paused or suspended flow run go on."""
        return self._call(FlowRun, "POST", f"/api/flow-runs/{_part(run_id)}/resume")

    def retry_run(self, run_id: str, *, force: bool = False) -> FlowRun:
        """Run a flow run again that is over; with ``force`` also one that completed."""
        path = _query(f"/api/flow-runs/{_part(run_id)}/retry", [("force", str(force).lower())])
        return self._call(FlowRun, "POST", path)

    def delete_run(self, run_id: str) -> None:
        """Delete a flow run that is over, with all that it has left behind."""
        self._send("DELETE", f"/api/flow-runs/{_part(run_id)}")

    def task_runs(self, run_id: str) -> list[TaskRun]:
        """Return the task runs of a flow run."""
        return self._call(list[TaskRun], "GET", f"/api/flow-runs/{_part(run_id)}/task-runs")

    def logs(
        self, run_id: str, *, after: int = 0, limit: int = 1000, wait: float = 0.0
    ) -> list[StoredLogLine]:
        """Return log lines after the line ``after``.

        With ``wait`` the server answers when there are some, when the run is over, or after so
        many seconds.
        """
        query: list[tuple[str, object]] = [("after", after), ("limit", limit)]
        if wait:
            query.append(("wait", f"{wait:.3f}"))
        path = _query(f"/api/flow-runs/{_part(run_id)}/logs", query)
        return self._call(list[StoredLogLine], "GET", path, hold=wait)

    def cancel_run(self, run_id: str) -> FlowRun:
        """Cancel a flow run and return it as it is then."""
        return self._call(FlowRun, "POST", f"/api/flow-runs/{_part(run_id)}/cancel")

    # Deployments.

    def put_deployment(self, deployment: Deployment) -> Deployment:
        """Create or replace a deployment, by the names of flow and deployment."""
        return self._call(Deployment, "PUT", "/api/deployments", deployment)

    def deployments(self) -> list[Deployment]:
        """Return all deployments."""
        return self._call(list[Deployment], "GET", "/api/deployments")

    def deployment(self, full_name: str) -> Deployment:
        """Return the deployment ``"flow/name"``."""
        return self._call(Deployment, "GET", _deployment_path(full_name))

    def delete_deployment(self, full_name: str) -> None:
        """Delete the deployment ``"flow/name"``."""
        self._send("DELETE", _deployment_path(full_name))

    # Schedules and backfills.

    def schedules(self, full_name: str) -> list[DeploymentSchedule]:
        """Return the schedules of a deployment, with their next occurrences."""
        path = f"{_deployment_path(full_name)}/schedules"
        return self._call(list[DeploymentSchedule], "GET", path)

    def create_schedule(self, full_name: str, schedule: Schedule) -> DeploymentSchedule:
        """Give a deployment one more schedule."""
        path = f"{_deployment_path(full_name)}/schedules"
        return self._call(DeploymentSchedule, "POST", path, schedule)

    def set_schedule_active(self, full_name: str, slug: str, *, active: bool) -> DeploymentSchedule:
        """Pause a schedule, or let it go on."""
        path = f"{_deployment_path(full_name)}/schedules/{_part(slug)}"
        body = SchedulePatch(active=active)
        return self._call(DeploymentSchedule, "PATCH", path, body, again=True)

    def delete_schedule(self, full_name: str, slug: str) -> None:
        """Delete a schedule of a deployment."""
        self._send("DELETE", f"{_deployment_path(full_name)}/schedules/{_part(slug)}")

    def start_backfill(self, full_name: str, start: BackfillStart) -> BackfillAnswer:
        """Start a backfill, or go on with the one that was asked for in the same words before."""
        path = f"{_deployment_path(full_name)}/backfills"
        return self._call(BackfillAnswer, "POST", path, start, again=True)

    def backfills(self, deployment: str | None = None) -> list[Backfill]:
        """Return the newest backfills, of all deployments or of ``"flow/name"``."""
        query = [] if deployment is None else [("deployment", deployment)]
        return self._call(list[Backfill], "GET", _query("/api/backfills", [*query]))

    def backfill(self, backfill_id: str) -> Backfill:
        """Return a backfill."""
        return self._call(Backfill, "GET", f"/api/backfills/{_part(backfill_id)}")

    def cancel_backfill(self, backfill_id: str) -> Backfill:
        """Make no more runs of a backfill, and cancel those that wait."""
        path = f"/api/backfills/{_part(backfill_id)}/cancel"
        return self._call(Backfill, "POST", path, again=True)

    # Work pools.

    def create_pool(self, pool: PoolCreate) -> WorkPool:
        """Create a work pool."""
        return self._call(WorkPool, "POST", "/api/work-pools", pool)

    def pools(self) -> list[PoolDetail]:
        """Return all work pools and what they are doing."""
        return self._call(list[PoolDetail], "GET", "/api/work-pools")

    def pool(self, name: str) -> PoolDetail:
        """Return a work pool and what it is doing."""
        return self._call(PoolDetail, "GET", f"/api/work-pools/{_part(name)}")

    def update_pool(self, name: str, update: PoolUpdate) -> WorkPool:
        """Change what ``update`` sets of a work pool."""
        return self._call(WorkPool, "PATCH", f"/api/work-pools/{_part(name)}", update)

    def delete_pool(self, name: str) -> None:
        """Delete a work pool."""
        self._send("DELETE", f"/api/work-pools/{_part(name)}")

    def put_queue(self, pool: str, name: str, queue: QueuePut) -> WorkQueue:
        """Create or replace a queue of a work pool."""
        path = f"/api/work-pools/{_part(pool)}/queues/{_part(name)}"
        return self._call(WorkQueue, "PUT", path, queue)

    # Concurrency limits.

    def create_limit(self, limit: LimitCreate) -> Limit:
        """Create a concurrency limit."""
        return self._call(Limit, "POST", "/api/concurrency-limits", limit)

    def limits(self, kind: LimitKind) -> list[LimitDetail]:
        """Return the limits of a kind and their use."""
        return self._call(list[LimitDetail], "GET", f"/api/concurrency-limits/{kind}")

    def limit(self, kind: LimitKind, name: str) -> LimitDetail:
        """Return a limit and its use."""
        return self._call(LimitDetail, "GET", _limit_path(kind, name))

    def update_limit(self, kind: LimitKind, name: str, update: LimitUpdate) -> Limit:
        """Change what ``update`` sets of a limit."""
        return self._call(Limit, "PATCH", _limit_path(kind, name), update)

    def delete_limit(self, kind: LimitKind, name: str) -> None:
        """Delete a limit."""
        self._send("DELETE", _limit_path(kind, name))

    # Scripts: processes that run flows themselves.

    def acquire_slots(self, host_id: str, request: AcquireSlots, hold: float) -> Slots:
        """Take slots for a script; the server holds the request for ``hold`` seconds at most."""
        body = ScriptSlots(host_id=host_id, request=request, hold=hold)
        return self._call(Slots, "POST", "/api/slots", body, hold=hold)

    def give_back_slots(self, host_id: str, request_id: str) -> None:
        """Give a script's slots back."""
        self._send("DELETE", _query(f"/api/slots/{_part(request_id)}", [("host_id", host_id)]))

    def script_hello(self, hello: ScriptHello) -> None:
        """Register a script as the host of its own runs."""
        self._send("POST", "/api/scripts", hello, again=True)

    def script_heartbeat(self, host_id: str) -> None:
        """Say that the script is alive."""
        self._send("POST", f"/api/scripts/{_part(host_id)}/heartbeat", again=True)

    def script_bye(self, host_id: str) -> None:
        """Say that the script has no run any more and leaves."""
        self._send("DELETE", f"/api/scripts/{_part(host_id)}")

    def report(self, frames: list[bytes]) -> None:
        """Send frames, each already encoded as JSON (see `Frame`)."""
        body = b'{"frames":[' + b",".join(frames) + b"]}"
        self._send("POST", "/api/reports", body, again=True)

    def _call(
        self,
        answer: type[T],
        method: str,
        path: str,
        body: Any = None,
        hold: float = 0.0,
        *,
        again: bool = False,
    ) -> T:
        content = self._send(method, path, body, hold, again=again)
        try:
            return _decoder(answer).decode(content)
        except msgspec.MsgspecError as error:
            raise StokerError(
                f"{self.url} answered {method} {path} with what this version of Stoker does not "
                f"understand ({error}); do server and client have the same version?"
            ) from None

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        hold: float = 0.0,
        *,
        again: bool = False,
    ) -> bytes:
        """Send a request; ``again`` says that it does no harm where it arrives twice."""
        encoded = body if body is None or isinstance(body, bytes) else _encode(body)
        status, content = self._transport.send(method, path, encoded, hold=hold, repeatable=again)
        if status >= 300:
            raise _error(f"{method} {self.url}{path}", status, content)
        return content


def _keyed(request: StartRun) -> StartRun:
    if request.idempotency_key:
        return request
    return msgspec.structs.replace(request, idempotency_key=new_id(time.time()))


def _part(text: str) -> str:
    return quote(text, safe="")


def _deployment_path(full_name: str) -> str:
    flow, slash, name = full_name.partition("/")
    if not (flow and slash and name):
        raise Invalid(f"{full_name!r} is no deployment's name; it has the form FLOW/NAME")
    return f"/api/deployments/{_part(flow)}/{_part(name)}"


def _limit_path(kind: LimitKind, name: str) -> str:
    return f"/api/concurrency-limits/{kind}/{_part(name)}"


def _query(path: str, query: list[tuple[str, object]]) -> str:
    return f"{path}?{urlencode(query)}"


@cache
def _decoder(answer: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(answer)


def _error(request: str, status: int, content: bytes) -> StokerError:
    """The error that an answer names, or the one that its status means."""
    try:
        problem = _decoder(Problem).decode(content)
    except msgspec.MsgspecError:
        text = content[:200].decode(errors="replace").strip()
        problem = Problem(
            error="",
            detail=f"{request} was answered with status {status}: {text or 'no text'}; "
            "is this a Stoker server?",
        )
    kinds = [*StokerError.__subclasses__(), errors.OutcomeUnknown]
    known = {kind.__name__: kind for kind in kinds}
    kind = known.get(problem.error)
    if kind is None:
        by_status = {kind.status: kind for kind in known.values()}
        kind = by_status.get(status, errors.StokerError)
    return kind(problem.detail)
