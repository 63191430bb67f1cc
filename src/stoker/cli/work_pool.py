"""``stoker work-pool``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from msgspec import UNSET

from stoker.cli.context import NUMBERS, open_api, values
from stoker.cli.output import as_json, print_json, print_table
from stoker.cli.pool_details import show, status
from stoker.domain.pools import WarmKnobs, WorkPool
from stoker.domain.templates import DEFAULT_TEMPLATES, with_defaults
from stoker.wire.http import KnobChanges, PoolCreate, PoolUpdate

F = TypeVar("F", bound=Callable[..., Any])

COUNT = click.IntRange(min=0)


class OrNone(click.ParamType[Any, Any]):
    """A number as another type takes it, or the word ``none``."""

    def __init__(self, number: click.IntRange | click.FloatRange) -> None:
        self._number = number
        self.name = f"{number.name}|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`; the word stays as it is, since None is: not given."""
        return value if value == "none" else self._number.convert(value, param, ctx)


MORE_THAN_ZERO = click.FloatRange(min=0, min_open=True)


def _read_template(_: click.Context, option: click.Parameter, file: Path | None) -> Any:
    if file is None:
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"{file} is no JSON object: {error}", param=option) from None


def _read_defaults(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> Any:
    return values(pairs, "--default")


def pool_options(command: F) -> F:
    """The options of what can be set of a work pool."""
    for option in reversed(
        (
            click.option("--min", type=COUNT, help="Hosts that are always kept."),
            click.option("--max", type=click.IntRange(min=1), help="Hosts at the most."),
            click.option(
                "--buffer", type=COUNT, help="Free slots kept ready while there is demand."
            ),
            click.option(
                "--slots-per-host",
                type=click.IntRange(min=1),
                help="Runs that one host takes at a time.",
            ),
            click.option(
                "--idle-timeout",
                type=click.FloatRange(min=0),
                help="Seconds after which an idle host leaves.",
            ),
            click.option(
                "--max-runs",
                type=OrNone(click.IntRange(min=1)),
                help="Runs after which a host is replaced.",
            ),
            click.option(
                "--max-age",
                type=OrNone(MORE_THAN_ZERO),
                help="Seconds after which a host is replaced.",
            ),
            click.option(
                "--max-memory-growth",
                type=OrNone(MORE_THAN_ZERO),
                help="MB that a host's own processes may grow by before it is replaced.",
            ),
            click.option("--concurrency-limit", type=COUNT, help="Runs at a time in the pool."),
            click.option(
                "--fence-after",
                type=MORE_THAN_ZERO,
                help="Seconds of silence after which a host's runs are given up.",
            ),
            click.option(
                "--base-job-template",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                callback=_read_template,
                help="JSON file; see get-default-base-job-template.",
            ),
            click.option(
                "--default",
                "defaults",
                multiple=True,
                metavar="NAME=VALUE",
                callback=_read_defaults,
                help="Default of a variable of the template: JSON, else text. May be repeated.",
            ),
        )
    ):
        command = option(command)
    return command


def _knobs(given: dict[str, Any]) -> dict[str, Any]:
    """The knobs of the warm policy that were given."""
    return {
        name: None if value == "none" else value
        for name, value in given.items()
        if value is not None
    }


@click.group()
def work_pool() -> None:
    """Create, change and show work pools: where deployed flows run."""


@work_pool.command()
@click.argument("name")
@click.option(
    "--type",
    "kind",
    type=click.Choice(sorted(DEFAULT_TEMPLATES)),
    default="process",
    show_default=True,
    help="Kind of infrastructure.",
)
@pool_options
@as_json
def create(
    name: str,
    kind: str,
    concurrency_limit: int | None,
    fence_after: float | None,
    base_job_template: dict[str, Any] | None,
    defaults: dict[str, Any],
    as_json: bool,
    **given: Any,
) -> None:
    """Create the work pool NAME."""
    template = base_job_template or {}
    if defaults:
        template = with_defaults(template or DEFAULT_TEMPLATES[kind], defaults)
    with open_api() as api:
        pool = api.create_pool(
            PoolCreate(
                name=name,
                type=kind,
                base_job_template=template,
                concurrency_limit=concurrency_limit,
                warm=WarmKnobs(**_knobs(given)),
                **({} if fence_after is None else {"fence_after": fence_after}),
            )
        )
    if as_json:
        print_json(pool)
        return
    click.echo(f"Work pool {pool.name!r} ({pool.type}) is there.")
    click.echo(f"Serve it with: stoker worker start -p {pool.name}")


@work_pool.command()
@click.argument("name")
@pool_options
@as_json
def update(
    name: str,
    concurrency_limit: int | None,
    fence_after: float | None,
    base_job_template: dict[str, Any] | None,
    defaults: dict[str, Any],
    as_json: bool,
    **given: Any,
) -> None:
    """Change the work pool NAME; what is not given stays as it is."""
    knobs = _knobs(given)
    with open_api() as api:
        if defaults:
            template = base_job_template or api.pool(name).pool.base_job_template
            base_job_template = with_defaults(template, defaults)
        change = PoolUpdate(
            warm=KnobChanges(**knobs) if knobs else UNSET,
            fence_after=UNSET if fence_after is None else fence_after,
            concurrency_limit=UNSET if concurrency_limit is None else concurrency_limit,
            base_job_template=UNSET if base_job_template is None else base_job_template,
        )
        if change == PoolUpdate():
            raise click.UsageError("nothing to change: give an option, see --help")
        pool = api.update_pool(name, change)
    _say(pool, as_json, "is changed")


@work_pool.command()
@as_json
def ls(as_json: bool) -> None:
    """List the work pools and what they are doing."""
    with open_api() as api:
        pools = api.pools()
    if as_json:
        print_json(pools)
        return
    print_table(
        ("Name", "Type", "Status", "Running", "Waiting", "Limit", "Workers", "Hosts"),
        [
            (
                found.pool.name,
                found.pool.type,
                status(found),
                found.running,
                found.queued,
                found.pool.concurrency_limit,
                len(found.workers),
                len(found.hosts),
            )
            for found in pools
        ],
        empty="No work pools. Create one: stoker work-pool create NAME",
    )


@work_pool.command()
@click.argument("name")
@as_json
def inspect(name: str, as_json: bool) -> None:
    """Show the work pool NAME, its queues, workers and hosts, and what is not safe to fork."""
    with open_api() as api:
        found = api.pool(name)
    if as_json:
        print_json(found)
        return
    show(found)


@work_pool.command()
@click.argument("name")
@as_json
def pause(name: str, as_json: bool) -> None:
    """Let the work pool NAME start no run; running ones go on."""
    _change(name, PoolUpdate(paused=True), as_json, "is paused")


@work_pool.command()
@click.argument("name")
@as_json
def resume(name: str, as_json: bool) -> None:
    """Let the work pool NAME start runs again."""
    _change(name, PoolUpdate(paused=False), as_json, "starts runs again")


@work_pool.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the work pool NAME."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete the work pool {name!r}?", abort=True)
    with open_api() as api:
        api.delete_pool(name)
    click.echo(f"Work pool {name!r} is deleted.")


@work_pool.command(context_settings=NUMBERS)
@click.argument("name")
@click.argument("limit", type=COUNT)
@as_json
def set_concurrency_limit(name: str, limit: int, as_json: bool) -> None:
    """Let at most LIMIT runs of the work pool NAME execute at a time."""
    _change(name, PoolUpdate(concurrency_limit=limit), as_json, f"runs at most {limit} at a time")


@work_pool.command()
@click.argument("name")
@as_json
def clear_concurrency_limit(name: str, as_json: bool) -> None:
    """Lift the limit of runs at a time of the work pool NAME."""
    _change(name, PoolUpdate(concurrency_limit=None), as_json, "has no limit")


@work_pool.command()
@click.option(
    "--type",
    "kind",
    type=click.Choice(sorted(DEFAULT_TEMPLATES)),
    default="process",
    show_default=True,
    help="Kind of infrastructure.",
)
def get_default_base_job_template(kind: str) -> None:
    """Print the base job template that a pool of a type starts with, as JSON."""
    print_json(DEFAULT_TEMPLATES[kind])


def _change(name: str, change: PoolUpdate, as_json: bool, outcome: str) -> None:
    with open_api() as api:
        pool = api.update_pool(name, change)
    _say(pool, as_json, outcome)


def _say(pool: WorkPool, as_json: bool, outcome: str) -> None:
    if as_json:
        print_json(pool)
    else:
        click.echo(f"Work pool {pool.name!r} {outcome}.")
