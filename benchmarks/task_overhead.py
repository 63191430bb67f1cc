"""Task overhead: what one call of a no-op task costs in a deployed flow, its record included.

A flow makes `n` calls, and its time until all of them are recorded for good is shared among them;
that is one sample. Called directly, submitted to the thread pool, and mapped.
"""

from collections.abc import Iterator

from support.report import Options, Row, benchmark
from support.stack import ONE_HOST, deploy, stack

from stoker import run_deployment
from stoker.testing import Harness

FLOWS = {"task_direct": "direct", "task_submit": "submitted", "task_map": "mapped"}


def measure(options: Options) -> Iterator[Row]:
    """Measure Stoker and the peers."""
    with stack(ONE_HOST) as running:
        for metric, function in FLOWS.items():
            deployment = deploy(running, "tasks.py", function)
            yield Row("stoker", metric, "us", per_call(running, deployment, options))
    if "prefect" in options.peers:
        from support import prefect

        with prefect.server() as peer:
            for metric in FLOWS:
                yield Row("prefect", metric, "us", peer.measure(metric, options.peer_n))


def per_call(running: Harness, deployment: str, options: Options) -> list[float]:
    """Run a flow a few times, the first of which does not count; microseconds for one call."""
    samples: list[float] = []
    for _ in range(options.rounds + 1):
        run = run_deployment(deployment, {"calls": options.n})
        samples.append(run.result() / 1e3)
        recorded = len(running.api.task_runs(run.id))
        if recorded != options.n:
            raise RuntimeError(f"{recorded} of {options.n} task runs of {run} are recorded")
    return samples[1:]


if __name__ == "__main__":
    benchmark(measure, __doc__, n=1000, rounds=10, counts="task calls in a flow")
