"""Tags of resources."""

from stoker.testing.ecs.errors import AwsError, invalid
from stoker.testing.ecs.model.records import Json, items
from stoker.testing.ecs.model.world import World


def check_tags(tags: list[Json]) -> None:
    """Refuse tags that AWS refuses.

    Raises:
        AwsError: There are too many, one is too long or reserved, or a key comes twice.
    """
    if len(tags) > 50:
        raise invalid("The maximum number of tags (50) for this resource has been exceeded.")
    keys: list[str] = [tag.get("key") or "" for tag in tags]
    if len(set(keys)) < len(keys):
        raise invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for tag in tags:
        if not 1 <= len(tag.get("key") or "") <= 128 or len(tag.get("value") or "") > 256:
            raise invalid("A tag's key has 1 to 128 characters and its value up to 256.")
        if (tag.get("key") or "").lower().startswith("aws:"):
            raise invalid("Tag keys that start with aws: are reserved.")


def _tags_of(world: World, arn: str) -> list[Json]:
    resource = arn.partition(":ecs:")[2].split(":", 2)[-1]
    kind, _, name = resource.partition("/")
    found: list[Json] | None = None
    if kind == "task" and arn in world.tasks:
        found = world.tasks[arn].tags
    elif kind == "cluster":
        found = world.clusters.get(name)
    elif kind == "service" and "/" in name:
        cluster, _, service = name.partition("/")
        record = world.services.get((cluster, service))
        found = record.tags if record else None
    elif kind == "task-definition":
        family, _, revision = name.partition(":")
        for definition in world.families.get(family, []):
            if str(definition.revision) == revision:
                found = definition.tags
    else:
        raise invalid("Invalid resource ARN.")
    if found is None:
        raise AwsError(
            "ResourceNotFoundException",
            "The specified resource is inactive or not found. Specify an active resource.",
        )
    return found


def tag_resource(world: World, params: Json) -> Json:
    """``TagResource``."""
    tags = _tags_of(world, params.get("resourceArn") or "")
    new: list[Json] = items(params, "tags")
    check_tags(new)
    keys = {tag["key"] for tag in new}
    merged = [tag for tag in tags if tag["key"] not in keys] + new
    if len(merged) > 50:
        raise invalid("The maximum number of tags (50) for this resource has been exceeded.")
    tags[:] = merged
    return {}


def untag_resource(world: World, params: Json) -> Json:
    """``UntagResource``."""
    tags = _tags_of(world, params.get("resourceArn") or "")
    tags[:] = [tag for tag in tags if tag["key"] not in items(params, "tagKeys")]
    return {}


def list_tags(world: World, params: Json) -> Json:
    """``ListTagsForResource``."""
    return {"tags": list(_tags_of(world, params.get("resourceArn") or ""))}
