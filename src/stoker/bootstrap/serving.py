"""One server, from its start to SIGTERM."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Awaitable, Callable

from stoker import __version__
from stoker.bootstrap.composition import start_services
from stoker.bootstrap.home_lock import lock_home
from stoker.bootstrap.listening import bind, need_key, raise_file_limit, url_of
from stoker.bootstrap.stores import database_path, open_store
from stoker.bootstrap.web_server import web_server
from stoker.clock import SystemClock
from stoker.domain.database_urls import is_postgres
from stoker.ports.store import Store
from stoker.services.replicas.members import Members, join
from stoker.settings import Settings
from stoker.storage.file_systems import refuse_network
from stoker.storage.sqlite.schema import make_home

logger = logging.getLogger("stoker.server")


def serve(settings: Settings) -> None:
    """Run a server until SIGTERM or SIGINT.

    Raises:
        Conflict: Another server runs on this home.
        Invalid: It shall bind beyond loopback, and there is no API key.
        Unavailable: The home cannot be made or written, the port is in use, or the database
            cannot be opened or lies on a network file system.
    """
    need_key(settings)
    raise_file_limit()
    make_home(settings.home)
    if not is_postgres(settings.database_url):
        # Before the lock: there it might hold for this machine alone, or wait for ever.
        refuse_network(database_path(settings))
        with lock_home(settings.home, "server") as claim_home:
            listener = bind(settings.server_host, settings.server_port)
            with listener:
                _open_and_serve(settings, listener, claim_home)
        return
    with bind(settings.server_host, settings.server_port) as listener:
        # Others may run on this home, each on a port of its own.
        port = listener.getsockname()[1]
        with lock_home(settings.home, f"server-{port}") as claim_home:
            _open_and_serve(settings, listener, claim_home)


def _open_and_serve(
    settings: Settings, listener: socket.socket, claim_home: Callable[[str], None]
) -> None:
    store = open_store(settings)
    try:
        claim_home(url_of(listener))
        _uvloop_run(_serve(settings, store, listener))
    finally:
        store.close()


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
    address = url_of(listener)
    members, clock = await join(
        store, SystemClock(), address=address, version=__version__, pace=settings.heartbeat
    )
    context, running = start_services(settings, store, members, clock, address)
    server = web_server(context, settings)
    # What the imports made lives for ever: the collector need not look at it again.
    gc.collect()
    gc.freeze()

    def stop() -> None:
        context.dispatcher.watch.close()
        context.feed.close()
        server.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    logger.info("serving %s, on the home %s", address, settings.home)
    try:
        await server.serve(sockets=[listener])
    finally:
        await running.end()
        if isinstance(members, Members):
            await members.leave()
