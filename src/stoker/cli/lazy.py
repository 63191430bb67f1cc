"""Command groups that import a command's module only when it is invoked."""

from importlib import import_module
from typing import Any

import click

from stoker.domain.errors import StokerError

Table = dict[str, tuple[str, str]]
"""``name → ("module:attribute", one line of help)``."""


class LazyGroup(click.Group):
    """A group whose commands are named in a table, each with its line of help.

    Errors that Stoker raises on purpose, and those of the operating system, end a command
    with one line on standard error and exit code 1.
    """

    def __init__(self, *args: Any, table: Table, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        return getattr(import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._table.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StokerError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(str(error)) from None
