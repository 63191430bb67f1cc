"""``stoker concurrency-limit``."""

import click

from stoker.cli.context import NUMBERS, open_api
from stoker.cli.limit_details import list_limits, say_limit, show_limit
from stoker.cli.output import as_json
from stoker.domain.concurrency import LimitKind
from stoker.wire.http import LimitCreate, LimitUpdate

SLOTS = click.IntRange(min=0)


@click.group()
def concurrency_limit() -> None:
    """Limit how many task runs with a tag run at a time."""


@concurrency_limit.command(context_settings=NUMBERS)
@click.argument("tag")
@click.argument("limit", type=SLOTS)
@as_json
def create(tag: str, limit: int, as_json: bool) -> None:
    """Let LIMIT task runs with TAG run at a time; 0 lets none."""
    with open_api() as api:
        made = api.create_limit(LimitCreate(kind=LimitKind.TAG, name=tag, slots=limit))
    say_limit(made, as_json, "holds from now on")


@concurrency_limit.command(context_settings=NUMBERS)
@click.argument("tag")
@click.argument("limit", type=SLOTS)
@as_json
def update(tag: str, limit: int, as_json: bool) -> None:
    """Change the limit of TAG; task runs that run go on."""
    with open_api() as api:
        changed = api.update_limit(LimitKind.TAG, tag, LimitUpdate(slots=limit))
    say_limit(changed, as_json, "holds from now on")


@concurrency_limit.command()
@as_json
def ls(as_json: bool) -> None:
    """List the tags that have limits."""
    with open_api() as api:
        found = api.limits(LimitKind.TAG)
    list_limits(found, as_json, empty="No tag has a limit; `stoker concurrency-limit create`.")


@concurrency_limit.command()
@click.argument("tag")
@as_json
def inspect(tag: str, as_json: bool) -> None:
    """Show the limit of TAG, who has its slots, and who waits for them."""
    with open_api() as api:
        show_limit(api.limit(LimitKind.TAG, tag), as_json)


@concurrency_limit.command()
@click.argument("tag")
def delete(tag: str) -> None:
    """Lift the limit of TAG; who waits for it goes on."""
    with open_api() as api:
        api.delete_limit(LimitKind.TAG, tag)
    click.echo(f"The tag {tag!r} has no limit any more.")
