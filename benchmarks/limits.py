"""Limits: what it takes a deployed flow to take a free slot of a limit and to give it back.

`slot_round_trip`: a request to the server and its answer, which is safe on disk, and a report.
"""

from collections.abc import Iterator

from support.report import Options, Row, benchmark
from support.stack import ONE_HOST, deploy, stack

from stoker import run_deployment
from stoker.domain.concurrency import LimitKind
from stoker.wire.http import LimitCreate


def measure(options: Options) -> Iterator[Row]:
    """Measure Stoker; the peers have no part in it."""
    with stack(ONE_HOST) as running:
        running.api.create_limit(LimitCreate(kind=LimitKind.NAME, name="bench", slots=5))
        deployment = deploy(running, "slots.py", "taking")
        run_deployment(deployment, {"name": "bench", "times": max(1, options.warmup)})
        run = run_deployment(deployment, {"name": "bench", "times": options.n})
        yield Row("stoker", "slot_round_trip", "ms", run.result())


if __name__ == "__main__":
    benchmark(measure, __doc__, n=1000, warmup=50, counts="slots to take")
