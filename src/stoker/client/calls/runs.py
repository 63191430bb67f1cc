"""Flow runs: started, read, waited for, changed."""

import time

import msgspec

from stoker.client.calls.calling import Calls, part, with_query
from stoker.domain.ids import new_id
from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun, StoredLogLine, TaskRun
from stoker.domain.states import StateRecord
from stoker.wire.http import RunIds, RunPage, StartRuns

WINDOW = 60.0
"""Seconds that one request to wait may be held by the server; a longer wait asks again."""


class RunCalls(Calls):
    """Part of `stoker.client.http.Api`."""

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
        return self._call(RunPage, "GET", with_query("/api/flow-runs", [*query, ("limit", limit)]))

    def run(self, run_id: str) -> FlowRun:
        """Return a flow run."""
        return self._call(FlowRun, "GET", f"/api/flow-runs/{part(run_id)}")

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
        path = with_query(f"/api/flow-runs/{part(run_id)}/wait", [("timeout", f"{hold:.3f}")])
        return self._call(FlowRun, "GET", path, hold=hold)

    def run_states(self, run_id: str) -> list[StateRecord]:
        """Return the states that a flow run has been in, in order."""
        return self._call(list[StateRecord], "GET", f"/api/flow-runs/{part(run_id)}/states")

    def pause_run(self, run_id: str, timeout: float | None = 3600.0) -> FlowRun:
        """Let a flow run stand still; after ``timeout`` seconds it fails, with None never."""
        return self._hold(run_id, "pause", timeout)

    def suspend_run(self, run_id: str, timeout: float | None = 3600.0) -> FlowRun:
        """End a flow run's process, to be begun again; after ``timeout`` seconds it fails."""
        return self._hold(run_id, "suspend", timeout)

    def _hold(self, run_id: str, verb: str, timeout: float | None) -> FlowRun:
        path = with_query(f"/api/flow-runs/{part(run_id)}/{verb}", [("timeout", timeout or 0)])
        return self._call(FlowRun, "POST", path)

    def resume_run(self, run_id: str) -> FlowRun:
        """Let a paused or suspended flow run go on."""
        return self._call(FlowRun, "POST", f"/api/flow-runs/{part(run_id)}/resume")

    def retry_run(self, run_id: str, *, force: bool = False) -> FlowRun:
        """Run a flow run again that is over; with ``force`` also one that completed."""
        path = with_query(f"/api/flow-runs/{part(run_id)}/retry", [("force", str(force).lower())])
        return self._call(FlowRun, "POST", path)

    def delete_run(self, run_id: str) -> None:
        """Delete a flow run that is over, with all that it has left behind."""
        self._send("DELETE", f"/api/flow-runs/{part(run_id)}")

    def task_runs(self, run_id: str) -> list[TaskRun]:
        """Return the task runs of a flow run."""
        return self._call(list[TaskRun], "GET", f"/api/flow-runs/{part(run_id)}/task-runs")

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
        path = with_query(f"/api/flow-runs/{part(run_id)}/logs", query)
        return self._call(list[StoredLogLine], "GET", path, hold=wait)

    def cancel_run(self, run_id: str) -> FlowRun:
        """Cancel a flow run and return it as it is then."""
        return self._call(FlowRun, "POST", f"/api/flow-runs/{part(run_id)}/cancel")


def _keyed(request: StartRun) -> StartRun:
    if request.idempotency_key:
        return request
    return msgspec.structs.replace(request, idempotency_key=new_id(time.time()))
