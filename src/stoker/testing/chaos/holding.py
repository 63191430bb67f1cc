"""Pauses and suspensions of running runs, each of which goes on after a while."""

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from stoker.client.http import Api
from stoker.domain.errors import Conflict, StokerError, Unavailable
from stoker.testing.chaos.history import Still
from stoker.testing.chaos.sampler import boot_time

PERIOD = 0.3
"""Seconds from one to the next, in the mean."""

OFFERED = 60
"""Runs of which one is chosen: the last ones."""

QUEUED = 0.1
"""Chance that a run is held that may not execute yet."""

SUSPENDING = 5.0
"""Seconds in which a run is seen to be suspended, or counts as never seen so."""


class Holder:
    """A thread that holds runs up. Each run is held once: what becomes of an order whose answer was
    lost is not known, and it may come late.

    Args:
        api: Gives a client of one server or another.
        running: Gives the runs that execute now.
        stop: Ends it.
        seed: Decides what it does.
        surprise: Is told of answers that nobody should get.

    Attributes:
        calm: While it is set, nothing is held up anew.
        held: Runs whose pause or suspension was acknowledged.
        resumed: By run: how often it was acknowledged that it goes on.
        stills: When runs were seen to be suspended.
    """

    def __init__(
        self,
        api: Callable[[random.Random], Api],
        running: Callable[[], set[str]],
        stop: threading.Event,
        seed: int,
        surprise: Callable[[str, StokerError], None],
    ) -> None:
        self._api = api
        self._running = running
        self._stop = stop
        self._surprise = surprise
        self._choose = random.Random(f"{seed}-hold")
        self._offered: deque[str] = deque(maxlen=OFFERED)
        self.calm = threading.Event()
        self.held: set[str] = set()
        self.resumed: dict[str, int] = {}
        self.stills: list[Still] = []

    def offer(self, run_id: str, parameters: Mapping[str, object]) -> None:
        """Have it know a run, which it may hold up if it is long enough."""
        if parameters.get("seconds", 600.0) != 0.0:
            self._offered.append(run_id)

    def run(self) -> None:
        """Hold runs up until it is ended."""
        while not self._stop.wait(self._choose.expovariate(1 / PERIOD)):
            run_id = None if self.calm.is_set() else self._chosen()
            if run_id is not None:
                with suppress(ValueError):
                    self._offered.remove(run_id)
                self._hold(run_id)

    def _chosen(self) -> str | None:
        offered = list(self._offered)
        if self._choose.random() >= QUEUED:
            running = self._running()
            offered = [run_id for run_id in offered if run_id in running]
        return self._choose.choice(offered) if offered else None

    def _hold(self, run_id: str) -> None:
        suspend = self._choose.random() < 0.5
        api = self._api(self._choose)
        try:
            (api.suspend_run if suspend else api.pause_run)(run_id, 600.0)
        except Conflict:
            # It does not run yet, or is over.
            return
        except Unavailable:
            # It may be held, or be so later.
            suspend = False
        except StokerError as error:
            self._surprise(f"hold {run_id}", error)
            return
        else:
            self.held.add(run_id)
        begin = self._await_suspended(run_id) if suspend else None
        self._stop.wait(self._choose.uniform(0.1, 1.0))
        end = boot_time()
        if begin is not None:
            self.stills.append(Still(run=run_id, begin=begin, end=end))
        self._resume(run_id)

    def _await_suspended(self, run_id: str) -> float | None:
        """Return when it was seen to be suspended; None where it was not."""
        deadline = boot_time() + SUSPENDING
        while boot_time() < deadline and not self._stop.wait(0.05):
            try:
                state = self._api(self._choose).run(run_id).state
            except Unavailable:
                continue
            except StokerError as error:
                self._surprise(f"look at {run_id}", error)
                return None
            if state.name == "Suspended":
                return boot_time()
            if state.is_terminal:
                return None
        return None

    def _resume(self, run_id: str) -> None:
        while not self._stop.is_set():
            try:
                self._api(self._choose).resume_run(run_id)
            except Unavailable:
                self._stop.wait(0.1)
            except Conflict:
                return
            except StokerError as error:
                self._surprise(f"resume {run_id}", error)
                return
            else:
                self.resumed[run_id] = self.resumed.get(run_id, 0) + 1
                return
