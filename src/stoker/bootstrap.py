"""The composition root: puts the server together and runs it."""

import asyncio
import fcntl
import gc
import importlib
import ipaddress
import logging
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import uvicorn

from stoker import __version__
from stoker.api.app import create_app
from stoker.api.context import Context
from stoker.api.timing import Timed
from stoker.client.discovery import ServerFile
from stoker.clock import SystemClock
from stoker.couriers.courier import OutsideCourier
from stoker.domain.database_urls import SQLITE, is_postgres, masked
from stoker.domain.errors import Conflict, Invalid, StokerError, Unavailable
from stoker.domain.hosts import ProcessIdentity
from stoker.ports.clock import Clock
from stoker.ports.store import Store
from stoker.process_identity import identify, is_alive, this_machine
from stoker.services.automations.automating import Automator
from stoker.services.automations.delivering import Deliverer
from stoker.services.concurrency.granting import Granter
from stoker.services.dispatcher import Dispatcher
from stoker.services.events.feed import EventFeed
from stoker.services.events.links import linking
from stoker.services.fleet.provisioner import Provisioner
from stoker.services.fleet.sweeper import Sweeper
from stoker.services.operations.loops import Loops, PacedClock
from stoker.services.operations.metrics import Metrics
from stoker.services.operations.pruner import Pruner
from stoker.services.operations.pruning import Ages
from stoker.services.operations.readiness import Readiness
from stoker.services.replicas.hearing import Hearing
from stoker.services.replicas.members import Members, join
from stoker.services.replicas.peers import Peers
from stoker.services.runs.promoting import Promoter
from stoker.services.schedules.backfiller import Backfiller
from stoker.services.schedules.scheduler import Scheduler
from stoker.settings import Settings
from stoker.storage.file_systems import refuse_network
from stoker.storage.sqlite.schema import make_home
from stoker.storage.sqlite.store import SqliteStore

logger = logging.getLogger("stoker.server")


def database_path(settings: Settings) -> Path:
    """Where the embedded store lies; a relative path is one in the home."""
    return settings.home / (settings.database_url.removeprefix(SQLITE) or "stoker.db")


def open_store(settings: Settings) -> Store:
    """Open the store that the settings name.

    Raises:
        Invalid: Its URL cannot be read.
        Unavailable: It cannot be opened, or psycopg is missing.
        Conflict: A newer Stoker wrote it.
    """
    if not is_postgres(settings.database_url):
        return SqliteStore(database_path(settings), synchronous=settings.sqlite_synchronous)
    need_psycopg()
    from stoker.storage.postgres.store import PostgresStore

    return PostgresStore(settings.database_url)


def need_psycopg() -> None:
    """Raise `Unavailable` where what speaks to Postgres is missing."""
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        raise Unavailable(
            f"STOKER_DATABASE_URL names a Postgres database, and psycopg cannot be loaded ({error})"
            ": run `pip install 'stoker[postgres]'`"
        ) from None


@contextmanager
def without_server(settings: Settings) -> Generator[None]:
    """Keep servers from a home for the time of a ``with`` block.

    Raises:
        Conflict: One runs on it.
    """
    make_home(settings.home)
    with _lock(settings.home, "server"):
        yield


def database_name(settings: Settings) -> str:
    """Name the store for people, without its password."""
    if is_postgres(settings.database_url):
        return masked(settings.database_url)
    return f"{SQLITE}{database_path(settings)}"


def ages_of(settings: Settings) -> Ages:
    """What is old enough to be pruned."""
    return Ages(
        runs=_seconds(settings.retention_runs),
        logs=_seconds(settings.retention_logs),
        events=_seconds(settings.retention_events),
    )


def _seconds(days: float | None) -> float | None:
    return None if days is None else days * 86_400.0


def forget_results(settings: Settings, files: Sequence[str]) -> None:
    """Delete results that lie in files of their own; what cannot be deleted is said."""
    for name in files:
        path = settings.home / "results" / Path(name).name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("the result %s cannot be deleted: %s", path, error)


def serve(settings: Settings) -> None:
    """Run a server until SIGTERM or SIGINT.

    Raises:
        Conflict: Another server runs on this home.
        Invalid: It shall bind beyond loopback, and there is no API key.
        Unavailable: The home cannot be made or written, the port is in use, or the database
            cannot be opened or lies on a network file system.
    """
    _need_key(settings)
    _raise_file_limit()
    make_home(settings.home)
    if not is_postgres(settings.database_url):
        # Before the lock: there it might hold for this machine alone, or wait for ever.
        refuse_network(database_path(settings))
        with _lock(settings.home, "server") as claim_home:
            listener = _bind(settings.server_host, settings.server_port)
            with listener:
                _open_and_serve(settings, listener, claim_home)
        return
    with _bind(settings.server_host, settings.server_port) as listener:
        # Others may run on this home, each on a port of its own.
        port = listener.getsockname()[1]
        with _lock(settings.home, f"server-{port}") as claim_home:
            _open_and_serve(settings, listener, claim_home)


def _open_and_serve(
    settings: Settings, listener: socket.socket, claim_home: Callable[[str], None]
) -> None:
    store = open_store(settings)
    try:
        claim_home(_url(listener))
        _uvloop_run(_serve(settings, store, listener))
    finally:
        store.close()


def _need_key(settings: Settings) -> None:
    if settings.api_key is None and not _is_loopback(settings.server_host):
        raise Invalid(
            f"{settings.server_host} can be reached from other machines: set STOKER_API_KEY to a "
            "secret before the server binds it, or bind 127.0.0.1"
        )


def _raise_file_limit() -> None:
    """Allow as many descriptors as the system does: every client, host and worker takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


@contextmanager
def _lock(home: Path, name: str) -> Generator[Callable[[str], None]]:
    """Hold a lock of the home; yields what writes the server's address beside it."""
    lock, file = home / f"{name}.lock", home / f"{name}.json"
    handle = _open_lock(home, lock)
    try:

        def write(url: str) -> None:
            me = identify()
            record = ServerFile(url=url, pid=me.pid, started=me.started, boot_id=me.machine.boot_id)
            temporary = file.with_suffix(".tmp")
            try:
                temporary.write_bytes(msgspec.json.encode(record))
                temporary.rename(file)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise _unwritable(home, error) from None

        try:
            yield write
        finally:
            file.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _open_lock(home: Path, lock: Path) -> int:
    """Lock a home's file. The last server removed its own, maybe after this opened it."""
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(home, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(handle)
            raise Conflict(
                f"a server runs on {home} already; stop it first, or set STOKER_HOME to another "
                "folder"
            ) from None
        os.close(handle)


def _unwritable(home: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"STOKER_HOME {home} cannot be written: {error.strerror}; make room there, or set it to a "
        "folder that can"
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port "
            "or STOKER_SERVER_PORT (0 takes any free one)"
        ) from None
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _uvloop_run(main: Awaitable[None]) -> None:
    async def run() -> None:
        await main

    try:
        import uvloop
    except ImportError:
        asyncio.run(run())
    else:
        uvloop.run(run())


async def _serve(settings: Settings, store: Store, listener: socket.socket) -> None:
    members, clock = await join(
        store,
        SystemClock(),
        address=_url(listener),
        version=__version__,
        pace=settings.heartbeat,
    )
    loops = Loops(clock)
    dispatcher = Dispatcher(store, clock, ack_timeout=settings.ack_timeout, members=members)
    metrics = Metrics(dispatcher, clock, __version__)
    store.watch_writes(metrics.wrote)
    granter = Granter(dispatcher, clock)
    provisioner = Provisioner(dispatcher, clock)
    promoter = Promoter(dispatcher, clock)
    scheduler = Scheduler(dispatcher, clock)
    backfiller = Backfiller(dispatcher, clock)
    pruner = Pruner(
        dispatcher,
        clock,
        ages_of(settings),
        forget_files=lambda files: forget_results(settings, files),
        leading=lambda: members.leading("pruner"),
    )
    sweeper = Sweeper(
        dispatcher,
        PacedClock(clock, loops, "sweeper", settings.lease),
        pace=settings.sweep,
        lease=settings.lease,
        launch_timeout=settings.launch_timeout,
        is_dead=_is_dead,
        end_host=provisioner.end_host,
        late_after=settings.late_after,
    )
    feed = EventFeed(dispatcher, clock)
    automator = Automator(dispatcher, clock, grace=settings.lease)
    link = linking(settings.ui_url, _url(listener))
    deliverer = Deliverer(dispatcher, clock, OutsideCourier(f"stoker/{__version__}"), link)
    dispatcher.events.follow(feed, automator, deliverer)
    context = Context(
        dispatcher=dispatcher,
        granter=granter,
        metrics=metrics,
        readiness=Readiness(dispatcher, clock, loops, f"{socket.gethostname()}:{os.getpid()}"),
        provisioner=provisioner,
        sweeper=sweeper,
        feed=feed,
        clock=clock,
        version=__version__,
        home=str(settings.home),
        database=database_name(settings),
        heartbeat=settings.heartbeat,
        lease=settings.lease,
    )
    server = _Server(
        uvicorn.Config(
            Timed(create_app(context, settings.api_key), metrics.answered),
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=256 * 1024 * 1024,
            ws_per_message_deflate=False,
            lifespan="on",
            access_log=False,
            log_level=settings.log_level.lower(),
            log_config=None,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=75,
        )
    )
    services = [
        asyncio.create_task(_keep_running("provisioner", provisioner.run, clock, loops)),
        asyncio.create_task(_keep_running("granter", granter.run, clock, loops)),
        asyncio.create_task(_keep_running("sweeper", sweeper.run, clock, loops)),
        asyncio.create_task(_keep_running("promoter", promoter.run, clock, loops)),
        asyncio.create_task(_keep_running("scheduler", scheduler.run, clock, loops)),
        asyncio.create_task(_keep_running("backfiller", backfiller.run, clock, loops)),
        asyncio.create_task(metrics.run()),
        asyncio.create_task(_keep_running("pruner", pruner.run, clock, loops)),
        asyncio.create_task(_keep_running("event feed", feed.run, clock, loops)),
        asyncio.create_task(_keep_running("automator", automator.run, clock, loops)),
        asyncio.create_task(_keep_running("deliverer", deliverer.run, clock, loops)),
    ]
    if isinstance(members, Members):
        services += _replicate(store, members, dispatcher, provisioner, clock, loops)
    # What the imports made lives for ever: the collector need not look at it again.
    gc.collect()
    gc.freeze()

    def stop() -> None:
        dispatcher.watch.close()
        feed.close()
        server.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    logger.info("serving %s, on the home %s", _url(listener), settings.home)
    try:
        await server.serve(sockets=[listener])
    finally:
        # Again and again: a unit of work says `Unavailable` where it is cancelled while the server
        # stops, and a loop may take that for a store that cannot be used now, and go on.
        left = set(services)
        while left:
            for service in left:
                service.cancel()
            _, left = await asyncio.wait(left, timeout=0.2)
        await asyncio.gather(*services, return_exceptions=True)
        if isinstance(members, Members):
            await members.leave()


def _replicate(
    store: Store,
    members: Members,
    dispatcher: Dispatcher,
    provisioner: Provisioner,
    clock: Clock,
    loops: Loops,
) -> list[asyncio.Task[None]]:
    """Have this server and the others of its store tell each other what they commit."""
    peers = Peers(store, members, clock)
    Hearing(dispatcher, provisioner, members).join(peers)
    return [
        asyncio.create_task(_keep_running("heartbeat", members.run, clock, loops)),
        asyncio.create_task(_keep_running("exchange of news", peers.run, clock, loops)),
    ]


class _Server(uvicorn.Server):
    """uvicorn's server, which ends on a signal without passing it on.

    Its own raises the signal once more at the end: the store would never be closed.
    """

    def stop(self) -> None:
        """Finish what is under way; at the second call stop at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the app in any case: cancelled, it would write a traceback into the log."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the loop."""
        yield


async def _keep_running(
    name: str, loop: Callable[[], Awaitable[None]], clock: Clock, loops: Loops
) -> None:
    """Run one of the server's loops for ever; one that fails is said, once, and tried again."""
    said = ""
    while True:
        try:
            await loop()
        except StokerError as error:
            if str(error) != said:
                logger.error("the %s failed and is tried again: %s", name, error)
            said = str(error)
            loops.failed(name, said)
        except Exception as error:
            # A server without one of its loops is worse than one whose loop tries again.
            logger.exception("the %s failed and is tried again", name)
            loops.failed(name, f"{type(error).__name__}: {error}")
        await clock.sleep(1.0)


def _is_dead(process: ProcessIdentity) -> bool | None:
    machine = this_machine()
    if machine.shares_pids(process.machine):
        return not is_alive(process)
    return True if machine.was_booted_since(process.machine) else None
