"""Schedule latency: from the instant of an occurrence to the first line of the user's function.

A schedule that fires each second, on a warm host with nothing else to do.
"""

import time
from collections.abc import Iterator

from support.report import Options, Row, benchmark
from support.stack import ONE_HOST, deploy, stack, warm_up

from stoker.domain.runs import FlowRun
from stoker.domain.schedules import Schedule


def measure(options: Options) -> Iterator[Row]:
    """Measure Stoker."""
    with stack(ONE_HOST) as running:
        deployment = deploy(running, "flows.py", "clock")
        warm_up(running, deployment, options.warmup)
        made = running.api.create_schedule(deployment, Schedule(interval=1.0))
        runs: list[FlowRun] = []
        while len(runs) < options.n:
            time.sleep(0.5)
            page = running.api.runs(states=["COMPLETED"], deployment=deployment, limit=1000)
            runs = [run for run in page.runs if run.schedule_id == made.id]
    yield Row("stoker", "schedule_start", "ms", [latency(run) for run in runs])


def latency(run: FlowRun) -> float:
    """Milliseconds from a run's instant to its first line."""
    if run.instant is None or run.anatomy.first_line is None:
        raise RuntimeError(f"run {run.id} is no occurrence that has started")
    return (run.anatomy.first_line - run.instant) * 1e3


if __name__ == "__main__":
    benchmark(measure, __doc__, n=30, warmup=5, counts="occurrences")
