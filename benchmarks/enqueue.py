"""Enqueue: runs accepted per second, each safe on disk, where no host is there to take them.

`accept_single`: one after the other on one connection. `accept_batch`: batches of up to 1,000.
"""

import time
from collections.abc import Callable, Iterator

from support.report import Options, Row, benchmark
from support.stack import POOL, deploy, stack

from stoker.domain.requests import StartRun
from stoker.testing import Harness

BATCH = 1000


def measure(options: Options) -> Iterator[Row]:
    """Measure Stoker and the peers."""
    size = min(BATCH, options.n)
    with stack() as running:
        running.create_pool(POOL)
        request = StartRun(deployment=deploy(running, "empty.py", "nothing"))

        def single() -> None:
            for _ in range(options.n):
                running.api.start_run(request)

        def batches() -> None:
            for _ in range(options.n // size):
                running.api.start_runs([request] * size)

        yield Row("stoker", "accept_single", "runs/s", rates(single, options.n, options.rounds))
        batched = rates(batches, options.n // size * size, options.rounds)
        yield Row("stoker", "accept_batch", "runs/s", batched)
        check(running)
    if "prefect" in options.peers:
        from support import prefect

        with prefect.server() as peer:
            samples = peer.measure("accept_single", options.peer_n)
            yield Row("prefect", "accept_single", "runs/s", samples)


def rates(submit: Callable[[], None], accepted: int, rounds: int) -> list[float]:
    """Submit a few times and return the rates."""
    found: list[float] = []
    for _ in range(rounds):
        started = time.monotonic()
        submit()
        found.append(accepted / (time.monotonic() - started))
    return found


def check(running: Harness) -> None:
    """Say so if a run was started after all."""
    taken = running.api.runs(states=["PENDING", "RUNNING", "COMPLETED", "FAILED"], limit=1).runs
    if taken:
        raise RuntimeError(f"run {taken[0].id} is {taken[0].state.name} without a host")


if __name__ == "__main__":
    benchmark(measure, __doc__, n=2000, rounds=5, counts="runs to submit")
