"""The faults: what is broken, for how long, and how it is mended."""

import random
import signal
from collections.abc import Callable, Sequence

from msgspec import Struct

from stoker.testing.chaos.cluster import FENCE, Cluster, Member
from stoker.testing.chaos.ledger import LedgerReader
from stoker.testing.chaos.proxy import Proxy
from stoker.testing.chaos.sampler import boot_time
from stoker.testing.chaos.victims import KINDS, victims
from stoker.testing.processes import Process

LONG = 1.5
"""Seconds above which only one process at a time is stopped, or one proxy: a host of which several
are stopped beyond the fence has nobody left who could end it (docs/decisions/0021)."""


Runs = list[tuple[str, int]]
"""Runs and their attempts."""


class Fault(Struct, kw_only=True):
    """One fault.

    Attributes:
        kind: What was done, for example ``"kill zygote"``.
        target: To whom, for people.
        begin: Seconds since boot.
        until: When it is mended; ``begin`` for what takes no time.
        runs: ``(run, attempt)`` of the executing calls that it has ended.
        mend: What ends it; None for what ends by itself.
        alone: Whether nothing else was broken before it and until it was overcome.
    """

    kind: str
    target: str
    begin: float
    until: float
    runs: Runs
    mend: Callable[[], None] | None = None
    alone: bool = False


class Breaker:
    """Breaks a cluster, as a seed says.

    Args:
        cluster: The cluster.
        ledger: Tells which runs execute where.
        choose: Decides.

    Attributes:
        done: All faults so far.
    """

    def __init__(self, cluster: Cluster, ledger: LedgerReader, choose: random.Random) -> None:
        self.cluster = cluster
        self.ledger = ledger
        self.choose = choose
        self.done: list[Fault] = []
        self._active: list[Fault] = []
        self._ways: list[tuple[int, Callable[[], Fault | None]]] = [
            (30, self._kill),
            (18, self._stop),
            (10, self._crash_point),
            (10, self._connections),
            (5, self._full_disk),
            (5, self._clock),
            (4, self._restart),
            (2, self._kill_many),
        ]

    def add(self, weight: int, way: Callable[[], Fault | None]) -> None:
        """Add a way to break it, to be chosen with a weight."""
        self._ways.append((weight, way))

    def strike(self) -> Fault:
        """Break something."""
        weights, ways = zip(*self._ways, strict=True)
        while True:
            (way,) = self.choose.choices(ways, weights)
            fault = way()
            if fault is not None:
                return self._begun(fault)

    def _begun(self, fault: Fault) -> Fault:
        self.done.append(fault)
        if fault.mend is not None:
            self._active.append(fault)
        return fault

    def kill_alone(self, kind: str, processes: Sequence[Process], runs: Runs) -> Fault:
        """Kill processes that execute these runs, where nothing else is broken."""
        fault = self.fault(f"kill {kind}", ", ".join(map(_shown, processes)))
        fault.runs, fault.alone = runs, True
        for process in processes:
            process.send(signal.SIGKILL)
        return self._begun(fault)

    def mend(self, *, everything: bool = False) -> None:
        """Mend what is due."""
        for fault in list(self._active):
            if everything or fault.until <= boot_time():
                self._active.remove(fault)
                fault.until = boot_time()
                assert fault.mend is not None
                fault.mend()

    def seconds(self, most: float) -> float:
        """How long something lasts: mostly short."""
        longest = most if not self._is_long(most) else LONG
        return min(longest, self.choose.expovariate(2.0) + self.choose.random() * most / 4)

    def _is_long(self, most: float) -> bool:
        """Whether something is that may last too long for another to do so, too."""
        now = boot_time()
        return most > LONG and any(
            fault.until - fault.begin > LONG and fault.until > now for fault in self._active
        )

    def fault(
        self, kind: str, target: str, seconds: float = 0.0, mend: Callable[[], None] | None = None
    ) -> Fault:
        """Make the record of a fault that begins now."""
        now = boot_time()
        return Fault(kind=kind, target=target, begin=now, until=now + seconds, runs=[], mend=mend)

    # Processes

    def _victim(self) -> tuple[str, Process, set[int]] | None:
        found = victims(self.cluster, self.ledger)
        (kind,) = self.choose.choices(list(KINDS), list(KINDS.values()))
        if not found.by_kind[kind]:
            return None
        process = self.choose.choice(sorted(found.by_kind[kind]))
        return kind, process, found.below(process.pid)

    def _kill(self) -> Fault | None:
        chosen = self._victim()
        if chosen is None:
            return None
        kind, process, below = chosen
        fault = self.fault(f"kill {kind}", _shown(process))
        if kind not in ("server", "worker"):
            executing = self.ledger.executing()
            fault.runs = [(one.run, one.attempt) for pid, one in executing.items() if pid in below]
        process.send(signal.SIGKILL)
        return fault

    def _kill_many(self) -> Fault | None:
        """Kill all of several kinds at once: a machine's processes do not end one by one."""
        found = victims(self.cluster, self.ledger)
        kinds = self.choose.sample(list(KINDS), self.choose.randint(2, 4))
        several = [one for kind in kinds for one in found.by_kind[kind]]
        if not several:
            return None
        fault = self.fault("kill all", ", ".join(kinds))
        for process in several:
            process.send(signal.SIGKILL)
        return fault

    def _stop(self) -> Fault | None:
        chosen = self._victim()
        if chosen is None:
            return None
        kind, process, _ = chosen
        seconds = self.seconds(FENCE + 2.0 if self.choose.random() < 0.1 else 5.0)
        process.send(signal.SIGSTOP)
        return self.fault(
            f"stop {kind}", _shown(process), seconds, lambda: process.send(signal.SIGCONT)
        )

    def _crash_point(self) -> Fault | None:
        point = self.choose.choice(
            [
                "commit.before",
                "commit.after",
                "commit.before",
                "commit.after",
                "migration.before",
                "migration.after",
                "spool.before",
                "spool.after",
            ]
        )
        members = self.cluster.workers if point.startswith("spool") else self.cluster.servers
        member = self.choose.choice(members)
        (member.crash_points / point).write_text(str(self.choose.choice([1, 1, 2, 5])))
        if point.startswith("migration"):
            # It is reached at the next start.
            self._kill_member(member)
        return self.fault(f"crash at {point}", member.name)

    def _kill_member(self, member: Member) -> None:
        process = member.process
        if process is not None:
            process.send(signal.SIGKILL)

    def _restart(self) -> Fault | None:
        member = self.choose.choice(self.cluster.members)
        process = member.process
        if process is None:
            return None
        process.send(signal.SIGTERM)
        return self.fault("restart", member.name)

    # What they work with

    def _connections(self) -> Fault | None:
        number = self.choose.randrange(len(self.cluster.proxies))
        return self.break_proxy(f"server-{number}", self.cluster.proxies[number])

    def break_proxy(self, name: str, proxy: Proxy) -> Fault:
        """Break the connections through a proxy in one way or another."""
        way = self.choose.choice(["cut", "refuse", "stall", "half_close"])
        getattr(proxy, way)()
        seconds = 0.0
        if way in ("refuse", "stall"):
            seconds = self.seconds(FENCE + 2.0 if self.choose.random() < 0.1 else 4.0)
        return self.fault(f"connections: {way}", name, seconds, proxy.heal)

    def _full_disk(self) -> Fault | None:
        self.cluster.disk.fill()
        return self.fault("full disk", "homes", self.seconds(3.0), self.cluster.disk.free)

    def _clock(self) -> Fault | None:
        seconds = self.choose.choice([-1, 1]) * self.choose.randint(1, 120)
        self.cluster.clock.set(seconds)
        return self.fault("set the clock", f"{seconds:+} s")


def _shown(process: Process) -> str:
    return f"pid {process.pid}"
