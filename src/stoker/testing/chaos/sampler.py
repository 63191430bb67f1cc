"""Looks into the store all the time: when a run got where, who was heard of, what limits count."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

import msgspec

from stoker.domain.hosts import Host, HostState
from stoker.domain.states import TERMINAL, StateType
from stoker.testing.chaos.database import Database, Down
from stoker.testing.chaos.history import Sample, placed

PERIOD = 0.08
"""Seconds between two looks: how exact the times are."""

OPEN = "SELECT id, state_type, attempt FROM flow_runs WHERE ended IS NULL"
ENDED = "SELECT state_type, attempt FROM flow_runs WHERE id = '{}'"
HOSTS = "SELECT id, lease_until, record FROM hosts WHERE dead = 0"
LEASES = """
    SELECT leases.queue, flow_runs.deployment, pool_from, queue_from, deployment_from,
        leases.run_id, leases.attempt, leases.host_id, leases.worker_id, worker_from
    FROM leases JOIN flow_runs ON flow_runs.id = leases.run_id
"""


decode = msgspec.json.Decoder(Host).decode


def boot_time() -> float:
    """Seconds since boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Sampler:
    """Samples of the store, taken in a thread until it is stopped.

    Attributes:
        progress: By run: ``(boot time, state, attempt)`` when it was seen first.
        heard: By host: boot times at which its lease had been renewed.
        living: The hosts that were not dead at the last look.
        launchers: By host: the worker that was asked to launch it. Who adopts a host gets its runs
            above any limit, so that the others alone are counted.
        workers: By run and attempt, as `placed` names them: the launcher of its host.
        samples: The use of limits, as the leases tell; only where it has grown.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._leases: dict[str, float] = {}
        self._open: dict[str, tuple[str, int]] = {}
        self.progress: dict[str, list[tuple[float, StateType, int]]] = defaultdict(list)
        self.heard: dict[str, list[float]] = defaultdict(list)
        self.living: set[str] = set()
        self.launchers: dict[str, str] = {}
        self.workers: dict[str, str] = {}
        self.samples: list[Sample] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    @property
    def open_runs(self) -> int:
        """Runs that were not over at the last look."""
        return len(self._open)

    def _run(self) -> None:
        looks: tuple[Callable[[], None], ...] = (self._look_at_runs, self._look_at_hosts)
        while not self._stop.wait(PERIOD):
            for look in (*looks, self._look_at_leases):
                try:
                    look()
                except Down:
                    break

    def _look_at_runs(self) -> None:
        found = {run: (state, attempt) for run, state, attempt in self._database.rows(OPEN)}
        # Afterwards: what is found over was so by then, and maybe not when the look began.
        now = boot_time()
        for run, seen in found.items():
            if self._open.get(run) != seen:
                self.progress[run].append((now, StateType(seen[0]), seen[1]))
        for run in self._open.keys() - found.keys():
            for state, attempt in self._database.rows(ENDED.format(run)):
                self.progress[run].append((now, StateType(state), attempt))
        self._open = found

    def _look_at_hosts(self) -> None:
        now = boot_time()
        found = self._database.rows(HOSTS)
        self.living = {host for host, *_ in found}
        for host, until, record in found:
            if host not in self._leases:
                known = decode(record)
                if known.state in (HostState.REQUESTED, HostState.LAUNCHED):
                    self.launchers.setdefault(host, known.worker_id or "")
            if self._leases.get(host, 0.0) != until:
                self._leases[host] = until
                self.heard[host].append(now)

    def _look_at_leases(self) -> None:
        used: dict[str, int] = defaultdict(int)
        for queue, deployment, *more in self._database.rows(LEASES):
            pool_from, queue_from, deployment_from, run, attempt, host, worker, worker_from = more
            if self.launchers.get(host) == worker:
                self.workers[placed(run, attempt)] = worker
                used[f"worker {worker}"] += worker_from is None
            used["pool"] += pool_from is None
            used[f"queue {queue}"] += queue_from is None
            used[f"deployment {deployment}"] += deployment_from is None
        peak = self.samples[-1].used if self.samples else {}
        if any(count > peak.get(name, 0) for name, count in used.items()):
            most = {name: max(used.get(name, 0), peak.get(name, 0)) for name in {*used, *peak}}
            self.samples.append(Sample(at=boot_time(), used=most))

    def runs_in(self, state: StateType) -> set[str]:
        """Return the runs that were in a state at the last look."""
        return {run for run, (name, _) in list(self._open.items()) if name == state.value}

    def first_after(self, run: str, at: float, attempt: int) -> float | None:
        """When a run was over, or had a later attempt, first after a time."""
        for seen, state, number in list(self.progress.get(run, ())):
            if seen >= at and (
                state in TERMINAL or number > attempt or state is StateType.SCHEDULED
            ):
                return seen
        return None

    def over_since(self) -> dict[str, float]:
        """By run: when it was seen to be over first."""
        return {
            run: min(at for at, state, _ in seen if state in TERMINAL)
            for run, seen in self.progress.items()
            if any(state in TERMINAL for _, state, _ in seen)
        }
