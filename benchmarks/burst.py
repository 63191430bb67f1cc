"""Burst: isolated no-op runs per second, from the first submission to the last end.

pandas is imported in the zygote; all runs are submitted at once (`burst`), or one by one with
`run_deployment` on one connection (`burst_one_by_one`). `burst_spawned` is for a file that is not
safe to fork, whose processes are spawned ahead. `burst_own_hosts` is at once too, with
`isolation="host"`: one host is ready, the others are launched as the runs come, eight at a time.
The floor is bare fork and exit with pandas imported, eight in flight, and one by one.
"""

import time
from collections.abc import Callable, Iterator

from support import floor
from support.report import Options, Row, benchmark
from support.stack import ONE_HOST, SPARES, await_spare, deploy, settle, stack, warm_up

from stoker import run_deployment
from stoker.domain.requests import StartRun
from stoker.testing import Harness

PAUSE = 0.5
"""Seconds between two bursts, in which the children that wait are forked anew."""

OWN_HOSTS = 24
"""Runs with a host each in a burst, at the most: each imports pandas anew."""


def measure(options: Options) -> Iterator[Row]:
    """Measure Stoker, the floor, and the peers."""
    n = options.n
    with stack(ONE_HOST) as running:
        deployment = deploy(running, "flows.py", "nothing")
        warm_up(running, deployment, options.warmup)

        def at_once() -> str:
            return running.api.start_runs([StartRun(deployment=deployment) for _ in range(n)])[-1]

        def one_by_one() -> str:
            return [run_deployment(deployment, timeout=0).id for _ in range(n)][-1]

        yield Row("stoker", "burst", "runs/s", rates(running, options, at_once))
        yield Row("stoker", "burst_one_by_one", "runs/s", rates(running, options, one_by_one))
        deployment = deploy(running, "unsafe.py", "nothing_unsafe")
        warm_up(running, deployment, options.warmup)
        yield Row("stoker", "burst_spawned", "runs/s", rates(running, options, at_once))
    yield Row("stoker", "burst_own_hosts", "runs/s", own_hosts(options))
    single, in_flight = floor.forks(n, options.rounds)
    yield Row("floor", "burst", "runs/s", in_flight)
    yield Row("floor", "burst_one_by_one", "runs/s", single)
    if "prefect" in options.peers:
        from support import prefect

        with prefect.server() as peer:
            yield Row("prefect", "burst", "runs/s", peer.measure("burst", options.peer_n))


def own_hosts(options: Options) -> list[float]:
    """Submit many more runs than hosts are ready for."""
    n = min(options.n, OWN_HOSTS)
    found: list[float] = []
    with stack(SPARES) as running:
        deployment = deploy(running, "flows.py", "nothing", isolation="host")
        for _ in range(min(options.rounds, 2)):
            await_spare(running)
            started = time.monotonic()
            running.api.start_runs([StartRun(deployment=deployment) for _ in range(n)])
            settle(running)
            found.append(n / (time.monotonic() - started))
            check(running, n)
    return found


def rates(running: Harness, options: Options, submit: Callable[[], str]) -> list[float]:
    """Submit and wait until the server has the end of every run, a few times.

    ``submit`` returns the id of its last run. That one ends last, or nearly so: to wait for it
    costs the server nothing meanwhile.
    """
    found: list[float] = []
    for _ in range(options.rounds):
        started = time.monotonic()
        running.api.wait_run(submit())
        settle(running)
        found.append(options.n / (time.monotonic() - started))
        check(running, options.n)
        time.sleep(PAUSE)
    return found


def check(running: Harness, n: int) -> None:
    """Say so if one of the last ``n`` runs did not complete: then they must not count."""
    seen, before = 0, None
    while seen < n:
        page = running.api.runs(limit=min(n - seen, 200), before=before)
        for run in page.runs:
            if run.state.type != "COMPLETED":
                raise RuntimeError(f"run {run.id} ended {run.state.name}: {run.state.message}")
        seen, before = seen + len(page.runs), page.next


if __name__ == "__main__":
    benchmark(measure, __doc__, n=200, rounds=5, warmup=20, counts="runs in a burst")
