"""Command groups that import a command's module only when it is invoked."""

from importlib import import_module
from typing import Any

import click

from stoker.domain.errors import StokerError

Table = dict[str, tuple[str, str]]
"""``name → ("module:attribute", one line of help)``."""


class LazyGroup(click.Group):
    """A group whose commands are named in a table, each with its line of help.

    Commands that are added to it as to any other group come before these.

    Errors that Stoker raises on purpose, and those of the operating system, end a command
    with one line on standard error and exit code 1.
    """

    def __init__(self, *args: Any, table: Table, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._table[cmd_name][0].partition(":")
        return getattr(import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        rows = [
            (name, command.get_short_help_str(limit=70)) for name, command in self.commands.items()
        ]
        rows += [(name, text) for name, (_, text) in self._table.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StokerError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(str(error)) from None
