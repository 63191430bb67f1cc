"""How long it took until what a fault had ended went on: measured at the store, from outside."""

import threading
from collections.abc import Mapping, Sequence

from msgspec import Struct

from stoker.testing.chaos.cluster import SETTINGS
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

BOUNDS = {
    "process_death": 2.0,
    "host_death": SETTINGS["lease"] + 10.0,
    "server_takeover": 10.0,
    "cancel": 5.0,
}
"""Seconds that each time takes at the most. That of a host is 40 s at the default lease of 30 s."""

LONGEST = 60.0
"""Seconds for which the end of processes is awaited."""


Span = tuple[float, float]
"""From when to when, in seconds since boot."""


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
        self.spans: list[Span] = []
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
    spans: Sequence[Span],
    faults: Sequence[Fault],
    outages: Sequence[Span],
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


def too_long(times: Mapping[str, Quantiles]) -> list[str]:
    """Say which times took longer than their bounds.

    Example:
        >>> too_long({"cancel": Quantiles(3, 0.1, 7.0)})
        ['cancel: p99 is 7.0 s, at most 5.0 s are allowed']
    """
    return [
        f"{name}: p99 is {found.p99} s, at most {BOUNDS[name]} s are allowed"
        for name, found in times.items()
        if found.p99 is not None and found.p99 > BOUNDS[name]
    ]


def recoveries(faults: Sequence[Fault], sampler: Sampler, kinds: Sequence[str]) -> list[Span]:
    """From each death by such a fault to the run's terminal state or new attempt."""
    spans: list[Span] = []
    for fault in faults:
        if fault.kind in kinds:
            for run, attempt in fault.runs:
                seen = sampler.first_after(run, fault.begin, attempt)
                if seen is not None:
                    spans.append((fault.begin, seen))
    return spans


def takeovers(faults: Sequence[Fault], sampler: Sampler, *, entire: bool = False) -> list[Span]:
    """From each death of a server until every host that was heard of before is heard again.

    Args:
        faults: The faults.
        sampler: Has heard of the hosts.
        entire: Leave out those after which a host that lives was not heard of again yet.
    """
    spans: list[Span] = []
    for fault in faults:
        if fault.kind == "kill server":
            known = {
                host: heard
                for host, heard in list(sampler.heard.items())
                if any(fault.begin - 2.0 < at <= fault.begin for at in heard)
            }
            again = {
                host: min(after)
                for host, heard in known.items()
                if (after := [at for at in heard if at > fault.begin])
            }
            missing = (known.keys() - again.keys()) & sampler.living if entire else ()
            if again and not missing:
                spans.append((fault.begin, max(again.values())))
    return spans
