"""A task's way from PROVISIONING to STOPPED.

Source: "Amazon ECS task lifecycle" and "Stopped tasks error codes" in the developer guide.
"""

from signal import SIGKILL, SIGTERM

from stoker.testing.ecs.model.records import (
    NOT_STARTED,
    ContainerRecord,
    Launch,
    TaskRecord,
    items,
    part,
)
from stoker.testing.ecs.model.starting import container_for
from stoker.testing.ecs.model.world import World
from stoker.testing.ecs.runners import CannotStart

NO_CAPACITY = (
    "Capacity is unavailable at this time. Please try again later or in a different availability "
    "zone"
)
_LIVE = ("RUNNING", "DEACTIVATING", "STOPPING")


def launch(world: World, what: Launch) -> TaskRecord:
    """Create a task and send it on its way."""
    identifier = world.new_id()
    arn = world.arn(f"task/{what.cluster}/{identifier}")
    overrides = {
        override["name"]: override for override in items(what.overrides, "containerOverrides")
    }
    task = TaskRecord(
        id=identifier,
        arn=arn,
        launch=what,
        containers=[
            ContainerRecord(
                definition=definition,
                override=overrides.get(definition["name"], {}),
                arn=world.arn(f"container/{what.cluster}/{identifier}/{world.new_uuid()}"),
                runtime_id=f"{identifier}-{world.random.randrange(10**9, 10**10)}",
            )
            for definition in what.definition.containers
        ],
        created_at=world.now,
        visible_at=world.now + world.settings.visible_after,
        address="10.0.{}.{}".format(*divmod(world.random.randrange(4, 65000), 256)),
        tags=list(what.tags),
    )
    world.tasks[arn] = task
    cold = world.settings.cold_start.draw(world.random)
    if world.faults.strikes("vanishes"):
        # It was accepted, and no call ever knows it again.
        world.later(cold, lambda: _vanish(world, task))
    provisioned = cold * world.settings.provisioning
    if world.faults.strikes("capacity_lost"):
        world.later(provisioned, lambda: _fail(world, task, NO_CAPACITY))
    elif world.faults.strikes("no_addresses"):
        world.later(provisioned, lambda: _fail(world, task, _no_addresses(task)))
    else:
        world.later(provisioned, lambda: _provisioned(world, task, cold - provisioned))
    return task


def _vanish(world: World, task: TaskRecord) -> None:
    world.tasks.pop(task.arn, None)
    task.desired = "STOPPED"
    for container in task.containers:
        if container.running is not None and container.status == "RUNNING":
            world.runner.signal(container.running, SIGKILL)
    world.task_moved(task)


def _no_addresses(task: TaskRecord) -> str:
    network = part(task.launch.network or {}, "awsvpcConfiguration")
    subnet = (network.get("subnets") or ["subnet-unknown"])[0]
    return (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP "
        f"assignment disabled in subnet '{subnet}': InsufficientFreeAddressesInSubnet"
    )


def _provisioned(world: World, task: TaskRecord, rest: float) -> None:
    if task.desired != "RUNNING":
        return
    task.move("PENDING")
    task.pull_started_at = world.now
    if world.faults.strikes("never_starts"):
        return
    if world.faults.strikes("cannot_pull"):
        image = task.launch.definition.containers[0]["image"]
        why = (
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to "
            f"resolve ref {image}: {image}: not found"
        )
        world.later(rest, lambda: _fail(world, task, why))
    else:
        world.later(rest, lambda: _start(world, task))


def _start(world: World, task: TaskRecord) -> None:
    if task.desired != "RUNNING":
        return
    task.pull_stopped_at = world.now
    mute = world.faults.strikes("mute")
    for container in task.containers:
        container.status = "RUNNING"
        if mute:
            continue
        try:
            container.running = container_for(world, task, container, exited)
            world.runner.start(container.running)
        except CannotStart as error:
            container.status, container.running = "STOPPED", None
            container.reason = str(error)
            _fail(world, task, str(error))
            return
    if task.desired == "RUNNING":
        task.started_at = world.now
        task.move("RUNNING")
        world.task_moved(task)


def _fail(world: World, task: TaskRecord, reason: str) -> None:
    stop(world, task, "TaskFailedToStart", reason)


def stop(
    world: World, task: TaskRecord, code: str, reason: str, kill_after: float | None = None
) -> None:
    """Have a task stop; the first reason stays.

    Args:
        world: Where it runs.
        task: Which.
        code: Its ``stopCode``.
        reason: Its ``stoppedReason``.
        kill_after: The longest from SIGTERM to SIGKILL, in seconds; by default as its containers
            say.
    """
    if task.desired == "STOPPED":
        return
    task.desired = "STOPPED"
    task.stop_code, task.stopped_reason, task.kill_after = code, reason, kill_after
    task.stopping_at = world.now
    task.version += 1
    world.task_moved(task)
    if task.status in NOT_STARTED:
        for container in task.containers:
            if container.running is None:
                container.status = "STOPPED"
        if not any(container.status == "RUNNING" for container in task.containers):
            _deprovision(world, task)
            return
    if world.settings.deactivating and code != "EssentialContainerExited":
        task.move("DEACTIVATING")
        world.later(world.settings.deactivating, lambda: _terminate(world, task))
    else:
        _terminate(world, task)


def _terminate(world: World, task: TaskRecord) -> None:
    task.move("STOPPING")
    for container in task.containers:
        if container.status != "RUNNING":
            continue
        if container.running is None:
            # A mute container, with no process behind it, is ended like one that gives in.
            container.status, container.exit_code = "STOPPED", 0
            continue
        world.runner.signal(container.running, SIGTERM)
        seconds = float(container.definition.get("stopTimeout") or world.settings.stop_timeout)
        if task.kill_after is not None:
            seconds = min(seconds, task.kill_after)
        world.later(seconds, lambda container=container: _kill(world, container))
    _finish(world, task)


def _kill(world: World, container: ContainerRecord) -> None:
    if container.running is not None and container.status == "RUNNING":
        world.runner.signal(container.running, SIGKILL)


def kill(world: World, task: TaskRecord, why: str | None) -> None:
    """Kill what runs of a task; `why` is what its containers then say."""
    for container in task.containers:
        if container.status == "RUNNING":
            container.killed_for = why
            _kill(world, container)


def exited(
    world: World, task: TaskRecord, container: ContainerRecord, code: int, reason: str | None
) -> None:
    """A container has ended."""
    if container.status == "STOPPED":
        return
    container.status, container.exit_code = "STOPPED", code
    container.reason = reason or container.killed_for
    task.version += 1
    if container.essential and task.desired == "RUNNING":
        stop(world, task, "EssentialContainerExited", "Essential container in task exited")
    else:
        _finish(world, task)


def _finish(world: World, task: TaskRecord) -> None:
    if task.status in _LIVE and not any(
        container.status == "RUNNING" for container in task.containers
    ):
        task.execution_stopped_at = task.execution_stopped_at or world.now
        _deprovision(world, task)


def _deprovision(world: World, task: TaskRecord) -> None:
    task.move("DEPROVISIONING")
    if world.settings.deprovisioning:
        world.later(world.settings.deprovisioning, lambda: _stopped(world, task))
    else:
        _stopped(world, task)


def _stopped(world: World, task: TaskRecord) -> None:
    task.move("STOPPED")
    task.stopped_at = world.now
    task.protected_until = None
    world.later(world.settings.stopped_visible, lambda: _forget(world, task))
    world.task_moved(task)


def _forget(world: World, task: TaskRecord) -> None:
    world.tasks.pop(task.arn, None)
    world.lines.pop(task.arn, None)


def interrupt(world: World, task: TaskRecord) -> None:
    """Take a Spot task's capacity back: SIGTERM now, SIGKILL within the notice."""
    stop(
        world,
        task,
        "SpotInterruption",
        "Your Spot Task was interrupted.",
        kill_after=world.settings.spot_notice,
    )
