"""Soak: many runs of all kinds on one host, and what has grown after them.

Latency (one run at a time), memory and descriptors of the server, the agent and a zygote are
measured after a warm-up, and again after the load. ``--n`` is in seconds. A run that does not end
as its kind must ends the benchmark with an error.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from support import memory
from support.report import Options, Row, benchmark
from support.stack import POOL, PROJECT, settle, stack

from stoker import run_deployment
from stoker.domain.pools import WarmKnobs
from stoker.domain.requests import StartRun
from stoker.testing import Harness

ENDS = {
    "quick": "Completed",
    "chatty": "Completed",
    "tasks": "Completed",
    "waits": "Completed",
    "untidy": "Completed",
    "fails": "Failed",
    "dies": "Crashed",
}
"""How each kind of run must end."""

LOT = 8
"""Runs of each kind that are submitted together."""
SAMPLES = 100
"""Starts whose latency is measured, before and after."""
KNOBS = WarmKnobs(min=1, max=1, slots_per_host=8)


def measure(options: Options) -> Iterator[Row]:
    """Load a Stoker for a while, and compare."""
    with stack(KNOBS) as running:
        deployed = running.deploy(PROJECT / "soak.py", name=POOL, pool=POOL, project=PROJECT)
        names = {function: one.full_name for function, one in deployed.items()}
        for _ in range(max(1, options.warmup)):
            lot(running, names)
        samples = min(SAMPLES, 10 * options.n)
        yield Row("stoker", "soak_hot_start_before", "ms", latency(names["quick"], samples))
        before = weigh(running)
        runs, started = 0, time.monotonic()
        while time.monotonic() - started < options.n:
            runs += lot(running, names)
        seconds = time.monotonic() - started
        yield Row("stoker", "soak_hot_start_after", "ms", latency(names["quick"], samples))
        after = weigh(running)
    yield Row("stoker", "soak_runs", "runs", value=runs)
    yield Row("stoker", "soak_rate", "runs/s", value=runs / seconds)
    for name, unit in (("pss", "MB"), ("files", "descriptors")):
        for part in before:
            yield Row("stoker", f"soak_{part}_{name}_before", unit, value=before[part][name])
            yield Row("stoker", f"soak_{part}_{name}_after", unit, value=after[part][name])


def lot(running: Harness, names: dict[str, str]) -> int:
    """Run some of each kind at once, and return how many runs that were."""
    kinds = [kind for kind in ENDS for _ in range(LOT)]
    ids = running.api.start_runs([StartRun(deployment=names[kind]) for kind in kinds])
    for run_id, kind in zip(ids, kinds, strict=True):
        state = running.api.wait_run(run_id).state
        if state.name != ENDS[kind]:
            raise RuntimeError(f"a run of {kind!r} ended {state.name}: {state.message}")
    return len(ids) + LOT  # those that others have waited for


def latency(deployment: str, samples: int) -> list[float]:
    """Milliseconds from the submission to the first line, of one run after the other."""
    found: list[float] = []
    for _ in range(samples):
        started = time.monotonic_ns()
        found.append((run_deployment(deployment, timeout=0).wait().result() - started) / 1e6)
    return found


def weigh(running: Harness) -> dict[str, dict[str, float]]:
    """Return memory and descriptors of the server, and of the host's agent and zygote."""
    settle(running)
    assert running.server is not None
    (host,) = running.api.pool(POOL).hosts
    assert host.process is not None
    (zygote,) = memory.children(host.process.pid)
    parts = {"server": running.server.pid, "agent": host.process.pid, "zygote": zygote}
    return {
        part: {"pss": memory.pss_mb([pid]), "files": len(list(Path(f"/proc/{pid}/fd").iterdir()))}
        for part, pid in parts.items()
    }


if __name__ == "__main__":
    benchmark(measure, __doc__, n=600, warmup=10, counts="seconds of load", limit=1200)
