"""The load: a seeded stream of runs, cancellations and other writes, with what was acknowledged."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from stoker.client.http import Api
from stoker.domain.errors import Conflict, StokerError, Unavailable
from stoker.domain.requests import StartRun
from stoker.domain.states import StateType
from stoker.testing.chaos.cluster import REGISTERS, Cluster
from stoker.testing.chaos.gathering import OpenRun
from stoker.testing.chaos.history import Register, Submission, Violation
from stoker.testing.chaos.holding import Holder
from stoker.testing.chaos.sampler import Sampler
from stoker.wire.http import QueuePut

KINDS = {
    "succeed/chaos": 30,
    "succeed/narrow": 20,
    "succeed/single": 6,
    "succeed/turned-away": 4,
    "fail/chaos": 8,
    "retry/chaos": 10,
    "share/chaos": 16,
    "many-tasks/chaos": 8,
    "many-tasks/narrow": 4,
    "fan-out/chaos": 10,
    "linger/chaos": 18,
    "succeed/again": 14,
    "share/again": 6,
    "linger/again": 4,
}
"""Deployments and how often they are run."""

MOST_OPEN = 30
"""Runs that are open at a time before the load waits."""

LINGERING = frozenset({"linger/chaos", "linger/again"})
"""Deployments whose runs go on until they are cancelled."""

GIVING_UP = 0.05
"""Chance that an unanswered submission is not repeated."""


class Load:
    """Threads that submit, cancel and write until they are stopped.

    Args:
        cluster: What they work on.
        sampler: Tells how many runs are open.
        seed: Decides what they do.
        watch: Called with a run that is about to be cancelled; what it returns is called when
            that was acknowledged.

    Attributes:
        submissions: Everything that was asked for.
        cancels: Runs whose cancellation was acknowledged.
        registers: Values that were written.
        holder: Pauses and suspends runs.
        surprises: Answers that nobody should get.
    """

    def __init__(
        self,
        cluster: Cluster,
        sampler: Sampler,
        seed: int,
        watch: Callable[[str], Callable[[], None]],
    ) -> None:
        self._cluster = cluster
        self._sampler = sampler
        self._watch = watch
        self._stop = threading.Event()
        self._seed = seed
        self._due: list[tuple[float, str]] = []
        self._settled: set[str] = set()
        self.submissions: list[Submission] = []
        self.cancels: set[str] = set()
        self.registers: dict[str, Register] = {}
        self.surprises: list[Violation] = []
        self.holder = Holder(self._api, self._executing, self._stop, seed, self._surprise)
        loops = (self._submit, self._submit, self._cancel, self._write, self._hold)
        self._threads = [
            threading.Thread(target=loop, args=(number,), name=f"load-{number}", daemon=True)
            for number, loop in enumerate(loops)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def cancel_endless(self, runs: list[OpenRun]) -> None:
        """Cancel those runs that would go on for ever, as far as they are not cancelled yet.

        All others have to end by themselves: they would hide that something hangs.
        """
        choose = random.Random(self._seed)
        endless = {
            run.id for run in runs if run.deployment in LINGERING or run.state == StateType.PAUSED
        }
        for run_id in endless - self._settled:
            if self._try_to_cancel(choose, run_id):
                self._settled.add(run_id)

    def _api(self, choose: random.Random) -> Api:
        return choose.choice(self._cluster.apis)

    def _executing(self) -> set[str]:
        return self._sampler.runs_in(StateType.RUNNING)

    def _surprise(self, what: str, error: StokerError) -> None:
        self.surprises.append(
            Violation(
                rule="a request was answered with an error that is nobody's fault",
                evidence={"request": what, "error": f"{type(error).__name__}: {error}"},
            )
        )

    def _submit(self, number: int) -> None:
        choose = random.Random(f"{self._seed}-submit-{number}")
        count = 0
        while not self._stop.wait(choose.expovariate(4.0)):
            if self._sampler.open_runs >= MOST_OPEN:
                continue
            for _ in range(choose.randint(1, 5)):
                count += 1
                name = f"{self._seed}-{number}-{count}"
                submission = Submission(key=f"key-{name}", token=f"token-{name}")
                self.submissions.append(submission)
                (kind,) = choose.choices(list(KINDS), list(KINDS.values()))
                self._start(choose, submission, kind)

    def _start(self, choose: random.Random, submission: Submission, kind: str) -> None:
        seconds = choose.choice([0.0, 0.05, 0.3, 0.6, 2.0])
        parameters: dict[str, object] = {"token": submission.token}
        if kind not in LINGERING:
            parameters["seconds"] = seconds
        request = StartRun(
            deployment=kind, parameters=parameters, idempotency_key=submission.key, timeout=0
        )
        while not self._stop.is_set():
            try:
                run = self._api(choose).start_run(request)
            except Unavailable:
                if choose.random() < GIVING_UP:
                    return
                self._stop.wait(0.1)
            except StokerError as error:
                self._surprise(f"submit {kind}", error)
                return
            else:
                submission.run_id = run.id
                self.holder.offer(run.id, parameters)
                if kind in LINGERING or choose.random() < 0.1:
                    due = time.monotonic() + choose.uniform(0.0, 4.0)
                    self._due.append((due, run.id))
                return

    def _cancel(self, number: int) -> None:
        choose = random.Random(f"{self._seed}-cancel-{number}")
        while not self._stop.wait(0.02):
            now = time.monotonic()
            for due, run_id in list(self._due):
                if due <= now and self._try_to_cancel(choose, run_id):
                    self._due.remove((due, run_id))

    def _try_to_cancel(self, choose: random.Random, run_id: str) -> bool:
        acknowledged = self._watch(run_id)
        try:
            self._api(choose).cancel_run(run_id)
        except Unavailable:
            return False
        except Conflict:
            return True
        except StokerError as error:
            self._surprise(f"cancel {run_id}", error)
            return True
        self.cancels.add(run_id)
        acknowledged()
        return True

    def _hold(self, _: int) -> None:
        self.holder.run()

    def _write(self, number: int) -> None:
        """Write larger and larger numbers.

        Where it does not hear what became of one, it goes on with another register: the request
        may still be on its way, and would set the first one back.
        """
        choose = random.Random(f"{self._seed}-write-{number}")
        name, register = "", Register()
        while not self._stop.wait(0.1):
            if register.asked != register.acknowledged or not name:
                name, register = f"r{len(self.registers)}", Register()
                self.registers[name] = register
            register.asked += 1
            with suppress(Unavailable):
                try:
                    queue = QueuePut(concurrency_limit=register.asked)
                    self._api(choose).put_queue(REGISTERS, name, queue)
                    register.acknowledged = register.asked
                except Unavailable:
                    raise
                except StokerError as error:
                    self._surprise(f"write {name}", error)
