"""A Postgres under test: it is broken itself, and so is what lies between it and the servers."""

import random
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psycopg

from stoker.testing.chaos.database import Down, Row
from stoker.testing.chaos.disk import Disk
from stoker.testing.chaos.faults import Breaker, Fault
from stoker.testing.chaos.proxy import Proxy
from stoker.testing.postgres import PostgresServer
from stoker.testing.processes import Process

SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "64MB"}
"""What is acknowledged survives the death of its processes: a power cut is no fault of these."""


class PostgresDatabase:
    """See `Database`. Each server reaches it through a proxy of its own.

    Args:
        folder: A folder for it, which is made.
        servers: How many servers there are.
    """

    def __init__(self, folder: Path, servers: int) -> None:
        self.disk = Disk(folder)
        self.disk.path.chmod(0o711)
        self.server = PostgresServer(folder / "server", SETTINGS).start()
        self._url = self.server.create_database("stoker")
        self.proxies = [Proxy(self.server.port) for _ in range(servers)]
        self._own = threading.local()
        self._backends: dict[int, int] = {}

    def environ_of(self, server: int) -> dict[str, str]:
        """See `Database.environ_of`."""
        port = self.proxies[server].port
        return {"STOKER_DATABASE_URL": self._url.replace(f":{self.server.port}/", f":{port}/")}

    def rows(self, query: str) -> list[Row]:
        """See `Database.rows`."""
        try:
            found: Sequence[Row] = self._connection().execute(query.encode()).fetchall()
            return list(found)
        except psycopg.Error as error:
            raise Down(str(error)) from error

    def _connection(self) -> psycopg.Connection[Row]:
        """This thread's connection: a new one for each question would cost most of a session."""
        known: psycopg.Connection[Row] | None = getattr(self._own, "connection", None)
        if known is None or known.closed:
            known = psycopg.connect(self._url, connect_timeout=2, autocommit=True)
            self._own.connection = known
            self._backends[threading.get_ident()] = known.info.backend_pid
        return known

    def victims(self) -> list[Process]:
        """Its processes, those left out that answer the harness."""
        own = self._backends.values()
        return [one for one in self.server.processes() if one.pid not in own]

    def supervise(self) -> None:
        """Start it again where it has ended."""
        process = self.server.process
        if process is None or process.poll() is not None:
            # Its disk may be full, or what it has left still be on its way out.
            with suppress(RuntimeError):
                self.server.start()

    def close(self) -> None:
        """Stop it."""
        self.server.stop(signal.SIGQUIT)


class PostgresFaults:
    """Ways to break it.

    Args:
        database: The database.
        breaker: Gets them.
    """

    def __init__(self, database: PostgresDatabase, breaker: Breaker) -> None:
        self._database = database
        self._breaker = breaker
        self._choose: random.Random = breaker.choose
        breaker.add(6, self._kill_backend)
        breaker.add(6, self._stop_backend)
        breaker.add(3, self._end)
        breaker.add(2, self._kill_all)
        breaker.add(10, self._connections)
        breaker.add(2, self._full_disk)

    def _kill_backend(self) -> Fault | None:
        """The postmaster resets all others then."""
        processes = self._database.victims()
        if not processes:
            return None
        victim = self._choose.choice(processes)
        kind = "postmaster" if victim.command == "postgres" else "backend"
        victim.send(signal.SIGKILL)
        return self._breaker.fault(f"kill Postgres {kind}", f"pid {victim.pid}")

    def _stop_backend(self) -> Fault | None:
        processes = self._database.victims()
        if not processes:
            return None
        victim = self._choose.choice(processes)
        kind = "postmaster" if victim.command == "postgres" else "backend"
        victim.send(signal.SIGSTOP)
        return self._breaker.fault(
            f"stop Postgres {kind}",
            f"pid {victim.pid}",
            self._breaker.seconds(4.0),
            lambda: victim.send(signal.SIGCONT),
        )

    def _end(self) -> Fault | None:
        way = self._choose.choice([signal.SIGINT, signal.SIGQUIT])
        process = self._database.server.process
        if process is None or process.poll() is not None:
            return None
        process.send_signal(way)
        name = "fast" if way is signal.SIGINT else "immediate"
        return self._breaker.fault(f"restart Postgres, {name}", f"pid {process.pid}")

    def _kill_all(self) -> Fault | None:
        processes = self._database.server.processes()
        for one in processes:
            one.send(signal.SIGKILL)
        return self._breaker.fault("kill all of Postgres", "all") if processes else None

    def _connections(self) -> Fault | None:
        number = self._choose.randrange(len(self._database.proxies))
        return self._breaker.break_proxy(
            f"server-{number} to Postgres", self._database.proxies[number]
        )

    def _full_disk(self) -> Fault | None:
        self._database.disk.fill()
        seconds = self._breaker.seconds(3.0)
        return self._breaker.fault("full disk", "Postgres", seconds, self._database.disk.free)
