"""An account on virtual time, for tests of policies and launchers without a server."""

from collections.abc import Mapping
from typing import Any

from stoker.testing.ecs.faults import Faults
from stoker.testing.ecs.model.ecs import Ecs
from stoker.testing.ecs.model.world import EcsSettings
from stoker.testing.ecs.runners import FakeRunner, Runner

NETWORK: Mapping[str, Any] = {
    "awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}
}
"""A network configuration that will do."""


class VirtualEcs(Ecs):
    """ECS whose time its test sets, with a task definition ``f`` for Fargate.

    Args:
        settings: How the account behaves.
        faults: What goes wrong; by default nothing.
        runner: Runs the containers; by default a `FakeRunner`.

    Attributes:
        time: The time, in seconds since the epoch.

    Example:
        >>> ecs = VirtualEcs(EcsSettings(cold_start=Quantiles.always(30)))
        >>> arn = ecs.run_one()
        >>> ecs.after(30)
        >>> ecs.describe(arn)[0]["lastStatus"]
        'RUNNING'
    """

    def __init__(
        self,
        settings: EcsSettings | None = None,
        faults: Faults | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.time = 1_000_000.0
        super().__init__(lambda: self.time, settings, runner or FakeRunner())
        self.define()
        self.calls.clear()
        if faults is not None:
            self.world.faults = faults

    def after(self, seconds: float) -> None:
        """Let time pass, each thing at its own time."""
        until = self.time + seconds
        while (due := self.next_due()) is not None and due <= until:
            self.time = max(self.time, due)
            self.advance()
        self.time = until
        self.advance()

    def define(self, **changes: Any) -> dict[str, Any]:
        """Register the next revision of ``f``: 0.25 vCPU, 512 MiB, one container, ``main``."""
        body = {
            "family": "f",
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "containerDefinitions": [{"name": "main", "image": "image", "command": ["true"]}],
        }
        return self.call("RegisterTaskDefinition", body | changes)["taskDefinition"]

    def run(self, **changes: Any) -> dict[str, Any]:
        """Run ``f`` on Fargate; `None` takes a parameter out of the request."""
        request: dict[str, Any] = {
            "taskDefinition": "f",
            "launchType": "FARGATE",
            "networkConfiguration": NETWORK,
            **changes,
        }
        return self.call("RunTask", {k: v for k, v in request.items() if v is not None})

    def run_one(self, **changes: Any) -> str:
        """As `run`, of one task, whose ARN it is."""
        [task] = self.run(**changes)["tasks"]
        return task["taskArn"]

    def describe(self, *arns: str) -> list[dict[str, Any]]:
        """The tasks of these ARNs that are found."""
        return self.call("DescribeTasks", {"tasks": list(arns)})["tasks"]
