"""``stoker up``."""

import asyncio
import sys

import click

from stoker import settings
from stoker.cli.server import PORT
from stoker.client.discovery import live_server
from stoker.domain.errors import Conflict


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
    if url is not None:
        raise Conflict(
            f"a server runs on {found.home} already, at {url}; "
            "stop it first, or set STOKER_HOME to another folder"
        )
    from stoker.cli.supervisor import Program, Supervisor

    python = [sys.executable, "-P", "-m", "stoker"]
    server = [*python, "server", "start", "--with-parent"]
    if host is not None:
        server += ["--host", host]
    if port is not None:
        server += ["--port", str(port)]
    worker = [*python, "worker", "start", "--pool", pool, "--with-parent"]
    if limit is not None:
        worker += ["--limit", str(limit)]
    supervisor = Supervisor(
        found, pool, Program("server", server), Program("worker", worker), click.echo
    )
    sys.exit(asyncio.run(supervisor.run()))
