"""The emulator, served, with real boto3 in front of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config

from stoker.testing.ecs import EcsEmulator, EcsSettings

NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}
ROLE = "arn:aws:iam::123456789012:role/execution"
# A test that waits for a retry would wait for botocore's random back-off.
ONCE = Config(retries={"total_max_attempts": 1})


class Account:
    """An emulator and its clients, with what most tests say to them."""

    def __init__(self, emulator: EcsEmulator) -> None:
        self.emulator = emulator
        self.ecs: Any = emulator.client("ecs", config=ONCE)
        self.logs: Any = emulator.client("logs", config=ONCE)

    def define(self, *command: str, **container: Any) -> str:
        """Register a task definition for Fargate that runs a command and logs to ``/hosts``."""
        options = {
            "awslogs-group": "/hosts",
            "awslogs-create-group": "true",
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": "pool",
        }
        main = {
            "name": "main",
            "image": "image",
            "command": list(command),
            "logConfiguration": {"logDriver": "awslogs", "options": options},
        }
        definition = self.ecs.register_task_definition(
            family="f",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            executionRoleArn=ROLE,
            containerDefinitions=[main | container],
        )
        return definition["taskDefinition"]["taskDefinitionArn"]

    def run(self, **changes: Any) -> list[str]:
        """Run tasks of ``f``; their ARNs."""
        request = {"taskDefinition": "f", "launchType": "FARGATE", "networkConfiguration": NETWORK}
        answer = self.ecs.run_task(**(request | changes))
        assert answer["failures"] == []
        return [task["taskArn"] for task in answer["tasks"]]

    def task(self, arn: str) -> Any:
        """The task as it is."""
        [task] = self.ecs.describe_tasks(tasks=[arn])["tasks"]
        return task

    def await_status(self, arn: str, status: str) -> Any:
        """The task, once it has a status."""
        return self.emulator.until(
            lambda: (task := self.task(arn))["lastStatus"] == status and task
        )

    def lines(self, arn: str) -> list[str]:
        """What the task's container wrote to CloudWatch Logs."""
        events = self.logs.get_log_events(
            logGroupName="/hosts",
            logStreamName=f"pool/main/{arn.rpartition('/')[2]}",
            startFromHead=True,
        )["events"]
        return [event["message"] for event in events]

    def await_line(self, arn: str, line: str) -> None:
        """Return once the task has written a line."""
        self.emulator.until(lambda: line in self.emulator.ecs.lines(arn))


@pytest.fixture
def emulate() -> Iterator[Callable[..., Account]]:
    """Starts emulators; settings by name."""
    started: list[EcsEmulator] = []

    def start(**settings: Any) -> Account:
        options = {
            name: settings.pop(name)
            for name in ("runner", "faults", "moto", "secrets")
            if name in settings
        }
        emulator = EcsEmulator(EcsSettings(**settings), **options).start()
        started.append(emulator)
        return Account(emulator)

    yield start
    for emulator in started:
        emulator.close()


@pytest.fixture
def account(emulate: Callable[..., Account]) -> Account:
    """An account as AWS gives it, with short cold starts."""
    return emulate()
