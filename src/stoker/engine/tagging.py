"""Tags for all runs that a block of code starts. Prefect 3's name.

https://docs.prefect.io/v3/how-to-guides/workflows/tags
"""

from collections.abc import Generator
from contextlib import contextmanager

from stoker.engine.context import TAGS
from stoker.engine.options import labels


@contextmanager
def tags(*new_tags: str) -> Generator[set[str]]:
    """Give all flow runs and task runs that begin inside of the block further tags.

    That are calls of flows and tasks in this process, and what these call; also tasks that are
    submitted. Limits on the tags hold for the task runs. A run of a deployment has the tags that
    `run_deployment` is given.

    Args:
        new_tags: The tags, besides those of blocks around this one.

    Yields:
        All tags that runs get here, besides their own.

    Raises:
        TypeError: One is no text.

    Example:
        >>> with tags("nightly"), tags("eu") as all_of_them:
        ...     print(sorted(all_of_them))
        ['eu', 'nightly']
    """
    known = TAGS.get() | frozenset(labels(new_tags, "tags()"))
    token = TAGS.set(known)
    try:
        yield set(known)
    finally:
        TAGS.reset(token)
