"""Hourly sums of runs that outlive them, with sketches from which quantiles can be told."""

from math import ceil, log

from msgspec import Struct, field

from stoker.domain.runs import FlowRun
from stoker.domain.states import StateType

HOUR = 3600

GROWTH = 1.1
"""How much wider each bucket of a sketch is than the one before: quantiles are 5 % off at most."""
LEAST = 1e-4
"""Seconds; what is shorter is in the first bucket."""


class Sketch(Struct, omit_defaults=True):
    """Lengths of time, in buckets that grow by a constant factor, as DDSketch has them
    (Masson, Rim, Lee: "DDSketch", VLDB 2019).

    Attributes:
        count: How many there were.
        total: Their sum in seconds.
        buckets: How many fell into each bucket.
    """

    count: int = 0
    total: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, seconds: float) -> None:
        """Count one; below 0, where a clock was set meanwhile, it is 0."""
        seconds = max(0.0, seconds)
        bucket = 0 if seconds <= LEAST else ceil(log(seconds / LEAST, GROWTH))
        self.count += 1
        self.total += seconds
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def merge(self, other: "Sketch") -> None:
        """Count all of another one, too."""
        self.count += other.count
        self.total += other.total
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def quantile(self, share: float) -> float | None:
        """Return about the length that ``share`` of them do not exceed; None where there is none.

        Example:
            >>> sketch = Sketch()
            >>> for seconds in (0.1, 0.2, 4.0):
            ...     sketch.add(seconds)
            >>> 3.8 < sketch.quantile(0.99) < 4.2
            True
        """
        left = max(1, ceil(share * self.count))
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                # The middle of the bucket, by its relative error.
                return LEAST * GROWTH**bucket * 2 / (1 + GROWTH)
        return None


class Rollup(Struct, kw_only=True):
    """What ended in one hour, of one deployment on one pool.

    Attributes:
        hour: Hours since the epoch.
        pool: The work pool; empty for runs that executed elsewhere.
        deployment: ``"flow/name"``; empty for none.
        completed: Runs that ended so.
        failed: Runs that ended so.
        crashed: Runs that ended so.
        cancelled: Runs that ended so.
        starts: Seconds from submission to the first line.
        durations: Seconds from the first line to the end.
    """

    hour: int
    pool: str
    deployment: str
    completed: int = 0
    failed: int = 0
    crashed: int = 0
    cancelled: int = 0
    starts: Sketch = field(default_factory=Sketch)
    durations: Sketch = field(default_factory=Sketch)

    def add(self, run: FlowRun) -> None:
        """Count a run that is over."""
        match run.state.type:
            case StateType.COMPLETED:
                self.completed += 1
            case StateType.FAILED:
                self.failed += 1
            case StateType.CRASHED:
                self.crashed += 1
            case _:
                self.cancelled += 1
        seconds = run.anatomy.seconds
        if seconds is not None:
            self.starts.add(seconds)
        if run.started is not None and run.ended is not None:
            self.durations.add(run.ended - run.started)


RollupKey = tuple[int, str, str]


def key_of(run: FlowRun) -> RollupKey:
    """Where a run that is over is counted."""
    return int((run.ended or run.state.at) // HOUR), run.pool or "", run.deployment or ""
