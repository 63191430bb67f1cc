"""``stoker server``."""

from typing import Any

import click
import msgspec

from stoker import settings
from stoker.cli.lifeline import with_parent

PORT = click.IntRange(0, 65535)


@click.group()
def server() -> None:
    """Run the API server."""


@server.command()
@click.option("--host", help="Address to bind; 127.0.0.1 by default.")
@click.option("--port", type=PORT, help="Port to bind; 4200 by default, 0 for any free one.")
@with_parent
def start(host: str | None, port: int | None) -> None:
    """Run a server on STOKER_HOME until Ctrl-C or SIGTERM."""
    given: dict[str, Any] = {"server_host": host, "server_port": port}
    changes = {name: value for name, value in given.items() if value is not None}
    found = msgspec.structs.replace(settings.load(), **changes)
    from stoker.bootstrap.serving import serve
    from stoker.cli.terminal_log import log_to_terminal

    log_to_terminal(found.log_level, found.log_format)
    serve(found)
