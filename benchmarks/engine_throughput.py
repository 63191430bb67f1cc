"""Engine throughput: runs per second through submit, claim, start and finish.

The hosts are simulated (`support/fleet.py`): they speak the real host socket, but execute
nothing. So this is what the server, the store and the sockets can do, with the simulator, the
client and the database on the same cores. Runs are submitted in batches over HTTP; each is handed
over, started and finished by reports of its own, which come in batches as a busy host sends them.
"""

import time
from collections.abc import Iterator

from support.databases import DATABASES, database
from support.fleet import fleet
from support.report import Options, Row, benchmark
from support.stack import POOL, deploy, settle, stack

from stoker.domain.pools import WarmKnobs
from stoker.domain.requests import StartRun
from stoker.domain.states import StateType
from stoker.testing import Harness

BATCH = 500
"""Runs that are submitted by one request."""
KNOBS = WarmKnobs(min=4, max=4, slots_per_host=100)
TIME = 120.0
"""Seconds for a round at the most."""


def measure(options: Options) -> Iterator[Row]:
    """Drive the engine on each database."""
    for name in options.databases:
        yield Row(
            "stoker",
            f"engine ({name})" if len(options.databases) > 1 else "engine",
            "runs/s",
            rates(options, name),
        )


def rates(options: Options, db: str) -> list[float]:
    """Drive the engine a few times."""
    with database(db) as on, stack(settings=on.settings, home=on.home) as running:
        running.create_pool(POOL, warm=KNOBS)
        name = deploy(running, "empty.py", "nothing")
        with fleet(running.url, POOL) as hosts:
            hosts.wait_up(10.0)
            found: list[float] = []
            for _ in range(options.rounds + 1):
                hosts.expect(options.n)
                started = time.monotonic()
                for begin in range(0, options.n, BATCH):
                    size = min(BATCH, options.n - begin)
                    running.api.start_runs([StartRun(deployment=name)] * size)
                hosts.wait(TIME)
                found.append(options.n / (time.monotonic() - started))
            settle(running)
            check(running, options.n * len(found))
    # In the first round each statement is prepared and each page read for the first time.
    return found[1:]


def check(running: Harness, runs: int) -> None:
    """Say so if a run did not complete."""
    seen, before = 0, None
    while True:
        page = running.api.runs(states=[StateType.COMPLETED], limit=1000, before=before)
        seen, before = seen + len(page.runs), page.next
        if before is None:
            break
    if seen != runs:
        raise RuntimeError(f"{seen} of {runs} runs completed")


if __name__ == "__main__":
    benchmark(measure, __doc__, n=5000, rounds=5, counts="runs of a round", databases=DATABASES)
