"""One session: start, break, let it come to rest, check."""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from stoker.testing.chaos import timing
from stoker.testing.chaos.checker import check
from stoker.testing.chaos.cluster import INTERVAL, LIMITS, WORKER_LIMIT, Cluster
from stoker.testing.chaos.database import Database, Down
from stoker.testing.chaos.faults import Breaker, Fault
from stoker.testing.chaos.gathering import gather, left_in_store, open_runs
from stoker.testing.chaos.history import History, Violation, instants
from stoker.testing.chaos.ledger import LedgerReader
from stoker.testing.chaos.load import Load
from stoker.testing.chaos.sampler import Sampler
from stoker.testing.chaos.singles import Singles, rounds
from stoker.testing.chaos.timing import Quantiles, TreeWatch
from stoker.testing.chaos.victims import victims
from stoker.testing.processes import Process, await_ends, table

WARMING = 20.0
"""Seconds that the first run gets to end, before anything is broken."""

AFTERWARDS = 3.0
"""Seconds for which the load goes on after the last fault."""

REST = 90.0
"""Seconds in which all runs are over after everything was mended."""

CATCHING_UP = 20.0
"""Seconds in which the schedule has brought all that was due, after everything was mended."""

LAST = 5.0
"""Seconds in which processes end of themselves."""

STEP = 0.02
"""Seconds between two looks of the main loop."""


def say(text: str) -> None:
    """Tell people on standard error."""
    sys.stderr.write(f"chaos: {text}\n")


class Order(Struct, kw_only=True):
    """What a session shall do.

    Attributes:
        folder: Where everything is that it writes.
        database: Makes the database, given the first server's home.
        servers: How many servers there are.
        faults: How many faults there are.
        seed: Decides everything that can be decided.
        pace: Seconds from one fault to the next, in the mean.
        broken: Rules that the servers break, with commas; see `stoker.testing.chaos.broken`.
        prepare: Adds faults of the database's own.
    """

    folder: Path
    database: Callable[[Path], Database]
    servers: int
    faults: int
    seed: int
    pace: float = 0.8
    broken: str = ""
    prepare: Callable[[Breaker], None] | None = None


class Outcome(Struct, kw_only=True):
    """What came of it; what is printed.

    Attributes:
        seed: The seed.
        faults: How many faults there were.
        runs: How many runs were stored.
        violations: What was broken that must hold.
        kinds: How often there was which fault.
        states: How often a run ended how, by deployment.
        process_death: Seconds from a process's death to its run's end or new attempt.
        host_death: The same of a host that its worker proves dead.
        server_takeover: Seconds from a server's death until all hosts are heard of again.
        cancel: Seconds from an acknowledged cancellation until the tree is dead.
        bounds_broken: Times whose 99th percentile is above its bound, in words: no violation, since
            a machine may be slow. See `stoker.testing.chaos.timing.BOUNDS`.
        seconds: What all of it took.
        folder: Where everything is, if there are violations.
    """

    seed: int
    faults: int
    runs: int
    violations: list[Violation]
    kinds: dict[str, int]
    states: dict[str, dict[str, int]]
    process_death: Quantiles
    host_death: Quantiles
    server_takeover: Quantiles
    cancel: Quantiles
    bounds_broken: list[str]
    seconds: float
    folder: str = ""


class Session:
    """See the module.

    Args:
        order: What to do.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._choose = random.Random(f"{order.seed}-faults")
        self._cluster = Cluster(
            order.folder,
            order.database,
            servers=order.servers,
            workers=3,
            choose=random.Random(f"{order.seed}-pauses"),
            broken=order.broken,
        )
        self._ledger = LedgerReader(self._cluster.ledger)
        self._sampler = Sampler(self._cluster.database)
        self._trees = TreeWatch()
        self._active_until = 0.0
        self._load = Load(self._cluster, self._sampler, order.seed, self._watch_tree)
        self._breaker = Breaker(self._cluster, self._ledger, self._choose)
        if order.prepare is not None:
            order.prepare(self._breaker)

    def run(self) -> Outcome:
        """Do all of it."""
        begin = time.monotonic()
        self._cluster.start()
        self._sampler.start()
        self._load.start()
        self._await("the first runs end", WARMING, lambda: "COMPLETED" in self._states())
        self._break_singly()
        self._break()
        left = self._come_to_rest()
        history = self._history()
        self._write(history)
        self._sampler.stop()
        left += self._cluster.stop(LAST)
        history.left += [f"process {one.pid}: {one.command}" for one in left]
        violations = check(history) + self._load.surprises
        return self._outcome(history, violations, time.monotonic() - begin)

    def _states(self) -> set[str]:
        try:
            found = self._cluster.database.rows("SELECT DISTINCT state_type FROM flow_runs")
        except Down:
            return set()
        return {state for (state,) in found}

    def _await(self, what: str, seconds: float, reached: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                say(f"not within {seconds:g} s: {what}")
                return False
            self._step()
        return True

    def _step(self) -> None:
        self._breaker.mend()
        self._cluster.supervise()
        time.sleep(STEP)

    def _break_singly(self) -> None:
        """Break one thing after the other, and let each be overcome; they count as faults, too."""
        singles = Singles(
            self._breaker, self._ledger, self._sampler, self._trees, self._choose, self._step
        )
        self._load.holder.calm.set()
        for fault in singles.run(rounds(self._order.faults)):
            spans = timing.recoveries([fault], self._sampler, [fault.kind])
            spans += timing.takeovers([fault], self._sampler)
            took = ", ".join(f"{end - begin:.2f} s" for begin, end in spans) or "unknown"
            say(f"{fault.begin:.2f} {fault.kind}, alone: {fault.target}; until it went on: {took}")
        self._load.holder.calm.clear()

    def _break(self) -> None:
        pause = self._order.pace
        for _ in range(self._order.faults - len(self._breaker.done)):
            due = time.monotonic() + min(4 * pause, self._choose.expovariate(1 / pause))
            while time.monotonic() < due:
                self._step()
            fault = self._breaker.strike()
            say(f"{fault.begin:.2f} {fault.kind}: {fault.target}")

        # What was broken last has its consequences under load, too.
        until = time.monotonic() + AFTERWARDS
        while time.monotonic() < until:
            self._step()

    def _come_to_rest(self) -> list[Process]:
        """Mend everything, and wait until all is over; return what is left of runs' processes."""
        self._breaker.mend(everything=True)
        for member in self._cluster.members:
            for point in member.crash_points.iterdir():
                point.unlink()
        self._cluster.clock.set(0)
        self._load.stop()
        self._await("all is up", REST, self._all_up)
        self._active_until = self._due_last()
        self._await("the schedule has caught up", CATCHING_UP, self._caught_up)
        self._await("the schedule is paused", REST, self._cluster.pause_schedule)
        self._await("all runs are over", REST, self._all_over)
        left = await_ends(self._users_processes(), LAST)
        self._trees.join()
        return left

    def _due_last(self) -> float:
        """The last instant of the schedule that is due by now."""
        first = self._cluster.scheduled_from
        return first + (time.time() - first) // INTERVAL * INTERVAL

    def _caught_up(self) -> bool:
        query = f"SELECT count(*) FROM flow_runs WHERE instant = {self._active_until}"
        try:
            return self._cluster.database.rows(query)[0][0] > 0
        except Down:
            return False

    def _all_over(self) -> bool:
        try:
            left = open_runs(self._cluster.database)
            self._load.cancel_endless(left)
            return not left and not left_in_store(self._cluster.database)
        except Down:
            return False

    def _all_up(self) -> bool:
        return all(member.running for member in self._cluster.members)

    def _users_processes(self) -> list[Process]:
        """What executes or has executed flows, and what those have started."""
        self._ledger.read()
        known = table()
        wrote = {
            pid
            for pid, started in self._ledger.processes
            if pid in known and known[pid][0].started == started
        }
        helpers = {one.pid for one in self._cluster.processes("sleep 3600")}
        return [known[pid][0] for pid in (wrote | helpers) & known.keys()]

    def _watch_tree(self, run_id: str) -> Callable[[], None]:
        """Return what watches the end of a run's processes from then on."""
        found = victims(self._cluster, self._ledger)
        known = table()
        trees = [
            [known[one][0] for one in found.below(pid) if one in known]
            for pid, entry in self._ledger.executing().items()
            if entry.run == run_id and pid in known and known[pid][0].started == entry.started
        ]
        return lambda: self._trees.watch([one for tree in trees for one in tree])

    def _history(self) -> History:
        self._ledger.read()
        history = History(
            ledger=self._ledger.entries,
            submissions=self._load.submissions,
            cancels=self._load.cancels,
            held=self._load.holder.held,
            resumed=self._load.holder.resumed,
            stills=self._load.holder.stills,
            registers=self._load.registers,
            crash_retries=self._cluster.crash_retries,
            limits={
                **LIMITS,
                **{f"worker {one}": WORKER_LIMIT for one in self._sampler.launchers.values()},
            },
            workers=self._sampler.workers,
            samples=self._sampler.samples,
            over_since=self._sampler.over_since(),
        )
        gather(self._cluster.database, history)
        schedule = self._cluster.schedule_id
        fired = history.fired.get(schedule, [])
        first = self._cluster.scheduled_from
        history.occurrences[schedule] = instants(first, INTERVAL, self._active_until, fired)
        return history

    def _write(self, history: History) -> None:
        """Keep what the checker was given, so that it can be asked again."""
        import msgspec

        (self._order.folder / "history.json").write_bytes(msgspec.json.encode(history))

    def _outcome(self, history: History, violations: list[Violation], seconds: float) -> Outcome:
        faults = self._breaker.done
        outages = [outage for member in self._cluster.members for outage in member.outages]
        states: dict[str, Counter[str]] = {}
        for run in history.runs.values():
            states.setdefault(run.deployment, Counter())[run.state.value] += 1

        alone = [one for one in faults if one.alone]
        others = [one for one in faults if not one.alone]

        def measured(spans: list[timing.Span]) -> list[float]:
            return timing.undisturbed(spans, faults, outages)

        def recovered(*kinds: str) -> Quantiles:
            return of_all(lambda some: timing.recoveries(some, self._sampler, kinds))

        def of_all(spans_of: Callable[[list[Fault]], list[timing.Span]]) -> Quantiles:
            """Of single faults all count, of others those that nothing disturbed."""
            single = [end - begin for begin, end in spans_of(alone)]
            return timing.quantiles(single + measured(spans_of(others)))

        times = {
            "process_death": recovered("kill busy child", "kill zygote"),
            "host_death": recovered("kill agent", "kill agent and worker"),
            "server_takeover": of_all(lambda some: timing.takeovers(some, self._sampler)),
            "cancel": timing.quantiles(measured(self._trees.spans)),
        }

        return Outcome(
            seed=self._order.seed,
            faults=len(faults),
            runs=len(history.runs),
            violations=violations,
            kinds=dict(sorted(Counter(fault.kind for fault in faults).items())),
            states={name: dict(found) for name, found in sorted(states.items())},
            **times,
            bounds_broken=timing.too_long(times),
            seconds=round(seconds, 1),
            folder=str(self._order.folder) if violations else "",
        )
