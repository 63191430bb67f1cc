"""What a container finds at its metadata and agent endpoints.

Source: "Task metadata endpoint version 4" and "Task scale-in protection endpoint" in the developer
guide.
"""

from datetime import UTC, datetime

from stoker.testing.ecs.errors import AnswerLost, AwsError
from stoker.testing.ecs.model.ecs import Ecs
from stoker.testing.ecs.model.records import ContainerRecord, Json, TaskRecord


def find(ecs: Ecs, runtime_id: str) -> tuple[TaskRecord, ContainerRecord] | None:
    """The task and the container of a runtime id."""
    for task in ecs.tasks():
        for container in task.containers:
            if container.runtime_id == runtime_id:
                return task, container
    return None


def metadata(ecs: Ecs, path: str) -> Json | None:
    """What GET of a path under ``/v4/`` answers; `None` if nothing is there."""
    _, _, rest = path.partition("/v4/")
    runtime_id, _, what = rest.partition("/")
    found = find(ecs, runtime_id)
    if found is None or what not in ("", "task"):
        return None
    task, container = found
    return _task(ecs, task) if what == "task" else _container(task, container)


def _task(ecs: Ecs, task: TaskRecord) -> Json:
    answer: Json = {
        "Cluster": ecs.world.cluster_arn(task.launch.cluster),
        "TaskARN": task.arn,
        "Family": task.launch.definition.family,
        "Revision": str(task.launch.definition.revision),
        "DesiredStatus": task.desired,
        "KnownStatus": task.status,
        "AvailabilityZone": f"{ecs.world.settings.region}a",
        "LaunchType": task.launch.launch_type,
        "Containers": [_container(task, container) for container in task.containers],
    }
    if task.launch.cpu and task.launch.memory:
        answer["Limits"] = {"CPU": task.launch.cpu / 1024, "Memory": task.launch.memory}
    if task.launch.service:
        answer["ServiceName"] = task.launch.service
    for name, at in (
        ("PullStartedAt", task.pull_started_at),
        ("PullStoppedAt", task.pull_stopped_at),
    ):
        if at is not None:
            answer[name] = _time(at)
    return answer


def _container(task: TaskRecord, container: ContainerRecord) -> Json:
    return {
        "DockerId": container.runtime_id,
        "DockerName": container.name,
        "Name": container.name,
        "Image": container.definition["image"],
        "ContainerARN": container.arn,
        "DesiredStatus": task.desired,
        "KnownStatus": container.status,
        "Type": "NORMAL",
        "Labels": {
            "com.amazonaws.ecs.container-name": container.name,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": task.launch.definition.family,
            "com.amazonaws.ecs.task-definition-version": str(task.launch.definition.revision),
        },
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": [task.address]}],
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def protection(ecs: Ecs, path: str, change: Json | None) -> Json | None:
    """What ``/api/<id>/task-protection/v1/state`` answers; `None` if nothing is there.

    Args:
        ecs: Whose task.
        path: The path that was asked for.
        change: The body of a PUT, `None` for a GET.
    """
    _, _, rest = path.partition("/api/")
    runtime_id, _, what = rest.partition("/")
    found = find(ecs, runtime_id)
    if found is None or what != "task-protection/v1/state":
        return None
    task, _ = found
    request: Json = {"cluster": task.launch.cluster, "tasks": [task.arn]}
    # The agent calls the API for its tasks: its calls count and are throttled like all others.
    try:
        if change is None:
            answer = ecs.call("GetTaskProtection", request)
        else:
            request["protectionEnabled"] = bool(change.get("ProtectionEnabled"))
            if change.get("ExpiresInMinutes") is not None:
                request["expiresInMinutes"] = change["ExpiresInMinutes"]
            answer = ecs.call("UpdateTaskProtection", request)
    except AwsError as error:
        return _error(ecs, task, error.code, error.message)
    except AnswerLost:
        return _error(ecs, task, "RequestCanceled", "Timed out calling Amazon ECS API")
    for failure in answer["failures"]:
        return {"failure": {"Arn": task.arn, "Detail": None, "Reason": failure["reason"]}}
    [state] = answer["protectedTasks"]
    shown = {"ProtectionEnabled": state["protectionEnabled"], "TaskArn": task.arn}
    if "expirationDate" in state:
        shown["ExpirationDate"] = _time(state["expirationDate"])
    return {"protection": shown}


def _error(ecs: Ecs, task: TaskRecord, code: str, message: str) -> Json:
    return {
        "requestID": ecs.world.new_uuid(),
        "error": {"Arn": task.arn, "Code": code, "Message": message},
    }
