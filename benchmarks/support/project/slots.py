"""A flow that takes slots of a limit."""

import time

from stoker import flow
from stoker.concurrency import concurrency


@flow
def taking(name: str, times: int) -> list[float]:
    """Return how many milliseconds it took, each time, to take a slot and give it back."""
    took: list[float] = []
    for _ in range(times):
        begun = time.perf_counter()
        with concurrency(name):
            pass
        took.append((time.perf_counter() - begun) * 1e3)
    return took
