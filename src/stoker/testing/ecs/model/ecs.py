"""ECS as a function of calls and time: no socket, no process, no clock of its own."""

from collections.abc import Callable
from functools import partial
from typing import Any

from stoker.testing.ecs.calls import Call, Calls
from stoker.testing.ecs.errors import AnswerLost, AwsError, server_error, throttled
from stoker.testing.ecs.faults import Faults
from stoker.testing.ecs.logs import Logs
from stoker.testing.ecs.model import (
    clusters,
    definitions,
    launching,
    lifecycle,
    protection,
    scheduler,
    services,
    tags,
    tasks,
)
from stoker.testing.ecs.model.paging import page
from stoker.testing.ecs.model.records import Json, TaskRecord
from stoker.testing.ecs.model.world import EcsSettings, World
from stoker.testing.ecs.runners import OUT_OF_MEMORY, FakeRunner, Runner

_ACTIONS: dict[str, Callable[[World, Json], Json]] = {
    "CreateCluster": clusters.create,
    "DeleteCluster": clusters.delete,
    "DescribeClusters": clusters.describe,
    "ListClusters": page(clusters.list_arns, "clusterArns"),
    "RegisterTaskDefinition": definitions.register,
    "DescribeTaskDefinition": definitions.describe,
    "DeregisterTaskDefinition": definitions.deregister,
    "ListTaskDefinitions": page(definitions.list_arns, "taskDefinitionArns"),
    "RunTask": launching.run_task,
    "StopTask": tasks.stop_task,
    "DescribeTasks": tasks.describe_tasks,
    "ListTasks": page(tasks.list_arns, "taskArns"),
    "CreateService": services.create,
    "UpdateService": services.update,
    "DeleteService": services.delete,
    "DescribeServices": services.describe,
    "ListServices": page(services.list_arns, "serviceArns", default=10),
    "UpdateTaskProtection": protection.update,
    "GetTaskProtection": protection.get,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "ListTagsForResource": tags.list_tags,
}


class Ecs:
    """One account's ECS in one region.

    Its time is the clock's: at each call, and at `advance`, what is due happens. So it runs on
    virtual time as on real time.

    Args:
        clock: Seconds since the epoch.
        settings: How it behaves.
        runner: Runs the containers; by default none really runs.
        faults: What goes wrong; by default nothing.
        secrets: Values of secrets by ARN; by default there are none.

    Example:
        >>> now = [0.0]
        >>> ecs = Ecs(lambda: now[0])
        >>> ecs.call("ListClusters", {})["clusterArns"]
        ['arn:aws:ecs:us-east-1:123456789012:cluster/default']
    """

    def __init__(
        self,
        clock: Callable[[], float],
        settings: EcsSettings | None = None,
        runner: Runner | None = None,
        faults: Faults | None = None,
        secrets: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self.world = World(
            settings or EcsSettings(), clock, runner or FakeRunner(), faults or Faults(), secrets
        )
        self.world.task_moved = partial(scheduler.task_moved, self.world)

    @property
    def calls(self) -> Calls:
        """What was called."""
        return self.world.calls

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.world.faults

    @property
    def logs(self) -> Logs:
        """CloudWatch's logs."""
        return self.world.logs

    def tasks(self, *statuses: str) -> list[TaskRecord]:
        """The tasks there are, of all statuses or of some."""
        with self.world.lock:
            self.world.advance()
            found = list(self.world.tasks.values())
        return [task for task in found if not statuses or task.status in statuses]

    def lines(self, task_arn: str) -> list[str]:
        """The last lines that a task wrote, whether or not it has a log stream."""
        return list(self.world.lines.get(task_arn, ()))

    def interrupt(self, task_arn: str) -> None:
        """Interrupt a Spot task.

        Raises:
            KeyError: There is no such task.
        """
        with self.world.lock:
            self.world.advance()
            lifecycle.interrupt(self.world, self.world.tasks[task_arn])

    def kill(self, task_arn: str, *, out_of_memory: bool = False) -> None:
        """Kill a task's containers, as the kernel does to one that outgrows its memory.

        Raises:
            KeyError: There is no such task.
        """
        with self.world.lock:
            self.world.advance()
            task = self.world.tasks[task_arn]
            lifecycle.kill(self.world, task, OUT_OF_MEMORY if out_of_memory else None)

    def advance(self) -> None:
        """Let happen what is due."""
        self.world.advance()

    def next_due(self) -> float | None:
        """When something is due next, if anything is."""
        return self.world.next_due()

    def call(self, action: str, parameters: dict[str, Any]) -> Json:
        """Make a call of the API.

        Args:
            action: Such as ``RunTask``.
            parameters: Its request, by the names of the API.

        Returns:
            The answer, with times in seconds since the epoch.

        Raises:
            AwsError: It is refused.
            AnswerLost: The fault of that name struck.
        """
        with self.world.lock:
            self.world.advance()
            try:
                answer = self._answer(action, parameters)
            except AwsError as error:
                self._note(action, parameters, error.code)
                raise
            except AnswerLost:
                self._note(action, parameters, "AnswerLost")
                raise
            self._note(action, parameters, None)
            # What is due at once, such as a cold start of no time, is seen by the next call.
            return answer

    def _note(self, action: str, parameters: Json, error: str | None) -> None:
        self.calls.add(Call(self.world.now, action, parameters, error))

    def _answer(self, action: str, parameters: Json) -> Json:
        handler = _ACTIONS.get(action)
        if handler is None:
            raise AwsError("UnknownOperationException", f"the emulator has no action {action}")
        strikes = partial(self.faults.strikes, action=action)
        if strikes("access_denied"):
            user = f"arn:aws:iam::{self.world.settings.account}:user/emulator"
            raise AwsError(
                "AccessDeniedException",
                f"User: {user} is not authorized to perform: ecs:{action} on resource: * because "
                f"no identity-based policy allows the ecs:{action} action",
            )
        if strikes("throttled") or not self.world.buckets.allow(action, self.world.now):
            raise throttled()
        if strikes("request_lost"):
            raise AnswerLost
        if strikes("server_error"):
            raise server_error()
        answer = handler(self.world, parameters)
        if strikes("answer_lost"):
            raise AnswerLost
        return answer
