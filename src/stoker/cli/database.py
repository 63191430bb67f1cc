"""``stoker database``."""

from pathlib import Path

import click

from stoker import settings
from stoker.cli.output import as_json, print_fields, print_json
from stoker.cli.prune import prune
from stoker.domain.database_urls import is_postgres


@click.group()
def database() -> None:
    """Upgrade, check, prune, back up and restore the database of STOKER_DATABASE_URL."""


@database.command()
def upgrade() -> None:
    """Bring the schema up to date, as a server does at its start; others may serve meanwhile."""
    found = settings.load()
    from stoker.bootstrap.stores import database_name, database_path, need_psycopg

    if is_postgres(found.database_url):
        need_psycopg()
        from stoker.storage.postgres import maintenance

        done = maintenance.upgrade(found.database_url)
    else:
        from stoker.storage.sqlite import maintenance

        done = maintenance.upgrade(database_path(found))
    name = database_name(found)
    click.echo(f"{name}: {done} migrations applied" if done else f"{name} is up to date")


@database.command()
@as_json
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Say whether it can be reached, its schema, size and clock, and whether it is sound.

    The exit code is 1 where something is wrong.
    """
    found = settings.load()
    from stoker.bootstrap.stores import database_path, need_psycopg
    from stoker.clock import SystemClock

    if is_postgres(found.database_url):
        need_psycopg()
        from stoker.storage.postgres import maintenance

        checked = maintenance.check(found.database_url, SystemClock())
    else:
        from stoker.storage.sqlite import maintenance

        checked = maintenance.check(database_path(found))
    if as_json:
        print_json(checked)
    else:
        clock = None if checked.clock is None else f"{checked.clock:+.3f} s beside this machine's"
        print_fields(
            [
                ("Database", checked.database),
                ("Version", checked.version),
                ("Schema", f"{checked.schema} of the {checked.known} that this Stoker knows"),
                ("Size", f"{checked.size / 1e6:.1f} MB"),
                ("Runs", checked.runs),
                ("Clock", clock),
                ("Problems", "\n".join(checked.problems) or "none"),
                ("Notes", "\n".join(checked.notes) or None),
            ]
        )
    if checked.problems:
        context.exit(1)


@database.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write all records to FILE, as they are at one moment; servers may run meanwhile."""
    found = settings.load()
    from stoker.bootstrap.stores import database_name, database_path, need_psycopg

    if is_postgres(found.database_url):
        need_psycopg()
        from stoker.storage.postgres import maintenance

        maintenance.backup(found.database_url, file)
    else:
        from stoker.storage.sqlite import maintenance

        maintenance.backup(database_path(found), file)
    click.echo(f"{database_name(found)} is saved in {file} ({file.stat().st_size / 1e6:.1f} MB)")


@database.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the records that are there.")
def restore(file: Path, force: bool) -> None:
    """Put the records of a backup into an empty database, on which no server runs."""
    found = settings.load()
    from stoker.bootstrap.home_lock import without_server
    from stoker.bootstrap.stores import database_name, database_path, need_psycopg

    if is_postgres(found.database_url):
        need_psycopg()
        from stoker.storage.postgres import maintenance

        maintenance.restore(found.database_url, file, force=force)
    else:
        from stoker.storage.sqlite import maintenance

        with without_server(found):
            maintenance.restore(database_path(found), file, force=force)
    click.echo(f"{database_name(found)} has the records of {file}")


database.add_command(prune)
