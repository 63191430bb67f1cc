"""``RunTask``: what it refuses, what it launches, and what it launches only once."""

import json
import re
from dataclasses import replace

from stoker.testing.ecs.errors import AwsError, client_error, invalid, throttled
from stoker.testing.ecs.model import definitions
from stoker.testing.ecs.model.lifecycle import launch
from stoker.testing.ecs.model.placement import launch_bucket, place
from stoker.testing.ecs.model.records import (
    Definition,
    Json,
    Launch,
    TaskRecord,
    TokenUse,
    cpu_units,
    items,
    mebibytes,
    part,
)
from stoker.testing.ecs.model.tags import check_tags
from stoker.testing.ecs.model.views import task_view
from stoker.testing.ecs.model.world import World

_STARTED_BY = re.compile(r"[A-Za-z0-9_/-]{1,128}")
_TOKEN = re.compile(r"[!-~]{1,64}")
_TOKEN_SECONDS = 24 * 3600.0
_TYPES = ("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES")


def run_task(world: World, params: Json) -> Json:
    """``RunTask``.

    Raises:
        AwsError: The request is refused as a whole. What cannot be placed is among the failures.
    """
    count = params.get("count", 1)
    if not 1 <= count <= 10:
        raise invalid("Count must be between 1 and 10.")
    what = launch_of(world, params)
    started_by = params.get("startedBy")
    if started_by is not None and not _STARTED_BY.fullmatch(started_by):
        raise invalid(
            "startedBy must be up to 128 letters, numbers, hyphens, slashes and underscores."
        )
    token = params.get("clientToken")
    if token is not None:
        earlier = _used(world, token, params)
        if earlier is not None:
            return _answer(world, earlier.tasks, [])
    if world.faults.strikes("ec2_throttled", "RunTask"):
        raise _ec2_throttled(what)
    if not what.on_fargate and not any(
        instance.external == (what.launch_type == "EXTERNAL")
        for instance in world.settings.instances
    ):
        raise invalid("No Container Instances were found in your cluster.")
    bucket = launch_bucket(world, what)
    if bucket is not None and not bucket.take(count, world.now):
        raise throttled("Rate exceeded")
    tasks: list[TaskRecord] = []
    failures: list[Json] = []
    for _ in range(count):
        each = replace(what)
        failure = place(world, each)
        if failure is None:
            tasks.append(launch(world, each))
        else:
            failures.append(failure)
    if token is not None and tasks:
        world.tokens[token] = TokenUse(params, tasks, world.now + _TOKEN_SECONDS)
    return _answer(world, tasks, failures)


def _answer(world: World, tasks: list[TaskRecord], failures: list[Json]) -> Json:
    return {"tasks": [task_view(world, task, tags=True) for task in tasks], "failures": failures}


def _used(world: World, token: str, params: Json) -> TokenUse | None:
    """What a token was used for in the last 24 hours ("Ensuring idempotency")."""
    if not _TOKEN.fullmatch(token):
        raise invalid("clientToken must have up to 64 characters in the range of 33-126.")
    use = world.tokens.get(token)
    if use is None or use.until <= world.now:
        return None
    if use.parameters != params:
        raise AwsError(
            "ConflictException",
            "The client token was already used with different parameters.",
            resourceIds=[task.arn for task in use.tasks],
        )
    return use


def _ec2_throttled(what: Launch) -> AwsError:
    network = part(what.network or {}, "awsvpcConfiguration")
    groups = ", ".join(network.get("securityGroups") or ["sg-0123456789abcdef0"])
    return invalid(
        f"Error retrieving security group information for [{groups}]: Request limit exceeded. "
        "(ErrorCode: RequestLimitExceeded)"
    )


def launch_of(world: World, params: Json, service: str | None = None) -> Launch:
    """Read what RunTask, CreateService and UpdateService say of a launch.

    Raises:
        AwsError: It is refused.
    """
    cluster = world.cluster(params.get("cluster"))
    definition = definitions.usable(world, params.get("taskDefinition"))
    launch_type, provider = _launch_type(params)
    fargate_only = "FARGATE" in items(definition.body, "requiresCompatibilities")
    if launch_type == "FARGATE" and not fargate_only:
        raise invalid("Task definition does not support launch_type FARGATE.")
    network = params.get("networkConfiguration")
    _check_network(definition, network)
    overrides: Json = part(params, "overrides")
    check_overrides(definition, overrides, launch_type)
    check_tags(items(params, "tags"))
    propagate = params.get("propagateTags")
    if propagate == "SERVICE" and service is None:
        raise invalid("Unsupported propagateTags: SERVICE can only be used with a service.")
    tags: list[Json] = list(items(params, "tags"))
    if propagate == "TASK_DEFINITION":
        keys = {tag["key"] for tag in tags}
        tags = [tag for tag in definition.tags if tag["key"] not in keys] + tags
    if params.get("enableECSManagedTags"):
        tags = [*tags, {"key": "aws:ecs:clusterName", "value": cluster}]
        if service is not None:
            tags.append({"key": "aws:ecs:serviceName", "value": service})
    return Launch(
        cluster=cluster,
        definition=definition,
        launch_type=launch_type,
        provider=provider,
        group=params.get("group") or f"family:{definition.family}",
        started_by=params.get("startedBy"),
        overrides=overrides,
        network=network,
        tags=tags,
        platform=params.get("platformVersion") or "LATEST",
        execute_command=bool(params.get("enableExecuteCommand")),
        service=service,
    )


def _launch_type(params: Json) -> tuple[str, str | None]:
    strategy: list[Json] = items(params, "capacityProviderStrategy")
    launch_type = params.get("launchType")
    if strategy and launch_type:
        raise invalid("Specifying both a launch type and capacity provider strategy is invalid.")
    if strategy:
        name = max(strategy, key=lambda item: item.get("weight", 0))["capacityProvider"]
        if name not in ("FARGATE", "FARGATE_SPOT"):
            raise invalid(f"The specified capacity provider '{name}' was not found.")
        return "FARGATE", name
    if launch_type is not None and launch_type not in _TYPES:
        raise invalid(f"Invalid launch type '{launch_type}': one of {', '.join(_TYPES)}.")
    return launch_type or "EC2", None


def _check_network(definition: Definition, network: Json | None) -> None:
    awsvpc = definition.body.get("networkMode") == "awsvpc"
    if awsvpc and not network:
        raise invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified."
        )
    if network and not awsvpc:
        raise invalid("Network Configuration is not valid for the given networkMode of this task.")
    if network:
        configuration = part(network, "awsvpcConfiguration")
        if not configuration.get("subnets"):
            raise invalid("subnets can not be empty.")
        if len(configuration["subnets"]) > 16:
            raise invalid("subnets can have at most 16 items.")
        if len(items(configuration, "securityGroups")) > 5:
            raise invalid("securityGroups can have at most 5 items.")


def check_overrides(definition: Definition, overrides: Json, launch_type: str) -> None:
    """Refuse overrides that are too long or do not fit the definition.

    Raises:
        AwsError: They are, or do not.
    """
    if len(json.dumps(overrides, separators=(",", ":"), ensure_ascii=False)) > 8192:
        raise invalid("Container Overrides length must be at most 8192")
    names = [container["name"] for container in definition.containers]
    for override in items(overrides, "containerOverrides"):
        if override.get("name") not in names:
            raise invalid(
                f"Override for container named {override.get('name')} is not a container in the "
                "TaskDefinition."
            )
    try:
        cpu = cpu_units(overrides.get("cpu") or definition.body.get("cpu") or 0)
        memory = mebibytes(overrides.get("memory") or definition.body.get("memory") or 0)
    except ValueError:
        raise client_error("Invalid 'cpu' or 'memory' setting for task override.") from None
    if launch_type == "FARGATE" and (overrides.get("cpu") or overrides.get("memory")):
        definitions.check_fargate_size(cpu, memory)
