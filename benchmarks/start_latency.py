"""Start latency: from `run_deployment(timeout=0)` to the first line of the user's function.

Hot, on a kept connection, pandas imported in the zygote, one run at a time; and the same for a
file that is not safe to fork, whose processes are spawned ahead (`hot_start_spawned`).
`hot_start_own_host` is with `isolation="host"`, each run as soon as a host is ready for it. The
floor is an HTTP round trip, a commit and a hand-off over a socket pair.

With Postgres there are two servers: `hot_start_postgres` is of runs that are posted to the one that
holds the host's socket, `hot_start_postgres_remote` of those that are posted to the other one.
"""

import time
from collections.abc import Iterator, Mapping

from support import floor
from support.databases import DATABASES, database
from support.report import Options, Row, benchmark
from support.stack import ONE_HOST, SPARES, await_spare, deploy, scratch, stack, warm_up

from stoker import run_deployment
from stoker.testing import Harness
from stoker.testing.local import result_of

OWN_HOSTS = 50
"""Hosts that are used up for that at the most: each imports pandas anew."""


def measure(options: Options) -> Iterator[Row]:
    """Measure Stoker, the floor, and the peers."""
    if "postgres" in options.databases:
        with database("postgres") as one:
            near, far = replica_starts(options, one.settings)
        yield Row("stoker", "hot_start_postgres", "ms", milliseconds(near))
        yield Row("stoker", "hot_start_postgres_remote", "ms", milliseconds(far))
    if "sqlite" in options.databases:
        yield from embedded(options)


def embedded(options: Options) -> Iterator[Row]:
    """Measure one server on SQLite, the floor, and the peers."""
    yield Row("stoker", "hot_start", "ms", milliseconds(hot_starts(options)))
    spawned = hot_starts(options, "unsafe.py", "clock_unsafe")
    yield Row("stoker", "hot_start_spawned", "ms", milliseconds(spawned))
    yield Row("stoker", "hot_start_own_host", "ms", milliseconds(own_host_starts(options)))
    with scratch() as folder:
        samples = floor.hand_offs(options.n, options.warmup, folder)
    yield Row("floor", "hot_start", "ms", milliseconds(samples))
    if "prefect" in options.peers:
        from support import prefect

        with prefect.server() as peer:
            yield Row("prefect", "hot_start", "ms", peer.measure("hot_start", options.peer_n))


def hot_starts(options: Options, file: str = "flows.py", function: str = "clock") -> list[int]:
    """Start runs one after the other; both stamps are of CLOCK_MONOTONIC, in nanoseconds."""
    samples: list[int] = []
    with stack(ONE_HOST) as running:
        deployment = deploy(running, file, function)
        warm_up(running, deployment, options.warmup)
        for _ in range(options.n):
            started = time.monotonic_ns()
            run = run_deployment(deployment, timeout=0)
            samples.append(run.wait().result() - started)
    return samples


def replica_starts(options: Options, settings: Mapping[str, object]) -> tuple[list[int], list[int]]:
    """Start runs at the server that holds the host, and at the other; in turn, one by one."""
    near: list[int] = []
    far: list[int] = []
    with stack(ONE_HOST, settings) as running, scratch() as folder:
        deployment = deploy(running, "flows.py", "clock")
        with Harness(folder, settings) as other:
            other.start_server()
            for harness in (running, other):
                warm_up(harness, deployment, options.warmup)
            for _ in range(options.n):
                for harness, samples in ((running, near), (other, far)):
                    started = time.monotonic_ns()
                    run = harness.start(deployment)
                    value = result_of(harness.wait(run))
                    samples.append(value - started)
    return near, far


def own_host_starts(options: Options) -> list[int]:
    """Start runs with a host each, when a host is ready; the next one is launched meanwhile."""
    samples: list[int] = []
    with stack(SPARES) as running:
        deployment = deploy(running, "flows.py", "clock", isolation="host")
        for _ in range(min(options.n, OWN_HOSTS)):
            await_spare(running)
            started = time.monotonic_ns()
            run = run_deployment(deployment, timeout=0)
            samples.append(run.wait().result() - started)
    return samples


def milliseconds(nanoseconds: list[int]) -> list[float]:
    """Convert samples."""
    return [sample / 1e6 for sample in nanoseconds]


if __name__ == "__main__":
    benchmark(measure, __doc__, n=200, warmup=20, counts="runs", databases=DATABASES)
