"""Task definitions: registered, described, listed, deregistered."""

import re

from stoker.testing.ecs.errors import AwsError, client_error, invalid
from stoker.testing.ecs.model.records import Definition, Json, cpu_units, items, mebibytes, part
from stoker.testing.ecs.model.tags import check_tags
from stoker.testing.ecs.model.world import World

_FAMILY = re.compile(r"[A-Za-z0-9_-]{1,255}")

# "Task CPU and memory" in the developer guide: MiB by CPU units on Fargate.
_FARGATE_MEMORY: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}


def check_fargate_size(cpu: int, memory: int) -> None:
    """Refuse a size that Fargate does not offer.

    Raises:
        AwsError: It does not.
    """
    if cpu not in _FARGATE_MEMORY or memory not in _FARGATE_MEMORY[cpu]:
        raise client_error(
            "No Fargate configuration exists for given values: "
            f"{cpu} CPU, {memory} memory. See the Amazon ECS documentation for the valid values."
        )


def register(world: World, params: Json) -> Json:
    """``RegisterTaskDefinition``."""
    family = params.get("family") or ""
    if not _FAMILY.fullmatch(family):
        raise client_error(
            "Family contains invalid characters or is not between 1 and 255 characters."
        )
    check_tags(items(params, "tags"))
    _check_containers(params)
    _check_compatibilities(params)
    revisions = world.families.setdefault(family, [])
    revision = len(revisions) + 1
    body = {name: value for name, value in params.items() if name != "tags"}
    body["containerDefinitions"] = [
        {"essential": True, "cpu": 0, "environment": [], "mountPoints": [], "volumesFrom": []}
        | container
        for container in params["containerDefinitions"]
    ]
    definition = Definition(
        arn=world.arn(f"task-definition/{family}:{revision}"),
        family=family,
        revision=revision,
        body=body,
        registered_at=world.now,
        tags=list(items(params, "tags")),
    )
    revisions.append(definition)
    return {"taskDefinition": view(world, definition)} | _tags(definition)


def _check_containers(params: Json) -> None:
    containers: list[Json] = items(params, "containerDefinitions")
    if not containers:
        raise client_error("Container definitions should not be empty.")
    names = [container.get("name") for container in containers]
    if not all(names):
        raise client_error("Container.name should not be null or empty.")
    if len(set(names)) < len(names):
        raise client_error("Container names should be unique within a task definition.")
    if not all(container.get("image") for container in containers):
        raise client_error("Container.image should not be null or empty.")
    if not any(container.get("essential", True) for container in containers):
        raise client_error("At least one container should be marked essential.")


def _check_compatibilities(params: Json) -> None:
    for name, read in (("cpu", cpu_units), ("memory", mebibytes)):
        try:
            read(params.get(name) or 0)
        except ValueError:
            raise client_error(f"Invalid '{name}' setting for task.") from None
    if "FARGATE" not in items(params, "requiresCompatibilities"):
        for container in params["containerDefinitions"]:
            if not (
                params.get("memory")
                or container.get("memory")
                or container.get("memoryReservation")
            ):
                raise client_error(
                    "Invalid setting for container "
                    f"'{container['name']}'. At least one of 'memory' or 'memoryReservation' "
                    "must be specified."
                )
        return
    if params.get("networkMode") != "awsvpc":
        raise client_error("Fargate only supports network mode 'awsvpc'.")
    if not params.get("cpu") or not params.get("memory"):
        raise client_error("Fargate requires that 'cpu' and 'memory' be defined at the task level.")
    check_fargate_size(cpu_units(params["cpu"]), mebibytes(params["memory"]))
    for container in params["containerDefinitions"]:
        if (container.get("memory") or 0) > mebibytes(params["memory"]):
            raise client_error(
                f"The 'memory' setting for container '{container['name']}' is greater than for "
                "the task."
            )
        timeout = container.get("stopTimeout")
        if timeout is not None and not 0 <= timeout <= 120:
            raise client_error(
                f"Invalid 'stopTimeout' setting for container '{container['name']}': at most 120."
            )
        driver = part(container, "logConfiguration").get("logDriver")
        options = part(part(container, "logConfiguration"), "options")
        if driver == "awslogs" and "awslogs-stream-prefix" not in options:
            raise client_error(
                "Log driver awslogs requires options: awslogs-stream-prefix on Fargate."
            )
        if any(secret.get("name") for secret in items(container, "secrets")) and not params.get(
            "executionRoleArn"
        ):
            raise client_error(
                "When you are specifying container secrets, you must also specify a value for "
                "'executionRoleArn'."
            )
        if driver == "awslogs" and not params.get("executionRoleArn"):
            raise client_error(
                "Fargate requires task definition to have execution role ARN to support log "
                "driver awslogs."
            )


def find(world: World, name: str | None) -> Definition:
    """The definition of an ARN, of ``family:revision``, or the newest active one of a family.

    Raises:
        AwsError: There is none.
    """
    if not name:
        raise client_error("TaskDefinition can not be blank.")
    if name.startswith("arn:") and ":task-definition/" not in name:
        raise invalid("Invalid identifier: Unexpected number of separators")
    short = name.rpartition("/")[2]
    family, _, revision = short.partition(":")
    revisions = world.families.get(family, [])
    if revision:
        if revision.isdigit() and 0 < int(revision) <= len(revisions):
            return revisions[int(revision) - 1]
    else:
        active = [found for found in revisions if found.status == "ACTIVE"]
        if active:
            return active[-1]
    raise client_error("Unable to describe task definition.")


def usable(world: World, name: str | None) -> Definition:
    """As `find`, for a launch.

    Raises:
        AwsError: There is none, or it is no longer active.
    """
    try:
        definition = find(world, name)
    except AwsError as error:
        if error.code != "ClientException" or not name:
            raise
        raise client_error("TaskDefinition not found.") from None
    if definition.status != "ACTIVE":
        raise client_error("TaskDefinition is inactive")
    return definition


def describe(world: World, params: Json) -> Json:
    """``DescribeTaskDefinition``."""
    definition = find(world, params.get("taskDefinition"))
    answer = {"taskDefinition": view(world, definition)}
    return answer | (_tags(definition) if "TAGS" in items(params, "include") else {})


def deregister(world: World, params: Json) -> Json:
    """``DeregisterTaskDefinition``."""
    name = params.get("taskDefinition") or ""
    if ":" not in name.rpartition("/")[2]:
        raise invalid("Revision is required: give family:revision or an ARN.")
    definition = find(world, name)
    if definition.status == "ACTIVE":
        definition.status = "INACTIVE"
        definition.deregistered_at = world.now
    return {"taskDefinition": view(world, definition)}


def list_arns(world: World, params: Json) -> list[str]:
    """What ``ListTaskDefinitions`` lists."""
    prefix, status = params.get("familyPrefix"), params.get("status") or "ACTIVE"
    found = [
        definition.arn
        for family in sorted(world.families)
        if prefix in (None, family)
        for definition in world.families[family]
        if definition.status == status
    ]
    return found[::-1] if params.get("sort") == "DESC" else found


def _tags(definition: Definition) -> Json:
    return {"tags": definition.tags} if definition.tags else {}


def view(world: World, definition: Definition) -> Json:
    """A definition as the API shows it."""
    requires = definition.body.get("requiresCompatibilities")
    answer: Json = {
        "volumes": [],
        "placementConstraints": [],
        "networkMode": "bridge",
        **definition.body,
        "taskDefinitionArn": definition.arn,
        "revision": definition.revision,
        "status": definition.status,
        "compatibilities": sorted({"EC2", *(requires or ["EC2"])}),
        "registeredAt": definition.registered_at,
        "registeredBy": f"arn:aws:iam::{world.settings.account}:user/emulator",
    }
    if definition.deregistered_at is not None:
        answer["deregisteredAt"] = definition.deregistered_at
    return answer
