"""A flow that reports as fast as it can."""

import os

from stoker import flow
from stoker.testing import arrive

TEXT = "x" * 180


@flow
def chatter(gate: str, end: str, most: int = 40_000) -> int:
    """Wait at a gate, and print numbered lines until a file appears; return how many."""
    arrive(gate)
    count = 0
    while count < most and not (count % 100 == 0 and os.path.exists(end)):
        print(count, TEXT)
        count += 1
    return count
