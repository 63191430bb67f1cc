"""Nested runs: a flow starts others as deployments, each in a process of its own.

A run that waits for another lends it its slot, so that this ends in a pool with a single slot, too.
With `stoker up` in another terminal, run this file: `python examples/nested.py`.
"""

import os

from stoker import flow, run_deployment


@flow
def count_down(start: int) -> list[int]:
    """Start a run for the rest, and put this process's id before the ids of the others."""
    if start == 0:
        return [os.getpid()]
    rest = run_deployment("count-down/nested", {"start": start - 1})
    return [os.getpid(), *rest.result()]


if __name__ == "__main__":
    count_down.deploy("nested")
    print(run_deployment("count-down/nested", {"start": 3}).result())
