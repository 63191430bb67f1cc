"""Flows of deployments whose hosts are with different servers."""

import time
from pathlib import Path

from stoker import flow, get_run_logger, run_deployment, task
from stoker.concurrency import concurrency
from stoker.testing import arrive


@flow
def quick(n: int = 0) -> int:
    return n


@flow
def noted(folder: str, name: str) -> str:
    """Leave a mark of each execution."""
    with (Path(folder) / name).open("a") as file:
        file.write("x")
    time.sleep(0.05)
    return name


@flow
def waiter(child: str, gate: str) -> str:
    """Wait for a run on a host of another server."""
    return run_deployment(child, {"gate": gate}).state.result()


@flow
def held(gate: str) -> str:
    return arrive(gate, "held")


@flow
def talker(gate: str) -> None:
    for line in range(3):
        get_run_logger().info("line %d", line)
        arrive(gate, line)


@flow
def slot(gate: str, limit: str) -> None:
    """Hold a slot of a limit with a name, at a gate."""
    with concurrency(limit):
        arrive(gate, "slot")


@task(tags=["spread"])
def tagged(gate: str) -> None:
    arrive(gate, "slot")


@flow
def tagging(gate: str) -> None:
    """Hold a slot of a tag's limit, at a gate."""
    tagged(gate)
