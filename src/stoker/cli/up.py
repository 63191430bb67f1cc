"""``stoker up``."""

import asyncio
import os
import sys
from contextlib import suppress

import click

from stoker import settings
from stoker.cli.server import PORT
from stoker.client.discovery import live_server
from stoker.client.http import Api
from stoker.domain.database_urls import is_postgres
from stoker.domain.errors import Conflict
from stoker.domain.pools import WarmKnobs
from stoker.settings import Settings
from stoker.wire.http import PoolCreate


@click.command()
@click.option("--host", help="Address to bind; 127.0.0.1 by default.")
@click.option("--port", type=PORT, help="Port to bind; 4200 by default, 0 for any free one.")
@click.option("--pool", default="default", show_default=True, help="The work pool to serve.")
@click.option("--limit", type=click.IntRange(min=1), help="Runs at a time.")
def up(host: str | None, port: int | None, pool: str, limit: int | None) -> None:
    """Start a server, a process pool and its worker together.

    Ctrl-C or SIGTERM drains them: running flows may end within the grace time. A second one
    stops at once.
    """
    found = settings.load()
    url = live_server(found.home)
    if url is not None and not is_postgres(found.database_url):
        raise Conflict(
            f"a server runs on {found.home} already, at {url}; "
            "stop it first, or set STOKER_HOME to another folder"
        )
    from stoker.supervision.programs import NotStarted, Program, command
    from stoker.supervision.servers import OwnServer
    from stoker.supervision.supervisor import Supervisor

    server = ["server", "start"]
    if host is not None:
        server += ["--host", host]
    if port is not None:
        server += ["--port", str(port)]
    supervisor = Supervisor(
        found,
        OwnServer(found, Program("server", command(*server))),
        Pool(found, pool),
        click.echo,
        worker=[] if limit is None else ["--limit", str(limit)],
    )
    try:
        asyncio.run(supervisor.run())
    except NotStarted:
        sys.exit(1)


class Pool:
    """A work pool for whatever is deployed; see `stoker.supervision.supervisor.Task`.

    Args:
        settings: The home.
        pool: Its name.
    """

    def __init__(self, settings: Settings, pool: str) -> None:
        self.pool = pool
        self._home = settings.home

    def prepare(self, api: Api) -> None:
        """Make it, unless it is there from an earlier time."""
        # More hosts on one machine would only import the same code again.
        warm = WarmKnobs(min=1, max=1, slots_per_host=max(8, 2 * (os.cpu_count() or 1)))
        with suppress(Conflict):
            api.create_pool(PoolCreate(name=self.pool, warm=warm))

    def is_ready(self, api: Api) -> bool:
        """It is: what is deployed later finds its host."""
        del api
        return True

    def greeting(self, url: str) -> list[str]:
        """Say what to do with it."""
        return [
            "",
            "Stoker is up.",
            f"  server     {url}",
            f"  work pool  {self.pool} (process)",
            f"  home       {self._home}",
            "",
            "In another terminal, deploy a flow and run it:",
            f"  stoker deploy flows.py:hello -n first -p {self.pool}",
            "  stoker deployment run hello/first --watch",
            f"Look around: stoker work-pool inspect {self.pool}, stoker flow-run ls",
            "Stop with Ctrl-C.",
            "",
        ]

    def leave(self, api: Api) -> None:
        """Nothing changes: deployments of a pool may have workers elsewhere."""
        del api
