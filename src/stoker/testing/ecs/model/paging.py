"""Lists in pages."""

from collections.abc import Callable

from stoker.testing.ecs.errors import invalid
from stoker.testing.ecs.model.records import Json
from stoker.testing.ecs.model.world import World


def page(
    listed: Callable[[World, Json], list[str]], key: str, default: int = 100
) -> Callable[[World, Json], Json]:
    """An action that answers a list in pages.

    Args:
        listed: Lists all.
        key: The member of the answer that holds it.
        default: Entries of a page where the caller does not say.
    """

    def answer(world: World, params: Json) -> Json:
        size = params.get("maxResults") or default
        if not 1 <= size <= 100:
            raise invalid("maxResults must be between 1 and 100.")
        token = params.get("nextToken") or "0"
        if not token.isdigit():
            raise invalid("Invalid token.")
        first = int(token)
        found = listed(world, params)
        result: Json = {key: found[first : first + size]}
        if first + size < len(found):
            result["nextToken"] = str(first + size)
        return result

    return answer
