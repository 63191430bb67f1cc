"""``stoker worker``."""

import asyncio
import os

import click

from stoker import settings
from stoker.cli.context import server_url
from stoker.cli.lifeline import with_parent


@click.group()
def worker() -> None:
    """Run a worker: it launches and watches the hosts of a work pool."""


@worker.command()
@click.option("--pool", "-p", required=True, help="The work pool to serve.")
@click.option(
    "--queue",
    "-q",
    "queues",
    multiple=True,
    help="Serve only this queue of the pool. May be repeated.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Runs at a time on this worker's hosts.")
@click.option("--name", help="The worker's name; a readable one by default.")
@with_parent
def start(pool: str, queues: tuple[str, ...], limit: int | None, name: str | None) -> None:
    """Serve a work pool until Ctrl-C or SIGTERM, which lets running flows end.

    A second one stops at once.
    """
    found = settings.load()
    url = server_url(found)
    from stoker.cli.terminal_log import log_to_terminal
    from stoker.clock import SystemClock
    from stoker.launchers.process import ProcessLauncher
    from stoker.worker.service import WorkerConfig, run_worker

    if found.log_format != "text":
        # Its hosts write theirs in the same way, also where a file sets it.
        os.environ["STOKER_LOG_FORMAT"] = found.log_format
    log_to_terminal(found.log_level, found.log_format)
    config = WorkerConfig(
        api_url=url,
        home=found.home,
        pool=pool,
        queues=list(queues),
        limit=limit,
        name=name or "",
        api_key=found.api_key,
        grace=found.shutdown_grace,
        cancel_grace=found.cancel_grace,
        spool_limit=round(found.spool_limit * 1e6),
    )
    asyncio.run(run_worker(config, {"process": ProcessLauncher}, SystemClock()))
