"""What Prometheus is told: counters that follow the server's work, and gauges read at a scrape."""

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from stoker.ports.clock import Clock
from stoker.ports.store import Census
from stoker.services.dispatcher import Dispatcher
from stoker.services.unit import Unit

STARTS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
WRITES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
GROUPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LAGS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)

FRESH = 5.0
"""Seconds for which what was counted in the database is given again: scrapes must not weigh."""
LAG_PACE = 0.5
"""Seconds between two measurements of the event loop."""


class Metrics:
    """All metrics of one server; see ``docs/guides/operations.md``.

    Args:
        dispatcher: Whose work is counted.
        clock: The time.
        version: Stoker's.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        self._dispatcher = dispatcher
        self._clock = clock
        build = Gauge("stoker_build_info", "The version.", ["version"], registry=registry)
        build.labels(version).set(1)
        self._ended = Counter(
            "stoker_flow_runs_ended",
            "Flow runs that ended, by state.",
            ["state"],
            registry=registry,
        )
        self._claims = Counter("stoker_claims", "Runs that were given a slot.", registry=registry)
        self._starts = Histogram(
            "stoker_start_seconds",
            "From a run's turn to the first line of the user's code.",
            ["start_class"],
            buckets=STARTS,
            registry=registry,
        )
        self._waits = Histogram(
            "stoker_wait_seconds",
            "From submission to a run's turn: behind limits, pauses and other runs.",
            buckets=STARTS,
            registry=registry,
        )
        self._group = Histogram(
            "stoker_db_write_group_size",
            "Transactions committed together.",
            buckets=GROUPS,
            registry=registry,
        )
        self._write = Histogram(
            "stoker_db_write_seconds",
            "From begin to commit of a group.",
            buckets=WRITES,
            registry=registry,
        )
        self._http = Histogram(
            "stoker_http_request_seconds",
            "HTTP requests; held ones count from the request to the answer.",
            ["method", "route", "status"],
            buckets=STARTS,
            registry=registry,
        )
        self._lag = Histogram(
            "stoker_event_loop_lag_seconds",
            "How late the event loop is.",
            buckets=LAGS,
            registry=registry,
        )
        self._census = _CensusCollector()
        self.registry.register(self._census)
        self._counted = -FRESH
        dispatcher.observers.append(self.observe)

    def observe(self, unit: Unit) -> None:
        """Count what a transaction has done."""
        for run in unit.ended:
            self._ended.labels(run.state.type.lower()).inc()
        for anatomy in unit.started:
            if anatomy.seconds is not None:
                start_class = anatomy.start_class or "unknown"
                waited = anatomy.waited or 0.0
                self._waits.observe(waited)
                self._starts.labels(start_class).observe(max(0.0, anatomy.seconds - waited))
        for jobs in unit.assigned.values():
            self._claims.inc(len(jobs))

    def wrote(self, transactions: int, seconds: float) -> None:
        """Count a group of transactions; called by the store's writer, in its thread."""
        self._group.observe(transactions)
        self._write.observe(seconds)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request."""
        self._http.labels(method, route, str(status)).observe(seconds)

    async def refresh(self) -> None:
        """Count what is in the database, unless that was done just now."""
        if self._clock.boot() - self._counted >= FRESH:
            self._counted = self._clock.boot()
            self._census.last = await self._dispatcher.read(lambda records: records.census())

    async def run(self) -> None:
        """Measure for ever how late the event loop is."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + LAG_PACE
            await self._clock.sleep(LAG_PACE)
            self._lag.observe(max(0.0, now() - due))


class _CensusCollector(Collector):
    """Gauges of what is in the database."""

    def __init__(self) -> None:
        self.last = Census()

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        last = self.last
        runs = GaugeMetricFamily("stoker_flow_runs", "Open flow runs by state.", labels=["state"])
        for state, count in last.runs.items():
            runs.add_metric([state.lower()], count)
        queued = GaugeMetricFamily(
            "stoker_queued_runs", "Runs that wait for a slot.", labels=["pool", "queue"]
        )
        for (pool, queue), count in last.queued.items():
            queued.add_metric([pool, queue], count)
        leases = GaugeMetricFamily("stoker_leases", "Slots in use.", labels=["pool", "queue"])
        for (pool, queue), count in last.leases.items():
            leases.add_metric([pool, queue], count)
        hosts = GaugeMetricFamily("stoker_hosts", "Hosts by state.", labels=["pool", "state"])
        for (pool, state), count in last.hosts.items():
            hosts.add_metric([pool, state], count)
        slots = GaugeMetricFamily(
            "stoker_limit_requests",
            "Requests for slots of concurrency limits.",
            labels=["kind", "name", "state"],
        )
        for (kind, name, state), count in last.slots.items():
            slots.add_metric([kind, name, state], count)
        yield from (runs, queued, leases, hosts, slots)
