"""``stoker version``."""

import os
import sys

import click

from stoker.cli.output import as_json, print_json


@click.command()
@as_json
def version(as_json: bool) -> None:
    """Show the version of Stoker, of Python, and the platform."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        own = version_of("stoker")
    except PackageNotFoundError:
        own = "unknown (not installed)"
    python = ".".join(map(str, sys.version_info[:3]))
    system = os.uname()
    platform = f"{system.sysname} {system.machine}"
    if as_json:
        print_json({"version": own, "python": python, "platform": platform})
    else:
        click.echo(f"stoker {own} (Python {python}, {platform})")
