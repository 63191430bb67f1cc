"""Scale-in protection of a service's tasks."""

from stoker.testing.ecs.errors import invalid
from stoker.testing.ecs.model import tasks
from stoker.testing.ecs.model.records import Json, TaskRecord, items
from stoker.testing.ecs.model.scheduler import is_protected, reconcile_soon
from stoker.testing.ecs.model.world import World

_DEFAULT_MINUTES = 120
_MOST_MINUTES = 2880


def protect(world: World, task: TaskRecord, enabled: bool, minutes: int | None) -> Json | None:
    """Set or lift a task's protection.

    Returns:
        The failure, if it cannot be.

    Raises:
        AwsError: The time is out of bounds.
    """
    if minutes is not None and not 1 <= minutes <= _MOST_MINUTES:
        raise invalid(f"expiresInMinutes must be between 1 and {_MOST_MINUTES}.")
    if task.launch.service is None or task.desired != "RUNNING":
        return {"arn": task.arn, "reason": "TASK_NOT_VALID"}
    if enabled:
        task.protected_until = world.now + 60 * (minutes or _DEFAULT_MINUTES)
    else:
        task.protected_until = None
        service = world.services.get((task.launch.cluster, task.launch.service))
        if service is not None:
            reconcile_soon(world, service)
    return None


def update(world: World, params: Json) -> Json:
    """``UpdateTaskProtection``."""
    cluster = world.cluster(params.get("cluster"))
    names: list[str] = items(params, "tasks")
    if not 1 <= len(names) <= 10:
        raise invalid("tasks must have 1 to 10 items.")
    protected: list[Json] = []
    failures: list[Json] = []
    for name in names:
        task = tasks.find(world, cluster, name)
        if task is None:
            failures.append(tasks.missing(world, cluster, name))
            continue
        minutes = params.get("expiresInMinutes")
        failure = protect(world, task, bool(params.get("protectionEnabled")), minutes)
        if failure is None:
            protected.append(view(world, task))
        else:
            failures.append(failure)
    return {"protectedTasks": protected, "failures": failures}


def get(world: World, params: Json) -> Json:
    """``GetTaskProtection``."""
    cluster = world.cluster(params.get("cluster"))
    names: list[str] = items(params, "tasks")
    if len(names) > 100:
        raise invalid("tasks can have at most 100 items.")
    if not names:
        found = [t for t in world.tasks.values() if t.launch.service and t.desired == "RUNNING"]
        return {"protectedTasks": [view(world, task) for task in found], "failures": []}
    protected: list[Json] = []
    failures: list[Json] = []
    for name in names:
        task = tasks.find(world, cluster, name)
        if task is None:
            failures.append(tasks.missing(world, cluster, name))
        elif task.launch.service is None:
            failures.append({"arn": task.arn, "reason": "TASK_NOT_VALID"})
        else:
            protected.append(view(world, task))
    return {"protectedTasks": protected, "failures": failures}


def view(world: World, task: TaskRecord) -> Json:
    """A task's protection as the API shows it."""
    answer: Json = {"taskArn": task.arn, "protectionEnabled": is_protected(world, task)}
    if is_protected(world, task):
        answer["expirationDate"] = task.protected_until
    return answer
