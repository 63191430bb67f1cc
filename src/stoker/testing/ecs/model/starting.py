"""What a container gets when it starts: command, environment, secrets, log stream."""

from collections.abc import Callable

from stoker.testing.ecs.model.records import ContainerRecord, Json, TaskRecord, items, part
from stoker.testing.ecs.model.world import World
from stoker.testing.ecs.runners import CannotStart, Container

Exited = Callable[[World, TaskRecord, ContainerRecord, int, str | None], None]


def container_for(
    world: World, task: TaskRecord, record: ContainerRecord, exited: Exited
) -> Container:
    """The container that the runner is to start.

    Raises:
        CannotStart: A secret or the log group is missing.
    """

    def ended(code: int, reason: str | None) -> None:
        with world.lock:
            world.advance()
            exited(world, task, record, code, reason)

    definition = record.definition
    command = record.override.get("command") or items(definition, "command")
    return Container(
        task_arn=task.arn,
        name=record.name,
        image=definition["image"],
        command=(*items(definition, "entryPoint"), *command),
        environment=_environment(world, task, record),
        memory=_memory(task, record),
        exited=ended,
        log=_logger(world, task, record),
        later=world.later,
    )


def _memory(task: TaskRecord, record: ContainerRecord) -> int | None:
    own = record.override.get("memory") or record.definition.get("memory")
    return min(filter(None, (own, task.launch.memory)), default=None)


def _environment(world: World, task: TaskRecord, record: ContainerRecord) -> dict[str, str]:
    settings, definition = world.settings, record.definition
    environment = _pairs(definition.get("environment"))
    for secret in items(definition, "secrets"):
        value = world.secrets(secret["valueFrom"])
        if value is None:
            raise CannotStart(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution "
                "resource retrieval failed: unable to retrieve secret from asm: service call has "
                f"been retried 1 time(s): failed to fetch secret {secret['valueFrom']} from "
                "secrets manager: ResourceNotFoundException: Secrets Manager can't find the "
                "specified secret."
            )
        environment[secret["name"]] = value
    environment |= _pairs(record.override.get("environment"))
    metadata = f"{settings.agent_url}/v4/{record.runtime_id}"
    environment |= {
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE" if task.launch.on_fargate else "AWS_ECS_EC2",
        "ECS_AGENT_URI": f"{settings.agent_url}/api/{record.runtime_id}",
        "ECS_CONTAINER_METADATA_URI": metadata.replace("/v4/", "/v3/"),
        "ECS_CONTAINER_METADATA_URI_V4": metadata,
    }
    return environment


def _pairs(listed: list[Json] | None) -> dict[str, str]:
    return {pair["name"]: pair.get("value") or "" for pair in listed or []}


def _logger(world: World, task: TaskRecord, record: ContainerRecord) -> Callable[[str], None]:
    configuration: Json = part(record.definition, "logConfiguration")
    if configuration.get("logDriver") != "awslogs":
        return lambda line: world.keep_line(task.arn, line)
    options: Json = part(configuration, "options")
    group = options.get("awslogs-group") or ""
    if options.get("awslogs-create-group") == "true":
        world.logs.create_group(group)
    if group not in world.logs.groups:
        raise CannotStart(
            "ResourceInitializationError: failed to validate logger args: create stream has been "
            "retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: "
            "The specified log group does not exist."
        )
    prefix = options.get("awslogs-stream-prefix")
    stream = f"{prefix}/{record.name}/{task.id}" if prefix else record.runtime_id
    world.logs.create_stream(group, stream)

    def log(line: str) -> None:
        world.keep_line(task.arn, line)
        world.logs.write(group, stream, line)

    return log
