"""``stoker deployment schedule``."""

import sys

import click

from stoker.cli.context import json_object, naming, open_api, values
from stoker.cli.output import as_json, print_json, print_table
from stoker.cli.times import SCHEDULE_FIELDS, seconds_of, shown, summary
from stoker.domain.schedules import CATCHUPS, Schedule

OPTIONS = {**SCHEDULE_FIELDS, "slug": "--slug", "parameters": "--param"}
"""Which option a field of the request comes from."""


@click.group()
def schedule() -> None:
    """Say when a deployment starts runs by itself."""


@schedule.command()
@click.argument("name", metavar="FLOW/NAME")
@click.option("--cron", metavar="FIELDS", help="Minute, hour, day, month, weekday; or @daily.")
@click.option("--interval", metavar="SPAN", help="Time between two runs: 90s, 15m, 6h, 1d.")
@click.option("--rrule", metavar="RULE", help="A recurrence rule of RFC 5545.")
@click.option("--timezone", metavar="ZONE", help="For example Europe/Berlin; UTC by default.")
@click.option(
    "--anchor",
    "--anchor-date",
    metavar="TIME",
    help="An instant of the interval, or the rule's start.",
)
@click.option("--day-and", is_flag=True, help="Fire where day of month and of week both fit.")
@click.option(
    "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter: JSON, else text."
)
@click.option("--params", metavar="JSON", help="Parameters as one JSON object.")
@click.option("--slug", help="The schedule's name.")
@click.option("--active/--inactive", default=True, help="Whether it fires. It does by default.")
@click.option(
    "--catchup",
    type=click.Choice(CATCHUPS),
    default="all",
    show_default=True,
    help="What is run of what was missed while no server was up.",
)
@click.option(
    "--max-catchup", type=click.IntRange(min=1), help="So many missed runs at the most, the newest."
)
@as_json
def create(
    name: str,
    cron: str | None,
    interval: str | None,
    rrule: str | None,
    timezone: str | None,
    anchor: str | None,
    day_and: bool,
    pairs: tuple[str, ...],
    params: str | None,
    slug: str | None,
    active: bool,
    catchup: str,
    max_catchup: int | None,
    as_json: bool,
) -> None:
    """Let the deployment FLOW/NAME start runs by itself.

    It takes one of --cron, --interval and --rrule; a deployment may have several schedules.
    """
    if sum(one is not None for one in (cron, interval, rrule)) != 1:
        raise click.UsageError("give one of --cron, --interval and --rrule")
    wanted = Schedule(
        cron=cron,
        interval=None if interval is None else seconds_of(interval, "--interval"),
        rrule=rrule,
        timezone=timezone,
        anchor_date=anchor,
        day_or=not day_and,
        active=active,
        parameters=json_object(params, "--params") | values(pairs, "--param"),
        slug=slug,
        catchup=catchup,
        max_catchup=max_catchup,
    )
    with open_api() as api, naming(OPTIONS):
        made = api.create_schedule(name, wanted)
    if as_json:
        print_json(made)
    else:
        click.echo(summary(made))


@schedule.command()
@click.argument("name", metavar="FLOW/NAME")
@as_json
def ls(name: str, as_json: bool) -> None:
    """List the schedules of the deployment FLOW/NAME, with their next runs."""
    with open_api() as api:
        found = api.schedules(name)
    if as_json:
        print_json(found)
        return
    print_table(
        ("Schedule", "When", "Active", "Next", "Parameters", "Catch-up"),
        [
            (
                one.slug,
                one.schedule.text,
                "yes" if one.schedule.active else "no",
                shown(next(iter(one.upcoming), None), one.schedule.timezone),
                ", ".join(f"{key}={value!r}" for key, value in one.schedule.parameters.items()),
                one.schedule.catchup,
            )
            for one in found
        ],
        empty=f"No schedules. Make one: stoker deployment schedule create {name} --cron @daily",
    )


@schedule.command()
@click.argument("name", metavar="FLOW/NAME")
@click.argument("slug", metavar="SCHEDULE")
def pause(name: str, slug: str) -> None:
    """Let SCHEDULE of the deployment FLOW/NAME fire no more, until it is resumed."""
    _set(name, slug, active=False)


@schedule.command()
@click.argument("name", metavar="FLOW/NAME")
@click.argument("slug", metavar="SCHEDULE")
def resume(name: str, slug: str) -> None:
    """Let SCHEDULE fire again. What was due while it was paused is not run."""
    _set(name, slug, active=True)


def _set(name: str, slug: str, *, active: bool) -> None:
    with open_api() as api:
        changed = api.set_schedule_active(name, slug, active=active)
    click.echo(summary(changed))


@schedule.command()
@click.argument("name", metavar="FLOW/NAME")
@click.argument("slug", metavar="SCHEDULE")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def delete(name: str, slug: str, yes: bool) -> None:
    """Delete SCHEDULE of the deployment FLOW/NAME; runs that it has started go on."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete the schedule {slug} of {name}?", abort=True)
    with open_api() as api:
        api.delete_schedule(name, slug)
    click.echo(f"Schedule {slug} of {name} is deleted.")
