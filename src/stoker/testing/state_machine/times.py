"""Steps of time, and of the loops that look at it."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from stoker.services.fleet.sweeping import SweepRules, sweep
from stoker.services.runs.lateness import mark_late
from stoker.services.runs.promoting import promote
from stoker.services.unit import Unit
from stoker.testing.state_machine.scene import HOSTS, WORKERS


class TimeSteps:
    """What happens by itself. Mixed into the machine."""

    now: float
    same: Callable[[Callable[[Unit], Any]], dict[str, Any]]

    @rule(seconds=st.sampled_from([1.0, 31.0, 700.0]))
    def advance_clock(self, seconds: float) -> None:
        """Time passes; what is due is promoted, pauses end."""
        self.now += seconds
        self.same(promote)

    @rule()
    def sweep(self) -> None:
        """Find hosts that are silent, those that are fenced, and runs that are late."""
        rules = SweepRules(
            up_since=0.0,
            lease=30.0,
            launch_timeout=60.0,
            workers=[worker.id for worker in WORKERS],
            asked=HOSTS,
            is_dead=lambda _: None,
        )
        self.same(lambda unit: [host.id for host in sweep(unit, rules)])
        self.same(lambda unit: len(mark_late(unit, 20.0)))
