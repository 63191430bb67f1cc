"""``stoker config``."""

from typing import Any

import click
import msgspec

from stoker import settings
from stoker.cli.output import as_json, print_json, print_table


@click.group()
def config() -> None:
    """Show the settings."""


class Shown(msgspec.Struct):
    """One setting as ``stoker config view`` shows it."""

    name: str
    value: Any
    source: str
    variable: str
    allowed: str
    doc: str


@config.command()
@as_json
def view(as_json: bool) -> None:
    """Show each setting, its value, and where it comes from."""
    found, sources = settings.load_with_sources()
    rows = [
        Shown(
            name=row.name,
            value=_shown(row.name, getattr(found, row.name)),
            source=sources[row.name],
            variable=row.variable,
            allowed=row.allowed,
            doc=row.doc,
        )
        for row in settings.fields()
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("Setting", "Value", "Source", "What it is for"),
        [(row.name, row.value, row.source, row.doc) for row in rows],
        empty="",
    )


def _shown(name: str, value: object) -> object:
    return (
        value if value is None or isinstance(value, (int, float)) else settings.shown(name, value)
    )
