"""In-process flows: what a no-op flow costs that is called in a script, its record included.

`in_process_flow` is a flow and `in_process_subflow` one inside of another, both recorded by a
server; the same with `_embedded` has no server and writes into the home's store itself. The time of
a series of calls until all are recorded for good is shared among them; that is one sample.
"""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from support.report import Options, Row, benchmark
from support.stack import configured, scratch, stack

from stoker import flow
from stoker.engine import backends


@flow
def nothing() -> None:
    """Do nothing."""


def call(calls: int) -> float:
    """Call the flow; return milliseconds for one call."""
    started = time.monotonic_ns()
    for _ in range(calls):
        nothing()
    backends.current().flush()
    return (time.monotonic_ns() - started) / calls / 1e6


@flow
def parent(calls: int) -> float:
    """Call the flow as a sub-flow."""
    return call(calls)


WAYS: dict[str, Callable[[int], float]] = {"in_process_flow": call, "in_process_subflow": parent}


def measure(options: Options) -> Iterator[Row]:
    """Measure Stoker, with a server and without, and the peers."""
    with stack():
        for metric, way in WAYS.items():
            yield Row("stoker", metric, "ms", samples(way, options))
    with scratch() as home, configured(home, None):
        for metric, way in WAYS.items():
            yield Row("stoker", f"{metric}_embedded", "ms", samples(way, options))
    if "prefect" in options.peers:
        from support import prefect

        with prefect.server() as peer:
            for metric in WAYS:
                yield Row("prefect", metric, "ms", peer.measure(metric, options.peer_n))


def samples(way: Callable[[int], float], options: Options) -> list[float]:
    """Take the samples, the lines on the terminal sent elsewhere; the first does not count."""
    with unseen():
        return [way(options.n) for _ in range(options.rounds + 1)][1:]


@contextmanager
def unseen() -> Generator[None]:
    """Have standard error go nowhere: what a terminal needs to show it is not measured."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    benchmark(measure, __doc__, n=200, rounds=10, counts="calls in a series")
