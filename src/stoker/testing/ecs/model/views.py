"""Tasks as the API shows them."""

from stoker.testing.ecs.model.records import ContainerRecord, Json, TaskRecord, items
from stoker.testing.ecs.model.world import World

_TIMES = {
    "pullStartedAt": "pull_started_at",
    "pullStoppedAt": "pull_stopped_at",
    "startedAt": "started_at",
    "stoppingAt": "stopping_at",
    "executionStoppedAt": "execution_stopped_at",
    "stoppedAt": "stopped_at",
    "stopCode": "stop_code",
    "stoppedReason": "stopped_reason",
}


def task_view(world: World, task: TaskRecord, *, tags: bool = False) -> Json:
    """A task, with its tags where they are asked for."""
    what = task.launch
    overridden = items(what.overrides, "containerOverrides")
    named = {override["name"] for override in overridden}
    # AWS lists every container of the definition here, the ones without overrides too.
    plain = [
        {"name": container.name} for container in task.containers if container.name not in named
    ]
    overrides: Json = {
        "inferenceAcceleratorOverrides": [],
        **what.overrides,
        "containerOverrides": overridden + plain,
    }
    answer: Json = {
        "taskArn": task.arn,
        "taskDefinitionArn": what.definition.arn,
        "clusterArn": world.cluster_arn(what.cluster),
        "group": what.group,
        "lastStatus": task.status,
        "desiredStatus": task.desired,
        "launchType": what.launch_type,
        "availabilityZone": f"{world.settings.region}a",
        "createdAt": task.created_at,
        "version": task.version,
        "overrides": overrides,
        "containers": [_container_view(task, container) for container in task.containers],
        "attachments": _attachments(task),
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "healthStatus": "UNKNOWN",
        "enableExecuteCommand": what.execute_command,
        "tags": list(task.tags) if tags else [],
    }
    if what.cpu:
        answer["cpu"] = str(what.cpu)
    if what.memory:
        answer["memory"] = str(what.memory)
    if what.provider:
        answer["capacityProviderName"] = what.provider
    if what.started_by:
        answer["startedBy"] = what.started_by
    if what.instance:
        answer["containerInstanceArn"] = what.instance
    if what.on_fargate:
        answer["platformVersion"] = "1.4.0" if what.platform == "LATEST" else what.platform
        answer["platformFamily"] = "Linux"
        answer["ephemeralStorage"] = (
            what.overrides.get("ephemeralStorage")
            or what.definition.body.get("ephemeralStorage")
            or {"sizeInGiB": 20}
        )
    if task.started_at is not None:
        answer |= {"connectivity": "CONNECTED", "connectivityAt": task.started_at}
    for name, attribute in _TIMES.items():
        value = getattr(task, attribute)
        if value is not None:
            answer[name] = value
    return answer


def _container_view(task: TaskRecord, container: ContainerRecord) -> Json:
    answer: Json = {
        "containerArn": container.arn,
        "taskArn": task.arn,
        "name": container.name,
        "image": container.definition["image"],
        "lastStatus": container.status,
        "networkInterfaces": [{"attachmentId": task.id[:8], "privateIpv4Address": task.address}]
        if task.launch.network
        else [],
        "healthStatus": "UNKNOWN",
        "cpu": str(container.override.get("cpu") or container.definition.get("cpu") or 0),
    }
    if container.running is not None:
        answer["runtimeId"] = container.runtime_id
        answer["networkBindings"] = []
    if container.exit_code is not None:
        answer["exitCode"] = container.exit_code
    if container.reason is not None:
        answer["reason"] = container.reason[:1024]
    for name in ("memory", "memoryReservation"):
        value = container.override.get(name) or container.definition.get(name)
        if value:
            answer[name] = str(value)
    return answer


def _attachments(task: TaskRecord) -> list[Json]:
    network = (task.launch.network or {}).get("awsvpcConfiguration")
    if not network:
        return []
    status = {"PROVISIONING": "PRECREATED", "STOPPED": "DELETED"}.get(task.status, "ATTACHED")
    return [
        {
            "id": task.id[:8],
            "type": "ElasticNetworkInterface",
            "status": status,
            "details": [
                {"name": "subnetId", "value": network["subnets"][0]},
                {"name": "privateIPv4Address", "value": task.address},
            ],
        }
    ]
