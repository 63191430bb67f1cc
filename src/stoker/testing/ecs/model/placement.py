"""Whether there is room for a task."""

from stoker.testing.ecs.buckets import FARGATE_LAUNCHES, SPOT_LAUNCHES, TokenBucket
from stoker.testing.ecs.model.lifecycle import NO_CAPACITY
from stoker.testing.ecs.model.records import Json, Launch
from stoker.testing.ecs.model.world import World

NO_VCPUS = "You've reached the limit on the number of vCPUs you can run concurrently"


def launch_bucket(world: World, launch: Launch) -> TokenBucket | None:
    """The bucket that pays for a launch, if one does."""
    if not launch.on_fargate:
        return None
    return world.buckets.by_name[SPOT_LAUNCHES if launch.on_spot else FARGATE_LAUNCHES]


def place(world: World, launch: Launch) -> Json | None:
    """Find a place for one more task, and set its instance.

    Returns:
        The failure as RunTask answers it, `None` if there is a place.
    """
    struck = _struck(world)
    if struck is not None:
        return struck
    if launch.on_fargate:
        quota = world.settings.vcpu_quota
        if quota is not None and _used_vcpus(world, launch) + launch.cpu / 1024 > quota:
            return {"reason": NO_VCPUS}
        return None
    return _place_on_instance(world, launch)


def _struck(world: World) -> Json | None:
    arn = world.arn("container-instance/emulated")
    if world.faults.strikes("no_memory"):
        return {"arn": arn, "reason": "RESOURCE:MEMORY"}
    if world.faults.strikes("no_cpu"):
        return {"arn": arn, "reason": "RESOURCE:CPU"}
    if world.faults.strikes("no_agent"):
        return {"arn": arn, "reason": "AGENT"}
    if world.faults.strikes("no_capacity"):
        return {"reason": NO_CAPACITY}
    return None


def _used_vcpus(world: World, launch: Launch) -> float:
    return sum(
        task.launch.cpu / 1024
        for task in world.tasks.values()
        if task.status != "STOPPED"
        and task.launch.on_fargate
        and task.launch.on_spot == launch.on_spot
    )


def instance_arn(world: World, cluster: str, number: int) -> str:
    """The ARN of a container instance of a cluster."""
    return world.arn(f"container-instance/{cluster}/{number:032x}")


def _place_on_instance(world: World, launch: Launch) -> Json | None:
    """First fit; the failure names the last instance that was too small."""
    failure: Json = {"reason": "No Container Instances were found in your cluster."}
    external = launch.launch_type == "EXTERNAL"
    cpu = launch.cpu or sum(c.get("cpu") or 0 for c in launch.definition.containers)
    memory = launch.memory or sum(
        c.get("memory") or c.get("memoryReservation") or 0 for c in launch.definition.containers
    )
    for number, instance in enumerate(world.settings.instances):
        if instance.external != external:
            continue
        arn = instance_arn(world, launch.cluster, number)
        held = [
            task.launch
            for task in world.tasks.values()
            if task.status != "STOPPED" and task.launch.instance == arn
        ]
        if sum(other.memory for other in held) + memory > instance.memory:
            failure = {"arn": arn, "reason": "RESOURCE:MEMORY"}
        elif sum(other.cpu for other in held) + cpu > instance.cpu:
            failure = {"arn": arn, "reason": "RESOURCE:CPU"}
        else:
            launch.instance = arn
            return None
    return failure
