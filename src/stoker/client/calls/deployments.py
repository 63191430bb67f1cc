"""Deployments, their schedules and backfills."""

from stoker.client.calls.calling import Calls, deployment_path, part, with_query
from stoker.domain.deployments import Deployment
from stoker.domain.schedules import Backfill, DeploymentSchedule, Schedule
from stoker.wire.schedules import BackfillAnswer, BackfillStart, SchedulePatch


class DeploymentCalls(Calls):
    """Part of `stoker.client.http.Api`."""

    def put_deployment(self, deployment: Deployment) -> Deployment:
        """Create or replace a deployment, by the names of flow and deployment."""
        return self._call(Deployment, "PUT", "/api/deployments", deployment)

    def deployments(self) -> list[Deployment]:
        """Return all deployments."""
        return self._call(list[Deployment], "GET", "/api/deployments")

    def deployment(self, full_name: str) -> Deployment:
        """Return the deployment ``"flow/name"``."""
        return self._call(Deployment, "GET", deployment_path(full_name))

    def delete_deployment(self, full_name: str) -> None:
        """Delete the deployment ``"flow/name"``."""
        self._send("DELETE", deployment_path(full_name))

    def schedules(self, full_name: str) -> list[DeploymentSchedule]:
        """Return the schedules of a deployment, with their next occurrences."""
        path = f"{deployment_path(full_name)}/schedules"
        return self._call(list[DeploymentSchedule], "GET", path)

    def create_schedule(self, full_name: str, schedule: Schedule) -> DeploymentSchedule:
        """Give a deployment one more schedule."""
        path = f"{deployment_path(full_name)}/schedules"
        return self._call(DeploymentSchedule, "POST", path, schedule)

    def set_schedule_active(self, full_name: str, slug: str, *, active: bool) -> DeploymentSchedule:
        """Pause a schedule, or let it go on."""
        path = f"{deployment_path(full_name)}/schedules/{part(slug)}"
        body = SchedulePatch(active=active)
        return self._call(DeploymentSchedule, "PATCH", path, body, again=True)

    def delete_schedule(self, full_name: str, slug: str) -> None:
        """Delete a schedule of a deployment."""
        self._send("DELETE", f"{deployment_path(full_name)}/schedules/{part(slug)}")

    def start_backfill(self, full_name: str, start: BackfillStart) -> BackfillAnswer:
        """Start a backfill, or go on with the one that was asked for in the same words before."""
        path = f"{deployment_path(full_name)}/backfills"
        return self._call(BackfillAnswer, "POST", path, start, again=True)

    def backfills(self, deployment: str | None = None) -> list[Backfill]:
        """Return the newest backfills, of all deployments or of ``"flow/name"``."""
        query = [] if deployment is None else [("deployment", deployment)]
        return self._call(list[Backfill], "GET", with_query("/api/backfills", [*query]))

    def backfill(self, backfill_id: str) -> Backfill:
        """Return a backfill."""
        return self._call(Backfill, "GET", f"/api/backfills/{part(backfill_id)}")

    def cancel_backfill(self, backfill_id: str) -> Backfill:
        """Make no more runs of a backfill, and cancel those that wait."""
        path = f"/api/backfills/{part(backfill_id)}/cancel"
        return self._call(Backfill, "POST", path, again=True)
