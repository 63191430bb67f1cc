"""The backend of scripts with a server: their flow runs are reported and asked for over HTTP."""

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar, overload

from stoker.client.http import Api
from stoker.client.reporting import Reporter
from stoker.domain.deployments import Deployment
from stoker.domain.errors import Invalid, NotFound, Unavailable
from stoker.domain.reports import Report
from stoker.domain.requests import (
    AcquireSlots,
    Answer,
    AwaitRun,
    HoldRun,
    PauseRun,
    PutDeployment,
    ReadRun,
    Request,
    ResumeRun,
    RunRequest,
    Slots,
    StartRun,
)
from stoker.domain.runs import FlowRun
from stoker.settings import Settings

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a server may be away before a flush or a wait gives up."""

LATE = 1.0
"""Seconds that an answer may be late which the server gives at a certain time."""

_log = logging.getLogger("stoker.client")


def open_backend(settings: Settings) -> "HttpBackend":
    """Open the backend that reports to ``settings.api_url``.

    Raises:
        Invalid: No server is set, or what is set is no address.
    """
    if settings.api_url is None:
        raise Invalid("no server is set: set STOKER_API_URL, for example to http://127.0.0.1:4200")
    api = Api(settings.api_url, settings.api_key, settings.request_timeout)
    return HttpBackend(api, heartbeat=settings.heartbeat)


class HttpBackend:
    """A `Backend` over HTTP; what it reports a `Reporter` sends.

    Args:
        api: The server.
        heartbeat: Seconds between two heartbeats while runs are open.
        patience: Seconds for which the server may be away before a flush or a wait gives up.
    """

    def __init__(self, api: Api, *, heartbeat: float = 5.0, patience: float = PATIENCE) -> None:
        self._api = api
        self._patience = patience
        self._reporter = Reporter(api, heartbeat=heartbeat, patience=patience)

    def report(self, run_id: str, *reports: Report) -> None:
        """Record what happened to a flow run; see `Reporter.report`."""
        self._reporter.report(run_id, *reports)

    def flush(self) -> None:
        """Return when the server has everything reported so far; see `Reporter.flush`."""
        self._reporter.flush()

    @overload
    def ask(self, request: RunRequest) -> FlowRun: ...
    @overload
    def ask(self, request: PutDeployment) -> Deployment: ...
    @overload
    def ask(self, request: AcquireSlots) -> Slots: ...
    def ask(self, request: Request) -> Answer:
        """Send a request and return its answer; a wait outlives a restart of the server.

        Raises:
            StokerError: As the server says; `Unavailable` where there is none.
        """
        match request:
            case StartRun():
                if request.parent_run_id is not None:
                    self._reporter.confirm(request.parent_run_id)
                return self._start_run(request)
            case AwaitRun():
                return self._await_run(request.run_id, request.timeout)
            case ReadRun():
                return self._api.run(request.run_id)
            case HoldRun():
                hold = self._api.suspend_run if request.suspend else self._api.pause_run
                return hold(request.run_id, request.timeout)
            case ResumeRun():
                return self._api.resume_run(request.run_id)
            case PauseRun():
                raise Invalid(
                    "only a run of a deployment can pause or suspend itself; this one executes "
                    "in a script"
                )
            case PutDeployment():
                return self._api.put_deployment(request.deployment)
            case AcquireSlots():
                return self._acquire(request)

    def give_back(self, request_id: str) -> None:
        """See `Backend.give_back`. It is sent at once, and again until the server has it."""
        self._reporter.give_back(request_id)

    def close(self) -> None:
        """Flush, and end the thread and the connections. What cannot be sent is said and lost."""
        self._reporter.close()
        self._api.close()

    # Requests.

    def _start_run(self, request: StartRun) -> FlowRun:
        timeout = request.timeout
        if timeout == 0:
            return self._api.start_run(request)
        started = time.monotonic()
        # Started and waited for apart: a server that restarts breaks off only the wait.
        request.timeout = 0
        try:
            run = self._api.start_run(request)
        finally:
            request.timeout = timeout
        if timeout is not None:
            timeout = max(0.0, timeout - (time.monotonic() - started))
        return self._await_run(run.id, timeout)

    def _await_run(self, run_id: str, timeout: float | None) -> FlowRun:
        deadline = None if timeout is None else time.monotonic() + timeout

        def wait() -> FlowRun:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            return self._api.wait_run(run_id, left)

        return self._patiently(wait)

    def _acquire(self, request: AcquireSlots) -> Slots:
        """Wait for slots. The server keeps the place of a request that is made again."""
        started = time.monotonic()
        timeout = math.inf if request.timeout is None else request.timeout
        slots: Slots | None = None
        self._reporter.begin_claim(request)

        def ask() -> Slots:
            left = timeout - (time.monotonic() - started)
            return self._reporter.ask_claim(request, max(0.0, left) + LATE)

        try:
            while True:
                try:
                    slots = self._patiently(ask)
                except NotFound:
                    if request.strict:
                        raise
                    # It has given this process up meanwhile.
                    self._reporter.hello()
                    continue
                if not slots.waiting:
                    return slots
        finally:
            self._reporter.settle_claim(request, slots)

    def _patiently(self, call: Callable[[], T]) -> T:
        """Call until the server answers; give up where it stays away too long."""
        while True:
            try:
                return call()
            except Unavailable as error:
                _log.warning("%s; still waiting", error)
                self._until_back()

    def _until_back(self) -> None:
        deadline = time.monotonic() + self._patience
        pause = 0.1
        while True:
            time.sleep(pause)
            pause = min(2 * pause, 2.0)
            try:
                self._api.health()
                return
            except Unavailable:
                if time.monotonic() >= deadline:
                    raise
