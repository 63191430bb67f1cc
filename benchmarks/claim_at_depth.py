"""Claims at depth: 1,000,000 queued runs in 1,000 claim groups, 900 of them blocked and in front.

`claim`: one claim, in ms, of the run that takes the slot of one that has just ended;
`claim_shallow`: the same with 100 runs queued, in the same groups. Timed is the claim alone, to
its last statement, without the commit. `claim_ratio` is p99 by p99. `unrelated_start`: a run of
another pool with a real host, from its submission to its first line, while the deep pool's runs
are claimed and end.
"""

import time
from collections.abc import Iterator

from support.databases import DATABASES, Database, database
from support.deep import POOL as DEEP
from support.deep import SLOTS, Deep
from support.fleet import fleet
from support.report import Options, Row, benchmark, quantile, say
from support.stack import ONE_HOST, deploy, stack, warm_up

from stoker.domain.requests import StartRun
from stoker.domain.runs import FlowRun
from stoker.domain.transitions import Command, Wish
from stoker.ports.store import Records, Store
from stoker.services.changing import change
from stoker.services.claims.claiming import claim
from stoker.services.runs.submission import submit
from stoker.services.unit import ReadyHost, Unit

SHALLOW = 100
STARTS = 200
"""Runs of the other pool."""
SAMPLES = 1000
BUSY = 0.1
"""Seconds that each run of the deep pool seems to execute."""


def measure(options: Options) -> Iterator[Row]:
    """Compare both depths on each database."""
    for name in options.databases:
        yield from on(options, name)


def on(options: Options, name: str) -> Iterator[Row]:
    """Compare both depths on one database."""
    suffix = f" ({name})" if len(options.databases) > 1 else ""
    with database(name) as shallow:
        few, _ = claims(shallow, SHALLOW)
    with database(name) as deep:
        many, seconds = claims(deep, options.n)
        say(f"{name}: {options.n} runs stored in {seconds:.0f} s")
        starts = unrelated(deep)
    yield Row("stoker", f"claim{suffix}", "ms", many)
    yield Row("stoker", f"claim_shallow{suffix}", "ms", few)
    ratio = quantile(sorted(many), 0.99) / quantile(sorted(few), 0.99)
    yield Row("stoker", f"claim_ratio{suffix}", "x", value=ratio)
    yield Row("stoker", f"unrelated_start{suffix}", "ms", starts)


def claims(on: Database, depth: int) -> tuple[list[float], float]:
    """Store runs, then claim one after the other; milliseconds, and the seconds of the storing."""
    store = on.open()
    try:
        deep = Deep(store)
        started = time.monotonic()
        deep.fill(depth)
        stored = time.monotonic() - started
        return Claims(store, deep).samples(), stored
    finally:
        store.close()


class Claims:
    """The claims of one server, whose two hosts are full all the time."""

    def __init__(self, store: Store, deep: Deep) -> None:
        self._store = store
        self._deep = deep
        self._now = time.time()
        self._ready = [
            ReadyHost(
                id=f"free-{number}",
                pool=DEEP,
                lane=lane,
                queues=[],
                slots=SLOTS,
                requested=0.0,
                launched=0.0,
                registered=0.0,
            )
            for number, lane in enumerate(deep.lanes)
        ]
        self._running: list[str] = []
        self._number = 0
        store.write(self._set_up).result()

    def samples(self) -> list[float]:
        """Time claims; in the first ones the full groups are found to be blocked."""
        for _ in range(2 * SLOTS):
            self._store.write(self._step).result()
        return [self._store.write(self._step).result() * 1000 for _ in range(SAMPLES)]

    def _set_up(self, records: Records) -> None:
        busy = records.host("busy")
        assert busy is not None
        for ready in self._ready:
            busy.id, busy.lane, busy.slots = ready.id, ready.lane, SLOTS
            busy.state = type(busy.state).UP
            records.put_host(busy)
        unit = Unit(records, self._now)
        claim(unit, DEEP, self._ready)
        self._note(unit)

    def _step(self, records: Records) -> float:
        """One run ends and one comes; returns the seconds of the claim that follows."""
        self._now += 0.01
        unit = Unit(records, self._now)
        self._end_one(unit)
        open_ones = self._deep.open
        name = open_ones[self._number % len(open_ones)].full_name
        self._number += 1
        submit(unit, [StartRun(deployment=name)])
        records.flush()
        started = time.perf_counter()
        claim(unit, DEEP, self._ready)
        records.flush()
        taken = time.perf_counter() - started
        self._note(unit)
        return taken

    def _end_one(self, unit: Unit) -> None:
        run = unit.records.flow_run(self._running.pop(0)) if self._running else None
        if run is not None:
            change(unit, run, Wish(command=Command.FINISH, at=unit.now))

    def _note(self, unit: Unit) -> None:
        given = [job.run_id for jobs in unit.assigned.values() for job in jobs]
        if not given:
            raise RuntimeError("nothing was claimed")
        self._running += given


def unrelated(on: Database) -> list[float]:
    """Start runs on another pool of the same server; milliseconds to the first line."""
    with stack(ONE_HOST, home=on.home, settings=on.settings) as running:
        name = deploy(running, "empty.py", "nothing")
        with fleet(running.url, DEEP, busy=BUSY) as hosts:
            hosts.wait_up(20.0)
            warm_up(running, name, 20)
            before = hosts.finished
            runs = [first_line(running.run(name)) for _ in range(STARTS)]
            if hosts.finished == before:
                raise RuntimeError("no run of the deep pool ended meanwhile")
            say(f"{hosts.finished - before} runs of the deep pool ended meanwhile")
    return runs


def first_line(run: FlowRun) -> float:
    """Milliseconds from a run's submission to its first line."""
    seconds = run.anatomy.seconds
    if seconds is None:
        raise RuntimeError(f"run {run.id} ended {run.state.name}: {run.state.message}")
    return seconds * 1000


if __name__ == "__main__":
    benchmark(measure, __doc__, n=1_000_000, counts="queued runs", limit=3600, databases=DATABASES)
