"""The processes under test: servers and workers that come up again when they end, and hosts."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from stoker.client.http import Api
from stoker.domain.concurrency import LimitKind
from stoker.domain.deployments import CollisionStrategy
from stoker.domain.errors import StokerError
from stoker.domain.pools import WarmKnobs
from stoker.domain.schedules import Schedule
from stoker.testing.chaos.clock import WallClock
from stoker.testing.chaos.database import Database
from stoker.testing.chaos.disk import Disk
from stoker.testing.chaos.proxy import Proxy
from stoker.testing.deploying import Order, describe
from stoker.testing.processes import Process, await_ends, table
from stoker.testing.programs import Program
from stoker.wire.http import LimitCreate, PoolCreate, QueuePut

PROJECT = Path(__file__).parent / "project"
FLOWS = PROJECT / "chaos_flows.py"

SETTINGS = {
    "heartbeat": 0.5,
    "lease": 3.0,
    "sweep": 0.5,
    "ack_timeout": 2.0,
    "launch_timeout": 20.0,
    "shutdown_grace": 3.0,
    "request_timeout": 5.0,
}
"""Settings of everything under test; times in seconds."""

FENCE = 12.0
"""Seconds after which a silent host is given up."""

POOL, REGISTERS = "chaos", "registers"
POOL_LIMIT, QUEUE_LIMIT, WORKER_LIMIT = 7, 2, 4
LIMITS = {
    "pool": POOL_LIMIT,
    "queue narrow": QUEUE_LIMIT,
    "deployment succeed/single": 1,
    "deployment succeed/turned-away": 1,
    "name database": 4,
    "tag scarce": 2,
}
"""The limits that are checked, by their names in a `History`."""
CRASH_RETRIES = 2
"""Crash retries of the deployments ``again``."""

KNOBS = WarmKnobs(min=3, max=4, slots_per_host=4, idle_timeout=20.0)

SCHEDULED, SCHEDULE = "succeed/scheduled", "often"
INTERVAL = 5.0
"""Seconds between two occurrences of the schedule."""

STOKER = ["-m", "stoker"]

STOPPING = 30.0
"""Seconds that each program gets to end; one that does not is a process left."""

STARTING = 30.0
"""Seconds that everything gets to come up."""


class Member:
    """A server or a worker: a program that is started again some time after it has ended.

    Attributes:
        name: Its name.
        program: What runs; None where nothing does.
        crash_points: The folder where its crash points are armed.
        outages: From when to when it did not run, in seconds since boot.
    """

    def __init__(
        self, name: str, arguments: list[str], environ: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.crash_points = folder / f"crash-points-{name}"
        self.crash_points.mkdir()
        self._arguments = ["-P", *arguments]
        self._environ = {**environ, "STOKER_CRASH_POINTS": str(self.crash_points)}
        self._log = folder / f"{name}.log"
        self._folder = folder
        self.program: Program | None = None
        self.outages: list[tuple[float, float]] = []
        self.down_since = self.not_before = 0.0

    def start(self) -> None:
        """Start it."""
        self.program = Program(self._arguments, self._environ, self._log, self._folder)

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.program is not None and self.program.running

    @property
    def process(self) -> Process | None:
        """Its process, if it lives."""
        if self.program is None or not self.program.running:
            return None
        found = table().get(self.program.pid)
        return found[0] if found else None


class Cluster:
    """Everything under test.

    Args:
        folder: For logs, the ledger, and what is not on the disk that may be full.
        database: The store's.
        servers: How many servers there are.
        workers: How many workers there are.
        choose: Decides how long something is down.
        broken: Rules that the servers break, with commas; see `stoker.testing.chaos.broken`.

    Attributes:
        disk: The disk of all homes.
        clock: The wall clock of all processes.
        servers: The servers.
        workers: The workers.
        proxies: In front of each server.
        apis: A client of each server.
        ledger: The ledger's file.
        scheduled_from: The first occurrence of the schedule, in seconds since the epoch.
        schedule_id: The schedule.
        crash_retries: Those of each deployment that has some.
    """

    def __init__(
        self,
        folder: Path,
        database: Callable[[Path], Database],
        *,
        servers: int,
        workers: int,
        choose: random.Random,
        broken: str = "",
    ) -> None:
        program = ["-m", "stoker.testing.chaos.broken", broken] if broken else STOKER
        self._choose = choose
        self.scheduled_from = 0.0
        self.schedule_id = ""
        self.crash_retries: dict[str, int] = {}
        self.ledger = folder / "ledger"
        self.disk = Disk(folder / "disk")
        self.clock = WallClock(folder / "clock")
        home = self.disk.path / "home"
        self.database = database(home)
        kept = {name: text for name, text in os.environ.items() if not name.startswith("STOKER_")}
        given = {f"STOKER_{name.upper()}": str(value) for name, value in SETTINGS.items()}
        common = {**kept, **self.clock.environ, **given}
        ports = [_free_port() for _ in range(servers)]
        self.proxies = [Proxy(port) for port in ports]
        urls = [f"http://127.0.0.1:{proxy.port}" for proxy in self.proxies]
        self.apis = [Api(url, timeout=SETTINGS["request_timeout"]) for url in urls]
        self.environ = {**common, "STOKER_HOME": str(home), "STOKER_API_URL": ",".join(urls)}
        self.servers = [
            Member(
                f"server-{number}",
                [*program, "server", "start", "--port", str(port)],
                {
                    **common,
                    **self.database.environ_of(number),
                    "STOKER_HOME": str(home.with_name(f"home-{number}") if number else home),
                },
                folder,
            )
            for number, port in enumerate(ports)
        ]
        self.workers = [
            Member(
                name,
                [
                    *STOKER,
                    "worker",
                    "start",
                    "-p",
                    POOL,
                    "--name",
                    name,
                    "--limit",
                    str(WORKER_LIMIT),
                ],
                self.environ,
                folder,
            )
            for name in (f"worker-{number}" for number in range(workers))
        ]

    @property
    def members(self) -> list[Member]:
        """All servers and workers."""
        return [*self.servers, *self.workers]

    def start(self) -> None:
        """Start everything, and return once runs can be submitted.

        Raises:
            TimeoutError: It does not come up.
        """
        for server in self.servers:
            server.start()
            # One after the other: the first one makes the schema.
            self._await_answer()
        api = self.apis[0]
        pool = PoolCreate(name=POOL, concurrency_limit=POOL_LIMIT, warm=KNOBS, fence_after=FENCE)
        api.create_pool(pool)
        api.create_pool(PoolCreate(name=REGISTERS))
        api.put_queue(POOL, "narrow", QueuePut(concurrency_limit=QUEUE_LIMIT))
        self._deploy("chaos", "default")
        self._deploy("narrow", "narrow", ["succeed", "many_tasks"])
        self._deploy("single", "default", ["succeed"], limit=1)
        self._deploy("scheduled", "default", ["succeed"])
        self._deploy("again", "default", ["succeed", "share", "linger"], retries=CRASH_RETRIES)
        strategy = CollisionStrategy.CANCEL_NEW
        self._deploy("turned-away", "default", ["succeed"], limit=1, strategy=strategy)
        for kind, name in ((LimitKind.NAME, "database"), (LimitKind.TAG, "scarce")):
            slots = LIMITS[f"{kind.value} {name}"]
            api.create_limit(LimitCreate(kind=kind, name=name, slots=slots))
        schedule = Schedule(slug=SCHEDULE, interval=INTERVAL, parameters={"token": ""})
        stored = api.create_schedule(SCHEDULED, schedule)
        self.schedule_id, self.scheduled_from = stored.id, stored.next or 0.0
        for worker in self.workers:
            worker.start()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + STARTING
        for number, server in enumerate(self.servers):
            while server.program is not None:
                try:
                    self.apis[number].health()
                    break
                except StokerError as error:
                    if time.monotonic() > deadline or not server.running:
                        raise TimeoutError(f"{server.name} does not answer: {error}") from None
                    time.sleep(0.02)

    def _deploy(
        self,
        name: str,
        queue: str,
        functions: list[str] | None = None,
        *,
        limit: int | None = None,
        retries: int = 0,
        strategy: CollisionStrategy = CollisionStrategy.ENQUEUE,
    ) -> None:
        order = Order(
            file=str(FLOWS),
            functions=functions or [],
            name=name,
            pool=POOL,
            queue=queue,
            parameters={"ledger": str(self.ledger)},
            project=str(PROJECT),
        )
        for deployment in describe(order, self.environ):
            deployment.concurrency_limit = limit
            deployment.collision_strategy = strategy
            deployment.crash_retries, deployment.crash_retry_delay = retries, 0.1
            if retries:
                self.crash_retries[deployment.full_name] = retries
            self.apis[0].put_deployment(deployment)

    def supervise(self) -> None:
        """Start again what has ended, after a pause; to be called again and again."""
        self.database.supervise()
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        for member in self.members:
            if member.running:
                continue
            if not member.down_since:
                member.down_since = now
                member.not_before = now + self._choose.uniform(0.05, 0.8)
            elif now >= member.not_before:
                member.start()
                member.outages.append((member.down_since, now))
                member.down_since = 0.0

    def pause_schedule(self) -> bool:
        """Have no occurrence start a run any more; say whether that is so."""
        try:
            self.apis[0].set_schedule_active(SCHEDULED, SCHEDULE, active=False)
        except StokerError:
            return False
        return True

    def stop(self, seconds: float) -> list[Process]:
        """Ask everything to end, workers first; return what is left so many seconds later."""
        for members in (self.workers, self.servers):
            for member in members:
                if member.program is not None and member.running:
                    member.program.send(signal.SIGTERM)
            for member in members:
                if member.program is not None:
                    with suppress(subprocess.TimeoutExpired):
                        member.program.process.wait(STOPPING)
        left = await_ends(self.processes(), seconds)
        self.database.close()
        return left

    def processes(self, *words: str) -> list[Process]:
        """Return the living processes under test with one of these words in their commands."""
        # This one, its init, and what Postgres consists of are none of them.
        return [
            process
            for process, _ in table().values()
            if process.pid > 1
            and process.pid != os.getpid()
            and "postgres" not in process.command
            and (not words or any(word in process.command for word in words))
        ]


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
