"""``CreateService``, ``UpdateService``, ``DescribeServices``, ``DeleteService``."""

import re

from stoker.testing.ecs.errors import AwsError, invalid
from stoker.testing.ecs.model.launching import launch_of
from stoker.testing.ecs.model.records import (
    NOT_STARTED,
    DeploymentRecord,
    Json,
    Launch,
    ServiceRecord,
    items,
    part,
)
from stoker.testing.ecs.model.scheduler import reconcile_soon, tasks_of
from stoker.testing.ecs.model.tags import check_tags
from stoker.testing.ecs.model.world import World

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_REDEPLOYS = (
    "taskDefinition",
    "networkConfiguration",
    "platformVersion",
    "capacityProviderStrategy",
)
_MOST = 5000


def create(world: World, params: Json) -> Json:
    """``CreateService``."""
    name = params.get("serviceName") or ""
    if not _NAME.fullmatch(name):
        raise invalid("serviceName must have 1 to 255 letters, numbers, underscores and hyphens.")
    if params.get("schedulingStrategy") == "DAEMON":
        raise invalid("The emulator knows the scheduling strategy REPLICA alone.")
    desired = params.get("desiredCount")
    if desired is None:
        raise invalid("desiredCount is required for the REPLICA scheduling strategy.")
    _check_count(desired)
    check_tags(items(params, "tags"))
    cluster = world.cluster(params.get("cluster"))
    existing = world.services.get((cluster, name))
    if existing is not None and existing.status != "INACTIVE":
        if params.get("clientToken") and existing.request == params:
            return {"service": view(world, existing)}
        raise invalid("Creation of service was not idempotent.")
    service = ServiceRecord(
        arn=world.arn(f"service/{cluster}/{name}"),
        name=name,
        cluster=cluster,
        request=dict(params),
        desired=desired,
        deployments=[],
        created_at=world.now,
        tags=list(items(params, "tags")),
    )
    _deploy(world, service)
    world.services[cluster, name] = service
    reconcile_soon(world, service)
    return {"service": view(world, service)}


def _check_count(desired: int) -> None:
    if not 0 <= desired <= _MOST:
        raise invalid(f"desiredCount must be between 0 and {_MOST}.")


def _deploy(world: World, service: ServiceRecord) -> None:
    what = _launch(world, service)
    identifier = f"ecs-svc/{world.random.randrange(10**18, 10**19)}"
    what.started_by = identifier
    service.deployments.insert(0, DeploymentRecord(identifier, what, world.now, world.now))
    service.steady = False
    service.not_before = 0.0


def _launch(world: World, service: ServiceRecord) -> Launch:
    request = {**service.request, "group": f"service:{service.name}"}
    # A service's own tags reach its tasks only where they are propagated.
    if request.get("propagateTags") != "SERVICE":
        request.pop("tags", None)
    for name in ("overrides", "startedBy"):
        request.pop(name, None)
    return launch_of(world, request, service=service.name)


def _find(world: World, params: Json) -> ServiceRecord:
    cluster = world.cluster(params.get("cluster"))
    name = (params.get("service") or "").rpartition("/")[2]
    service = world.services.get((cluster, name))
    if service is None:
        raise AwsError("ServiceNotFoundException", "Service not found.")
    return service


def update(world: World, params: Json) -> Json:
    """``UpdateService``."""
    service = _find(world, params)
    if service.status != "ACTIVE":
        raise AwsError("ServiceNotActiveException", "Service was not ACTIVE.")
    desired = params.get("desiredCount")
    if desired is not None:
        _check_count(desired)
    before = dict(service.request)
    changes = {
        name: value
        for name, value in params.items()
        if name not in ("cluster", "service", "forceNewDeployment", "desiredCount")
        and value is not None
    }
    if "capacityProviderStrategy" in changes:
        service.request.pop("launchType", None)
    service.request.update(changes)
    redeploy = params.get("forceNewDeployment") or any(name in changes for name in _REDEPLOYS)
    if redeploy:
        try:
            _deploy(world, service)
        except AwsError:
            service.request = before
            raise
    if desired is not None and desired != service.desired:
        service.desired, service.steady = desired, False
    reconcile_soon(world, service)
    return {"service": view(world, service)}


def delete(world: World, params: Json) -> Json:
    """``DeleteService``."""
    service = _find(world, params)
    if service.status == "INACTIVE":
        raise AwsError("ServiceNotFoundException", "Service not found.")
    if service.desired > 0 and not params.get("force"):
        raise invalid("The service cannot be stopped while it is scaled above 0.")
    service.desired, service.status = 0, "DRAINING"
    # Deleting is no scale-in: protection does not hold it back.
    for task in tasks_of(world, service):
        task.protected_until = None
    reconcile_soon(world, service)
    return {"service": view(world, service)}


def describe(world: World, params: Json) -> Json:
    """``DescribeServices``."""
    cluster = world.cluster(params.get("cluster"))
    names: list[str] = items(params, "services")
    if not names:
        raise invalid("Services cannot be empty.")
    if len(names) > 10:
        raise invalid("Services can have at most 10 items.")
    tags = "TAGS" in items(params, "include")
    found: list[Json] = []
    failures: list[Json] = []
    for name in names:
        short = name.rpartition("/")[2]
        service = world.services.get((cluster, short))
        if service is None:
            arn = world.arn(f"service/{cluster}/{short}")
            failures.append({"arn": arn, "reason": "MISSING"})
        else:
            found.append(view(world, service, tags=tags))
    return {"services": found, "failures": failures}


def list_arns(world: World, params: Json) -> list[str]:
    """What ``ListServices`` lists."""
    cluster = world.cluster(params.get("cluster"))
    return [
        service.arn
        for service in world.services.values()
        if service.cluster == cluster
        and service.status != "INACTIVE"
        and params.get("launchType") in (None, service.request.get("launchType"))
    ]


def view(world: World, service: ServiceRecord, *, tags: bool = False) -> Json:
    """A service as the API shows it."""
    request = service.request
    tasks = tasks_of(world, service)
    answer: Json = {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": world.cluster_arn(service.cluster),
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": sum(task.status == "RUNNING" for task in tasks),
        "pendingCount": sum(task.status in NOT_STARTED for task in tasks),
        "taskDefinition": service.deployments[0].launch.definition.arn,
        "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100}
        | part(request, "deploymentConfiguration"),
        "deployments": [
            _deployment_view(world, service, number) for number in range(len(service.deployments))
        ],
        "events": [
            {"id": event.id, "createdAt": event.at, "message": event.message}
            for event in service.events
        ],
        "createdAt": service.created_at,
        "loadBalancers": [],
        "serviceRegistries": [],
        "placementConstraints": items(request, "placementConstraints"),
        "placementStrategy": items(request, "placementStrategy"),
        "schedulingStrategy": "REPLICA",
        "propagateTags": request.get("propagateTags") or "NONE",
        "enableECSManagedTags": bool(request.get("enableECSManagedTags")),
        "enableExecuteCommand": bool(request.get("enableExecuteCommand")),
    }
    for name in ("launchType", "capacityProviderStrategy", "networkConfiguration"):
        if request.get(name):
            answer[name] = request[name]
    if tags:
        answer["tags"] = service.tags
    return answer


def _deployment_view(world: World, service: ServiceRecord, number: int) -> Json:
    deployment = service.deployments[number]
    mine = [task for task in tasks_of(world, service) if task.launch.started_by == deployment.id]
    answer: Json = {
        "id": deployment.id,
        "status": "ACTIVE" if number else "PRIMARY",
        "taskDefinition": deployment.launch.definition.arn,
        "desiredCount": 0 if number else service.desired,
        "pendingCount": sum(task.status in NOT_STARTED for task in mine),
        "runningCount": sum(task.status == "RUNNING" for task in mine),
        "failedTasks": deployment.failed,
        "createdAt": deployment.created_at,
        "updatedAt": deployment.updated_at,
        "launchType": deployment.launch.launch_type,
        "rolloutState": "COMPLETED" if service.steady or number else "IN_PROGRESS",
    }
    if deployment.launch.network:
        answer["networkConfiguration"] = deployment.launch.network
    return answer
