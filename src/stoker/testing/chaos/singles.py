"""Single faults: each alone, so that the time until it is overcome is that of nothing else."""

import random
import time
from collections.abc import Callable

from stoker.domain.states import StateType
from stoker.testing.chaos.cluster import Cluster
from stoker.testing.chaos.faults import Breaker, Fault, Runs
from stoker.testing.chaos.ledger import LedgerReader
from stoker.testing.chaos.sampler import Sampler
from stoker.testing.chaos.timing import TreeWatch, recoveries, takeovers
from stoker.testing.chaos.victims import victims
from stoker.testing.processes import Process

KINDS = ("busy child", "zygote", "agent", "agent and worker", "server")
"""Who is killed."""

ROUND = 50
"""Faults of a session for one round of single ones."""

MOST = 20
"""Rounds at the most."""

LEAST = 20
"""Faults below which a session has no single ones."""

CALM = 1.0
"""Seconds without any trouble before a fault."""

FINDING = 10.0
"""Seconds in which a victim that executes something is found; otherwise there is none."""

OVERCOME = 30.0
"""Seconds for which it is awaited that a fault is overcome."""


def rounds(faults: int) -> int:
    """Return how often each kind of single fault comes in a session of so many faults.

    Example:
        >>> [rounds(count) for count in (3, 30, 300, 1000)]
        [0, 1, 6, 20]
    """
    return 0 if faults < LEAST else max(1, min(MOST, faults // ROUND))


class Singles:
    """Breaks one thing after the other.

    Args:
        breaker: Breaks them.
        ledger: Tells which runs execute where.
        sampler: Tells when they went on.
        trees: Has the times of cancellations, of which some are awaited.
        choose: Decides.
        step: Keeps everything up, and takes a moment.
    """

    def __init__(
        self,
        breaker: Breaker,
        ledger: LedgerReader,
        sampler: Sampler,
        trees: TreeWatch,
        choose: random.Random,
        step: Callable[[], None],
    ) -> None:
        self._breaker = breaker
        self._cluster: Cluster = breaker.cluster
        self._ledger = ledger
        self._sampler = sampler
        self._trees = trees
        self._choose = choose
        self._step = step

    def run(self, count: int) -> list[Fault]:
        """Break everything so often; return what was broken."""
        cancelled = len(self._trees.spans)
        done: list[Fault] = []
        for kind in self._choose.sample(KINDS * count, len(KINDS) * count):
            fault = self._one(kind)
            if fault is not None:
                done.append(fault)
                self._await(OVERCOME, lambda one=fault: self._overcome(one))
        self._await(FINDING, lambda: len(self._trees.spans) >= cancelled + count)
        return done

    def _await(self, seconds: float, reached: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                return False
            self._step()
        return True

    def _one(self, kind: str) -> Fault | None:
        calm_since = time.monotonic()

        def calm() -> bool:
            nonlocal calm_since
            if not all(member.running for member in self._cluster.members):
                calm_since = time.monotonic()
            return time.monotonic() - calm_since > CALM

        self._await(OVERCOME, calm)
        deadline = time.monotonic() + FINDING
        while time.monotonic() < deadline:
            found = self._find(kind)
            if found is not None:
                return self._breaker.kill_alone(kind, *found)
            self._step()
        return None

    def _find(self, kind: str) -> tuple[list[Process], Runs] | None:
        """Find a victim that executes something, and what that is."""
        found = victims(self._cluster, self._ledger)
        several = sorted(found.by_kind[kind.removesuffix(" and worker")])
        self._choose.shuffle(several)
        if kind == "server":
            return several[:1], []
        running = self._sampler.runs_in(StateType.RUNNING)
        executing = self._ledger.executing()
        for process in several:
            below = found.below(process.pid)
            runs = [
                (one.run, one.attempt)
                for pid, one in executing.items()
                if pid in below and one.run in running
            ]
            if runs:
                own = [
                    one for one in found.by_kind["worker"] if process.pid in found.below(one.pid)
                ]
                return [*(own if kind.endswith("and worker") else []), process], runs
        return None

    def _overcome(self, fault: Fault) -> bool:
        if fault.runs:
            return len(recoveries([fault], self._sampler, [fault.kind])) == len(fault.runs)
        return bool(takeovers([fault], self._sampler, entire=True))
