"""Fan out within one flow: a task is mapped over many inputs, and failures are tried again.

Run this file: `python examples/fan_out.py`. No server is needed.
"""

import random

from stoker import flow, task
from stoker.task_runners import ThreadPoolTaskRunner


@task(retries=10)
def fetch(page: int) -> list[int]:
    """Stand in for a request to a service that is not always there."""
    if random.random() < 0.2:
        raise ConnectionError(f"page {page} timed out")
    return list(range(10 * page, 10 * page + 10))


@task
def total(pages: list[list[int]]) -> int:
    """Add up what all pages hold."""
    return sum(sum(page) for page in pages)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def collect(pages: int = 20) -> int:
    """Fetch pages, four at a time, and add them up."""
    return total(fetch.map(range(pages)).result())


if __name__ == "__main__":
    print(collect())
