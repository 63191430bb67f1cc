"""How long it took until what a fault had ended went on: measured at the store, from outside."""

import threading
from collections.abc import Sequence

from msgspec import Struct

from stoker.testing.chaos.faults import Fault
from stoker.testing.chaos.sampler import Sampler, boot_time
from stoker.testing.processes import Process, await_ends

SETTLED = 1.5
"""Seconds after another fault in which nothing is measured: what it broke is still coming back."""

NOTICED = 0.3
"""Seconds in which a fault is the same one as another, or what follows from it."""

HARMLESS = frozenset(
    {
        "kill busy child",
        "kill child",
        "kill zygote",
        "stop busy child",
        "stop child",
        "set the clock",
    }
)
"""Faults that end or hold up runs, and nothing that is needed to find out about other runs."""

LONGEST = 60.0
"""Seconds for which the end of processes is awaited."""


class Quantiles(Struct, frozen=True):
    """Of how many times, in seconds. None where there is none."""

    count: int
    p50: float | None = None
    p99: float | None = None


def quantiles(times: Sequence[float]) -> Quantiles:
    """Return the median and the 99th percentile, by nearest rank.

    Example:
        >>> quantiles([3.0, 1.0, 2.0])
        Quantiles(count=3, p50=2.0, p99=3.0)
    """
    ordered = sorted(times)
    if not ordered:
        return Quantiles(0)
    p50, p99 = (ordered[max(0, -(-len(ordered) * q // 100) - 1)] for q in (50, 99))
    return Quantiles(len(ordered), round(p50, 3), round(p99, 3))


class TreeWatch:
    """Measures the time from a cancellation to the end of the run's process tree."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []
        self._threads: list[threading.Thread] = []

    def watch(self, tree: list[Process]) -> None:
        """A run with these processes has just been cancelled."""
        if not tree:
            return
        thread = threading.Thread(target=self._await, args=(tree, boot_time()), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _await(self, tree: list[Process], since: float) -> None:
        await_ends(tree, LONGEST)
        self.spans.append((since, boot_time()))

    def join(self) -> None:
        """Wait for all of them."""
        for thread in self._threads:
            thread.join()


def undisturbed(
    spans: Sequence[tuple[float, float]],
    faults: Sequence[Fault],
    outages: Sequence[tuple[float, float]],
) -> list[float]:
    """Return the lengths of those spans in which nothing else was broken that matters to them.

    Args:
        spans: From when to when.
        faults: All faults.
        outages: From when to when a server or worker did not run.
    """
    troubles = [(one.begin, one.until) for one in faults if one.kind not in HARMLESS]
    # A process that dies in a fault is found to be down a little later.
    troubles += [(begin, end) for begin, end in outages]
    return [
        end - begin
        for begin, end in spans
        if not any(
            other <= end and until + SETTLED >= begin
            for other, until in troubles
            if not begin <= other < begin + NOTICED
        )
    ]


def recoveries(
    faults: Sequence[Fault], sampler: Sampler, kinds: Sequence[str]
) -> list[tuple[float, float]]:
    """From each death by such a fault to the run's terminal state or new attempt."""
    spans: list[tuple[float, float]] = []
    for fault in faults:
        if fault.kind in kinds:
            for run, attempt in fault.runs:
                seen = sampler.first_after(run, fault.begin, attempt)
                if seen is not None:
                    spans.append((fault.begin, seen))
    return spans


def takeovers(faults: Sequence[Fault], sampler: Sampler) -> list[tuple[float, float]]:
    """From each death of a server until every host that was heard of before is heard again."""
    spans: list[tuple[float, float]] = []
    for fault in faults:
        if fault.kind == "kill server":
            again = [
                min(after)
                for heard in sampler.heard.values()
                if any(fault.begin - 2.0 < at <= fault.begin for at in heard)
                and (after := [at for at in heard if at > fault.begin])
            ]
            if again:
                spans.append((fault.begin, max(again)))
    return spans
