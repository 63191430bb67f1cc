"""Clusters."""

import re

from stoker.testing.ecs.errors import AwsError, invalid
from stoker.testing.ecs.model.records import NOT_STARTED, Json, items
from stoker.testing.ecs.model.tags import check_tags
from stoker.testing.ecs.model.world import World

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


def create(world: World, params: Json) -> Json:
    """``CreateCluster``; one that is there is answered as it is."""
    name = params.get("clusterName") or "default"
    if not _NAME.fullmatch(name):
        raise invalid("Identifier must have 1 to 255 letters, numbers, hyphens and underscores.")
    check_tags(items(params, "tags"))
    world.clusters.setdefault(name, list(items(params, "tags")))
    return {"cluster": _view(world, name, tags=True)}


def delete(world: World, params: Json) -> Json:
    """``DeleteCluster``."""
    name = world.cluster(params.get("cluster"))
    if any(s.cluster == name and s.status == "ACTIVE" for s in world.services.values()):
        raise AwsError(
            "ClusterContainsServicesException",
            "The Cluster cannot be deleted while Services are active.",
        )
    if any(t.launch.cluster == name and t.status != "STOPPED" for t in world.tasks.values()):
        raise AwsError(
            "ClusterContainsTasksException",
            "The Cluster cannot be deleted while Tasks are active.",
        )
    answer = _view(world, name, tags=False) | {"status": "INACTIVE"}
    del world.clusters[name]
    return {"cluster": answer}


def describe(world: World, params: Json) -> Json:
    """``DescribeClusters``."""
    tags = "TAGS" in items(params, "include")
    found: list[Json] = []
    failures: list[Json] = []
    for name in params.get("clusters") or ["default"]:
        short = name.rpartition("/")[2]
        if short in world.clusters:
            found.append(_view(world, short, tags=tags))
        else:
            failures.append({"arn": world.cluster_arn(short), "reason": "MISSING"})
    return {"clusters": found, "failures": failures}


def list_arns(world: World, _: Json) -> list[str]:
    """What ``ListClusters`` lists."""
    return [world.cluster_arn(name) for name in world.clusters]


def _view(world: World, name: str, *, tags: bool) -> Json:
    tasks = [task for task in world.tasks.values() if task.launch.cluster == name]
    return {
        "clusterArn": world.cluster_arn(name),
        "clusterName": name,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": len(world.settings.instances),
        "runningTasksCount": sum(task.status == "RUNNING" for task in tasks),
        "pendingTasksCount": sum(task.status in NOT_STARTED for task in tasks),
        "activeServicesCount": sum(
            s.cluster == name and s.status == "ACTIVE" for s in world.services.values()
        ),
        "statistics": [],
        "settings": [{"name": "containerInsights", "value": "disabled"}],
        "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
        "defaultCapacityProviderStrategy": [],
        "tags": list(world.clusters[name]) if tags else [],
    }
