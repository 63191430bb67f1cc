"""``stoker version``."""

import os
import sys

import click

from stoker import __version__
from stoker.cli.output import as_json, print_json


@click.command()
@as_json
def version(as_json: bool) -> None:
    """Show the version of Stoker, of Python, and the platform."""
    python = ".".join(map(str, sys.version_info[:3]))
    system = os.uname()
    platform = f"{system.sysname} {system.machine}"
    if as_json:
        print_json({"version": __version__, "python": python, "platform": platform})
    else:
        click.echo(f"stoker {__version__} (Python {python}, {platform})")
