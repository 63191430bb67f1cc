"""``stoker global-concurrency-limit``."""

import click
from msgspec import UNSET

from stoker.cli.context import open_api
from stoker.cli.limit_details import list_limits, say_limit, show_limit
from stoker.cli.output import as_json
from stoker.domain.concurrency import LimitKind
from stoker.wire.http import LimitCreate, LimitUpdate

SLOTS = click.IntRange(min=0)
decay_option = click.option(
    "--slot-decay-per-second",
    "decay",
    type=click.FloatRange(min=0),
    help="Slots that come back by themselves each second, for rate_limit().",
)


@click.group()
def global_concurrency_limit() -> None:
    """Limits with names, for `concurrency` and `rate_limit` in code."""


@global_concurrency_limit.command()
@click.argument("name")
@click.option("--limit", "-l", type=SLOTS, required=True, help="Slots at a time; 0 lets none.")
@decay_option
@click.option("--disable", is_flag=True, help="Make it without effect for now.")
@as_json
def create(name: str, limit: int, decay: float | None, disable: bool, as_json: bool) -> None:
    """Create the limit NAME."""
    wish = LimitCreate(
        kind=LimitKind.NAME, name=name, slots=limit, decay=decay or 0.0, active=not disable
    )
    with open_api() as api:
        made = api.create_limit(wish)
    say_limit(made, as_json, "is there")


@global_concurrency_limit.command()
@click.argument("name")
@click.option("--limit", "-l", type=SLOTS, help="Slots at a time; 0 lets none.")
@decay_option
@click.option("--enable/--disable", "active", default=None, help="Let it hold, or not.")
@as_json
def update(
    name: str, limit: int | None, decay: float | None, active: bool | None, as_json: bool
) -> None:
    """Change the limit NAME; what is not given stays as it is."""
    if limit is None and decay is None and active is None:
        raise click.UsageError(
            "nothing to change: give --limit, --slot-decay-per-second, --enable or --disable"
        )
    wish = LimitUpdate(
        slots=UNSET if limit is None else limit,
        decay=UNSET if decay is None else decay,
        active=UNSET if active is None else active,
    )
    with open_api() as api:
        changed = api.update_limit(LimitKind.NAME, name, wish)
    say_limit(changed, as_json, "is changed")


@global_concurrency_limit.command()
@as_json
def ls(as_json: bool) -> None:
    """List the limits with names."""
    with open_api() as api:
        found = api.limits(LimitKind.NAME)
    empty = "There is no such limit; `stoker global-concurrency-limit create` makes one."
    list_limits(found, as_json, empty=empty)


@global_concurrency_limit.command()
@click.argument("name")
@as_json
def inspect(name: str, as_json: bool) -> None:
    """Show the limit NAME, who has its slots, and who waits for them."""
    with open_api() as api:
        show_limit(api.limit(LimitKind.NAME, name), as_json)


@global_concurrency_limit.command()
@click.argument("name")
def delete(name: str) -> None:
    """Delete the limit NAME; who waits for it goes on."""
    with open_api() as api:
        api.delete_limit(LimitKind.NAME, name)
    click.echo(f"The limit {name!r} is deleted.")
