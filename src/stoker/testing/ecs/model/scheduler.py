"""The service scheduler: it keeps the desired count of each service running.

Source: "Amazon ECS services" and "Service event messages" in the developer guide.
"""

from dataclasses import replace

from stoker.testing.ecs.model.lifecycle import launch, stop
from stoker.testing.ecs.model.placement import launch_bucket, place
from stoker.testing.ecs.model.records import (
    NOT_STARTED,
    DeploymentRecord,
    Event,
    ServiceRecord,
    TaskRecord,
    part,
)
from stoker.testing.ecs.model.world import World

_EVENTS = 100
_LONGEST_DELAY = 60.0


def tasks_of(world: World, service: ServiceRecord) -> list[TaskRecord]:
    """The tasks of a service that have not been told to stop, oldest first."""
    return [
        task
        for task in world.tasks.values()
        if task.launch.service == service.name
        and task.launch.cluster == service.cluster
        and task.desired == "RUNNING"
    ]


def is_protected(world: World, task: TaskRecord) -> bool:
    """Whether scale-in must leave a task alone."""
    return task.protected_until is not None and task.protected_until > world.now


def say(world: World, service: ServiceRecord, message: str) -> None:
    """Add an event, the newest first; AWS keeps the last hundred."""
    text = f"(service {service.name}) {message}"
    service.events.insert(0, Event(world.new_uuid(), world.now, text))
    del service.events[_EVENTS:]


def reconcile_soon(world: World, service: ServiceRecord, seconds: float = 0.0) -> None:
    """Look at a service again, once, at the earliest time that was asked for."""
    when = world.now + seconds
    if service.due is None or when < service.due:
        service.due = when
        world.at(when, lambda: _if_due(world, service, when))


def _if_due(world: World, service: ServiceRecord, when: float) -> None:
    if service.due == when:
        service.due = None
        _reconcile(world, service)


def task_moved(world: World, task: TaskRecord) -> None:
    """A task runs, stops, has stopped or is gone: its service may have something to do."""
    service = world.services.get((task.launch.cluster, task.launch.service or ""))
    if service is None:
        return
    if task.status != "STOPPED":
        reconcile_soon(world, service)
        return
    deployment = service.deployments[0]
    if task.launch.started_by == deployment.id:
        if task.started_at is None:
            deployment.failed += 1
            # ECS throttles a service whose tasks do not start, up to minutes; here it is shorter.
            delay = min(_LONGEST_DELAY, 0.5 * 2 ** min(deployment.failed, 10))
            service.not_before = world.now + delay
            if deployment.failed == 3:
                say(world, service, "is unable to consistently start tasks successfully.")
        else:
            deployment.failed = 0
    reconcile_soon(world, service)


def _reconcile(world: World, service: ServiceRecord) -> None:
    if service.status == "INACTIVE":
        return
    tasks = tasks_of(world, service)
    primary = service.deployments[0]
    new = [task for task in tasks if task.launch.started_by == primary.id]
    old = [task for task in tasks if task.launch.started_by != primary.id]
    _scale_in(world, service, new, old)
    _replace_old(world, service, new, old)
    _scale_out(world, service, primary, len(new), len(new) + len(old))
    _settle(world, service, primary)


def _scale_out(
    world: World, service: ServiceRecord, primary: DeploymentRecord, new: int, total: int
) -> None:
    percent: int = part(service.request, "deploymentConfiguration").get("maximumPercent", 200)
    room = max(service.desired, service.desired * percent // 100) - total
    wanted = min(service.desired - new, room)
    if wanted <= 0:
        return
    if world.now < service.not_before:
        reconcile_soon(world, service, service.not_before - world.now)
        return
    bucket = launch_bucket(world, primary.launch)
    started: list[TaskRecord] = []
    for _ in range(wanted):
        if bucket is not None and not bucket.take(1, world.now):
            reconcile_soon(world, service, bucket.wait(1, world.now))
            break
        each = replace(primary.launch, tags=list(primary.launch.tags))
        failure = place(world, each)
        if failure is not None:
            say(world, service, f"was unable to place a task. Reason: {failure['reason']}.")
            primary.failed += 1
            service.not_before = world.now + min(_LONGEST_DELAY, 2.0 ** min(primary.failed, 10))
            reconcile_soon(world, service, service.not_before - world.now)
            break
        started.append(launch(world, each))
    if started:
        service.steady = False
        names = " ".join(f"(task {task.id})" for task in started)
        say(world, service, f"has started {len(started)} tasks: {names}.")


def _scale_in(
    world: World, service: ServiceRecord, new: list[TaskRecord], old: list[TaskRecord]
) -> None:
    """Stop what is more than desired: what has not started first, then the oldest."""
    surplus = len(new) + len(old) - service.desired if not old else len(new) - service.desired
    if surplus <= 0:
        return
    stoppable = [task for task in new if not is_protected(world, task)]
    stoppable.sort(key=lambda task: (task.status not in NOT_STARTED, task.created_at))
    if len(stoppable) < surplus:
        say(
            world,
            service,
            "was unable to reach steady state because it was unable to scale in. Reason: The "
            "number of protected tasks are more than the desired count of tasks.",
        )
        _look_when_unprotected(world, service, new)
    _stop_all(world, service, stoppable[:surplus])


def _replace_old(
    world: World, service: ServiceRecord, new: list[TaskRecord], old: list[TaskRecord]
) -> None:
    """A rolling update: an old task goes for each new one that runs."""
    if not old:
        return
    percent = part(service.request, "deploymentConfiguration").get("minimumHealthyPercent", 100)
    least = -(-service.desired * percent // 100)
    running = sum(task.status == "RUNNING" for task in (*new, *old))
    stoppable = [task for task in old if not is_protected(world, task)]
    waiting = [task for task in stoppable if task.status != "RUNNING"]
    spare = max(0, running - least)
    going = waiting + [task for task in stoppable if task.status == "RUNNING"][:spare]
    if len(stoppable) < len(old):
        _look_when_unprotected(world, service, old)
    _stop_all(world, service, going)


def _look_when_unprotected(world: World, service: ServiceRecord, tasks: list[TaskRecord]) -> None:
    ends = [task.protected_until for task in tasks if task.protected_until is not None]
    if ends:
        world.at(min(ends), lambda: reconcile_soon(world, service))


def _stop_all(world: World, service: ServiceRecord, tasks: list[TaskRecord]) -> None:
    for task in tasks:
        stop(
            world,
            task,
            "ServiceSchedulerInitiated",
            f"Scaling activity initiated by (deployment {task.launch.started_by})",
        )
    if tasks:
        service.steady = False
        names = " ".join(f"(task {task.id})" for task in tasks)
        say(world, service, f"has stopped {len(tasks)} running tasks: {names}.")


def _settle(world: World, service: ServiceRecord, primary: DeploymentRecord) -> None:
    tasks = tasks_of(world, service)
    mine = [task for task in tasks if task.launch.started_by == primary.id]
    if len(mine) == len(tasks):
        del service.deployments[1:]
    ready = len(mine) == len(tasks) == service.desired and all(
        task.status == "RUNNING" for task in tasks
    )
    if ready and not service.steady:
        service.steady = True
        primary.updated_at = world.now
        say(world, service, "has reached a steady state.")
    if service.status == "DRAINING" and not tasks:
        service.status = "INACTIVE"
