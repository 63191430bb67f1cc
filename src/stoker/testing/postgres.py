"""A Postgres server for tests, of the machine's own packages: started, broken and ended by them."""

import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from stoker.process_identity import start_time
from stoker.testing.processes import Process, end_all

OLDEST = 15
"""The oldest version that Stoker supports."""

STARTING = 60.0
"""Seconds that the server gets until it takes connections, a recovery included."""

ENDING = 30.0
"""Seconds that it gets to stop."""

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Settings for tests that take no power away: several times as fast."""

ALWAYS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "log_min_messages": "warning",
    "shared_memory_type": "mmap",
    "dynamic_shared_memory_type": "mmap",
}
"""Only loopback, little memory, and nothing in ``/dev/shm`` that could be left behind."""


LOCALE = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]
"""Texts sort as people do it, as most databases have it: Stoker must not depend on that."""


def programs() -> Path:
    """Return the folder of the newest Postgres server's programs on this machine.

    Raises:
        RuntimeError: There is none that is new enough; says how to install it.

    Example:
        >>> (programs() / "initdb").exists()
        True
    """
    found: list[tuple[int, Path]] = []
    for folder in _folders():
        program = folder / "postgres"
        if program.exists() and (folder / "initdb").exists():
            found.append((_version(program), folder))
    newest = max(found, default=(0, Path()))
    if newest[0] < OLDEST:
        raise RuntimeError(
            f"tests need a Postgres server of version {OLDEST} or newer: run `make setup`, or "
            "install the package `postgresql`"
        )
    return newest[1]


def _folders() -> list[Path]:
    """Where Debian, Red Hat, Homebrew and the PATH have them."""
    places = [Path("/usr/lib/postgresql"), Path("/usr"), Path("/opt/homebrew/opt")]
    folders = [*places[0].glob("*/bin"), *places[1].glob("pgsql-*/bin")]
    folders += places[2].glob("postgresql@*/bin")
    on_path = shutil.which("postgres")
    return [*folders, Path(on_path).resolve().parent] if on_path else folders


@functools.cache
def _version(program: Path) -> int:
    """Read the major version from ``postgres (PostgreSQL) 15.18 (Debian …)``."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split(")")[1].split()[0].split(".")[0].rstrip("betarc"))


class PostgresServer:
    """A Postgres server of one's own, on loopback and a free port, in a folder of its own.

    It ends with this process, however that ends. Started by root it runs as the user
    ``postgres``, or ``nobody``: Postgres refuses to run as root.

    Args:
        folder: A folder for it, which is made.
        settings: Its configuration parameters, for example ``{"fsync": "on"}``. By default a
            power cut may take what it was given (`FAST`): give ``{}`` for a server that syncs.

    Attributes:
        port: Its port.
        password: The password of its user ``stoker``.
        log: What it prints.
        process: Its postmaster.
    """

    user = "stoker"

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self._programs = programs()
        self._account = _account()
        self._settings = {**ALWAYS, **(FAST if settings is None else settings)}
        self.data = folder / "data"
        self.log = folder / "postgres.log"
        self.password = secrets.token_hex(8)
        self.port = 0
        self.process: subprocess.Popen[Any] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if self._account:
            shutil.chown(folder, self._account["user"], self._account["group"])
        self._initialise(folder)

    def _initialise(self, folder: Path) -> None:
        secret = folder / "password"
        secret.write_text(self.password)
        initdb = [self._programs / "initdb", "-D", self.data, "-U", self.user, "--no-sync"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", *LOCALE]
        done = subprocess.run(initdb, **self._account, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")
        secret.unlink()

    def start(self) -> Self:
        """Start it, and return once it takes connections; again on the port that it had.

        Call it in the main thread: the server ends with the thread that has started it.

        Raises:
            RuntimeError: It ended, or does not get so far.
        """
        for attempt in range(5):
            self.port = self.port or _free_port()
            if self._try_start():
                return self
            if "could not bind" not in self.log.read_text() or attempt == 4:
                break
            # Somebody else has taken the port meanwhile.
            self.port = 0
        raise RuntimeError(f"Postgres does not start:\n{self.log.read_text()}")

    def _try_start(self) -> bool:
        parameters = {**self._settings, "port": str(self.port)}
        options = [f"--{name}={value}" for name, value in parameters.items()]
        with self.log.open("wb") as log:
            process: subprocess.Popen[Any] = subprocess.Popen(
                [*_ending_with_this(), self._programs / "postgres", "-D", self.data, *options],
                **self._account,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.process = process
        deadline = time.monotonic() + STARTING
        while process.poll() is None and time.monotonic() < deadline:
            if self._is_ready():
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def _is_ready(self) -> bool:
        """See "Status" of the postmaster in ``postmaster.pid``, line 8."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        mine = self.process is not None and lines[:1] == [str(self.process.pid)]
        return mine and len(lines) >= 8 and lines[7].strip() == "ready"

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases, password included."""
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str | None = None) -> str:
        """Make an empty database, and return its URL."""
        name = name or f"test_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, and return its rows.

        Raises:
            RuntimeError: psycopg is missing.
        """
        try:
            import psycopg
        except ImportError:
            raise RuntimeError("psycopg is missing: install `stoker[postgres]`") from None
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    def processes(self) -> list[Process]:
        """Return its postmaster and all its servers, as far as they live."""
        if self.process is None:
            return []
        started = start_time(self.process.pid)
        if started is None:
            return []
        postmaster = Process(self.process.pid, started, "postgres")
        return [postmaster, *postmaster.children]

    def kill(self) -> None:
        """Kill all its processes at once, as a machine does that loses its power."""
        if self.process is not None:
            left = end_all(self.processes(), ENDING)
            assert not left, f"left of Postgres: {left}"
            self.process.wait(ENDING)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it, by default "fast": whoever is connected is cut off; see postgres(1)."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(ENDING)

    def restart(self) -> Self:
        """Stop it and start it again on its port."""
        self.stop()
        return self.start()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _ending_with_this() -> list[str]:
    """What has a program told to stop when the thread that started it ends; see setpriv(1)."""
    return ["setpriv", "--pdeathsig", "QUIT", "--"] if shutil.which("setpriv") else []


def _account() -> dict[str, Any]:
    """As whom to run it: for `subprocess`. Empty for the user that runs this."""
    if os.geteuid() != 0:
        return {}
    known = {one.pw_name: one for one in pwd.getpwall()}
    found = known.get("postgres") or known["nobody"]
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": [], "cwd": "/"}


@contextmanager
def postgres(settings: Mapping[str, str] | None = None) -> Generator[PostgresServer]:
    """Run a Postgres server for the time of a ``with`` block; see `PostgresServer`.

    Raises:
        RuntimeError: The machine has no Postgres that is new enough, or it does not start.

    Example:
        ```python
        with postgres() as server, harness(settings={"database_url": server.create_database()}):
            ...
        ```
    """
    with tempfile.TemporaryDirectory(prefix="stoker-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        # Another user's server works in it.
        folder.chmod(0o711)
        server = PostgresServer(folder / "server", settings)
        try:
            yield server.start()
        finally:
            server.stop(signal.SIGQUIT)
