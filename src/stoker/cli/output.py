"""How commands print: JSON, tables, times."""

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""The option of every command that lists or shows."""


def print_json(value: Any, *, indent: int = 2) -> None:
    """Print a record as JSON; with ``indent`` below 0 on one line."""
    text = msgspec.json.encode(value)
    if indent >= 0:
        text = msgspec.json.format(text, indent=indent)
    click.echo(text.decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table, or one line where there are no rows. None prints as nothing."""
    found = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not found:
        click.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*map(Text, row))
    # What is read by a program must not be cut to a terminal's width.
    width = None if sys.stdout.isatty() else 400
    console = Console(file=sys.stdout, width=width, highlight=False)
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n"))


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one per line; what is None is left out."""
    shown = [(name, str(value)) for name, value in fields if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        lines = value.splitlines() or [""]
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{' ' * width}  {line}")


def clock(at: float | None) -> str | None:
    """A time of day of this machine, with its date."""
    if at is None:
        return None
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def millis_clock(at: float) -> str:
    """A time of day of this machine, to the millisecond."""
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03d}"


def duration(seconds: float | None) -> str | None:
    """A span of time in the unit that suits it; ``"?"`` where the clock was set back meanwhile.

    Example:
        >>> duration(0.00123), duration(12.34), duration(3723), duration(-3600)
        ('1.23 ms', '12.3 s', '1 h 2 min 3 s', '?')
    """
    if seconds is None:
        return None
    # Clocks of two machines differ by some milliseconds at any time.
    if seconds < -1:
        return "?"
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"
