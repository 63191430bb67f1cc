"""``StopTask``, ``DescribeTasks`` and ``ListTasks``."""

from stoker.testing.ecs.errors import AwsError, invalid
from stoker.testing.ecs.model.lifecycle import stop
from stoker.testing.ecs.model.records import Json, TaskRecord, items
from stoker.testing.ecs.model.views import task_view
from stoker.testing.ecs.model.world import World


def find(world: World, cluster: str, name: str) -> TaskRecord | None:
    """The task of an ARN or an id in a cluster, once it is visible."""
    arn = name if name.startswith("arn:") else world.arn(f"task/{cluster}/{name}")
    task = world.tasks.get(arn)
    if task is None or task.launch.cluster != cluster or task.visible_at > world.now:
        return None
    return task


def missing(world: World, cluster: str, name: str) -> Json:
    """The failure for a task that is not there."""
    arn = name if name.startswith("arn:") else world.arn(f"task/{cluster}/{name}")
    return {"arn": arn, "reason": "MISSING"}


def stop_task(world: World, params: Json) -> Json:
    """``StopTask``."""
    cluster = world.cluster(params.get("cluster"))
    name = params.get("task") or ""
    if not name:
        raise invalid("Task can not be blank.")
    # StopTask finds a task at once that DescribeTasks does not show yet.
    task = world.tasks.get(name if name.startswith("arn:") else world.arn(f"task/{cluster}/{name}"))
    if task is None or task.launch.cluster != cluster:
        raise invalid("The referenced task was not found.")
    reason = params.get("reason") or "Task stopped by user"
    if len(reason) > 1024:
        raise invalid("reason must be at most 1024 characters.")
    stop(world, task, "UserInitiated", reason)
    return {"task": task_view(world, task)}


def describe_tasks(world: World, params: Json) -> Json:
    """``DescribeTasks``."""
    cluster = world.cluster(params.get("cluster"))
    names: list[str] = items(params, "tasks")
    if not names:
        raise invalid("Tasks cannot be empty.")
    if len(names) > 100:
        raise invalid("Tasks can have at most 100 items.")
    tags = "TAGS" in items(params, "include")
    found: list[Json] = []
    failures: list[Json] = []
    for name in dict.fromkeys(names):
        task = find(world, cluster, name)
        if task is None:
            failures.append(missing(world, cluster, name))
        else:
            found.append(task_view(world, task, tags=tags))
    return {"tasks": found, "failures": failures}


def list_arns(world: World, params: Json) -> list[str]:
    """What ``ListTasks`` lists."""
    cluster = world.cluster(params.get("cluster"))
    filters = [
        name
        for name in ("family", "serviceName", "containerInstance", "launchType")
        if params.get(name)
    ]
    if params.get("startedBy") and filters:
        raise invalid("cannot specify startedBy together with another filter.")
    desired = params.get("desiredStatus") or "RUNNING"
    if desired not in ("RUNNING", "PENDING", "STOPPED"):
        raise invalid("desiredStatus must be one of: RUNNING, PENDING, STOPPED.")
    service = (params.get("serviceName") or "").rpartition("/")[2] or None
    if service and (cluster, service) not in world.services:
        raise AwsError("ServiceNotFoundException", "Service not found.")
    instance = (params.get("containerInstance") or "").rpartition("/")[2]
    return [
        task.arn
        for task in world.tasks.values()
        if task.launch.cluster == cluster
        and task.visible_at <= world.now
        and task.desired == desired
        and params.get("family") in (None, task.launch.definition.family)
        and params.get("startedBy") in (None, task.launch.started_by)
        and params.get("launchType") in (None, task.launch.launch_type)
        and service in (None, task.launch.service)
        and (not instance or (task.launch.instance or "").endswith(f"/{instance}"))
    ]
