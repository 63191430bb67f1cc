"""``stoker deployment backfill``."""

import click

from stoker.cli.context import json_object, naming, open_api, values
from stoker.cli.output import as_json, clock, print_json, print_table
from stoker.cli.times import seconds_of, shown
from stoker.domain.schedules import Backfill, Schedule
from stoker.wire.schedules import BackfillAnswer, BackfillStart

OPTIONS = {
    "from": "--from",
    "to": "--to",
    # An interval is counted from there.
    "anchor_date": "--from",
    "interval": "--every",
    "cron": "--cron",
    "rrule": "--rrule",
    "timezone": "--timezone",
    "limit": "--limit",
    "parameters": "--param",
    "param_instant": "--param-instant",
}
"""Which option a field of the request comes from."""


class _Group(click.Group):
    """Takes what is no name of a command for a deployment whose backfill is to start."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["start", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Group, subcommand_metavar="FLOW/NAME --from TIME --to TIME … | ls | cancel")
def backfill() -> None:
    """Make runs for a period that has passed, one for each instant.

    The same command again goes on with the same backfill: no instant has two runs.
    """


@backfill.command()
@click.argument("name", metavar="FLOW/NAME")
@click.option("--from", "start", required=True, metavar="TIME", help="First instant that counts.")
@click.option(
    "--to", "stop", required=True, metavar="TIME", help="First instant that does not any more."
)
@click.option("--every", metavar="SPAN", help="An instant each 15m, 1h, 1d, counted from --from.")
@click.option("--cron", metavar="FIELDS", help="Instants that fit a cron expression.")
@click.option("--rrule", metavar="RULE", help="Instants of a recurrence rule.")
@click.option("--schedule", "slug", metavar="SCHEDULE", help="Those of one of its schedules.")
@click.option("--timezone", metavar="ZONE", help="For example Europe/Berlin; UTC by default.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Runs at a time."
)
@click.option("--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter.")
@click.option("--params", metavar="JSON", help="Parameters as one JSON object.")
@click.option("--param-instant", metavar="NAME", help="Parameter that takes the run's instant.")
@click.option("--dry-run", is_flag=True, help="Only say which runs there would be.")
@as_json
def start(
    name: str,
    start: str,
    stop: str,
    every: str | None,
    cron: str | None,
    rrule: str | None,
    slug: str | None,
    timezone: str | None,
    limit: int,
    pairs: tuple[str, ...],
    params: str | None,
    param_instant: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make runs of the deployment FLOW/NAME for the instants of a period.

    TIME is ISO 8601: 2026-01-31, 2026-01-31T09:00 or with an offset; without one it is meant in
    --timezone. The server goes on by itself; see `stoker deployment backfill ls`.
    """
    if sum(one is not None for one in (every, cron, rrule, slug)) != 1:
        raise click.UsageError("give one of --every, --cron, --rrule and --schedule")
    if slug is not None and timezone is not None:
        raise click.UsageError("--timezone: a schedule has its own")
    schedule = None
    if slug is None:
        schedule = Schedule(
            cron=cron,
            interval=None if every is None else seconds_of(every, "--every"),
            rrule=rrule,
            timezone=timezone,
            anchor_date=start if every is not None else None,
        )
    request = BackfillStart(
        start=start,
        stop=stop,
        schedule=schedule,
        slug=slug,
        parameters=json_object(params, "--params") | values(pairs, "--param"),
        limit=limit,
        param_instant=param_instant,
        dry_run=dry_run,
    )
    with open_api() as api, naming(OPTIONS):
        answer = api.start_backfill(name, request)
    if as_json:
        print_json(answer)
    elif answer.backfill is None:
        _show_dry(name, answer)
    else:
        _show(answer.backfill)


def _show_dry(name: str, answer: BackfillAnswer) -> None:
    for instant in answer.instants:
        click.echo(shown(instant, answer.timezone))
    more = answer.total - len(answer.instants)
    if more:
        click.echo(f"… and {more} more")
    click.echo(f"{answer.total} runs of {name}; none was made.")


def _show(one: Backfill) -> None:
    click.echo(
        f"Backfill {one.id} of {one.deployment}: {one.made} of {one.total} runs made, "
        f"{one.limit} at a time, {one.state.lower()}."
    )
    if one.state == "RUNNING":
        click.echo("The server goes on with it: stoker deployment backfill ls")


@backfill.command()
@click.argument("name", metavar="FLOW/NAME", required=False)
@as_json
def ls(name: str | None, as_json: bool) -> None:
    """List the newest backfills, of all deployments or of FLOW/NAME."""
    with open_api() as api:
        found = api.backfills(name)
    if as_json:
        print_json(found)
        return
    print_table(
        ("Backfill", "Deployment", "When", "State", "Made", "Open", "At a time", "Created"),
        [
            (
                one.id,
                one.deployment,
                one.schedule.text,
                one.state.title(),
                f"{one.made} of {one.total}",
                one.open,
                one.limit,
                clock(one.created),
            )
            for one in found
        ],
        empty="No backfills.",
    )


@backfill.command()
@click.argument("backfill_id", metavar="BACKFILL")
@as_json
def cancel(backfill_id: str, as_json: bool) -> None:
    """Make no more runs of BACKFILL and cancel those that wait; those that run go on."""
    with open_api() as api:
        one = api.cancel_backfill(backfill_id)
    if as_json:
        print_json(one)
    else:
        _show(one)
