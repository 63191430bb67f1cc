"""``stoker deployment``."""

import sys
from typing import Any

import click

from stoker.cli.context import json_object, open_api, values
from stoker.cli.lazy import LazyGroup, Table
from stoker.cli.output import as_json, clock, duration, print_fields, print_json, print_table
from stoker.cli.times import shown, start_of, summary
from stoker.cli.watch import may_leave
from stoker.cli.watch import watch as watch_run
from stoker.domain.deployments import Deployment, Parameter
from stoker.domain.requests import StartRun
from stoker.domain.states import StateType

COMMANDS: Table = {
    "schedule": ("stoker.cli.schedule:schedule", "Say when a deployment starts runs by itself."),
    "backfill": ("stoker.cli.backfill:backfill", "Make runs for a period that has passed."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def deployment() -> None:
    """Run, show and schedule deployments, and make their runs for periods that have passed."""


@deployment.command()
@click.argument("name", metavar="FLOW/NAME")
@click.option(
    "--param",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter: JSON, else text. May be repeated.",
)
@click.option("--params", metavar="JSON", help="Parameters as one JSON object.")
@click.option("--watch", is_flag=True, help="Follow it; exit with 1 unless it completes.")
@click.option("--name", "--flow-run-name", "run_name", help="The run's name.")
@click.option("--tag", "tags", multiple=True, help="A tag besides the deployment's.")
@click.option(
    "--job-variable",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="Overrides the deployment's: JSON, else text.",
)
@click.option(
    "--start-at", metavar="TIME", help="Not before then: ISO 8601, UTC where it has no offset."
)
@click.option("--start-in", metavar="SPAN", help="Not before so long from now: 90s, 15m, 1d.")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Start no other run where the deployment has one with this key.",
)
@as_json
def run(
    name: str,
    pairs: tuple[str, ...],
    params: str | None,
    watch: bool,
    run_name: str | None,
    tags: tuple[str, ...],
    variables: tuple[str, ...],
    start_at: str | None,
    start_in: str | None,
    idempotency_key: str | None,
    as_json: bool,
) -> None:
    """Start a run of the deployment FLOW/NAME."""
    parameters = json_object(params, "--params") | values(pairs, "--param")
    request = StartRun(
        deployment=name,
        parameters=parameters,
        name=run_name,
        tags=list(tags),
        job_variables=values(variables, "--job-variable"),
        scheduled_time=start_of(start_at, start_in),
        idempotency_key=idempotency_key,
    )
    with open_api() as api:
        started = api.start_run(request)
        if not as_json:
            click.echo(f"Flow run {started.name!r} of {name}: {started.id}")
            if request.scheduled_time is not None:
                click.echo(f"It begins at {shown(started.due, None)} or later.")
        if not watch:
            if as_json:
                print_json(started)
            else:
                click.echo(f"Follow it: stoker flow-run logs {started.id} --follow")
            return
        with may_leave(started.id):
            ended = api.wait_run(started.id) if as_json else watch_run(api, started.id)
    if as_json:
        print_json(ended)
    else:
        took = None if ended.ended is None else ended.ended - ended.created
        parts = [f"It took {duration(took)}"] if took is not None else []
        if ended.anatomy.seconds is not None:
            parts.append(f"its {ended.anatomy.start_class} start {duration(ended.anatomy.seconds)}")
        click.echo(", ".join(parts) + "." if parts else "")
    if ended.state.type is not StateType.COMPLETED:
        sys.exit(1)


@deployment.command()
@as_json
def ls(as_json: bool) -> None:
    """List the deployments."""
    with open_api() as api:
        found = api.deployments()
    if as_json:
        print_json(found)
        return
    print_table(
        ("Deployment", "Pool", "Queue", "Entrypoint", "Tags", "Updated"),
        [
            (d.full_name, d.pool, d.queue, d.entrypoint, ", ".join(d.tags), clock(d.updated))
            for d in found
        ],
        empty="No deployments. Make one: stoker deploy FILE.py:FLOW -n NAME -p POOL",
    )


@deployment.command()
@click.argument("name", metavar="FLOW/NAME")
@as_json
def inspect(name: str, as_json: bool) -> None:
    """Show the deployment FLOW/NAME."""
    with open_api() as api:
        found = api.deployment(name)
        schedules = api.schedules(name)
    if as_json:
        found.schedules = [one.schedule for one in schedules]
        print_json(found)
        return
    print_fields(
        [
            ("Name", found.full_name),
            ("Id", found.id),
            ("Entrypoint", found.entrypoint),
            ("Folder", found.path),
            ("Pool", f"{found.pool}, queue {found.queue}"),
            ("Takes", _signature(found.signature)),
            ("Parameters", _assigned(found.parameters)),
            ("Job variables", _assigned(found.job_variables)),
            ("Description", found.description or None),
            ("Tags", ", ".join(found.tags) or None),
            ("Timeout", duration(found.timeout)),
            ("Isolation", found.isolation),
            ("Limit", _limit(found)),
            ("Crashes", _crashes(found)),
            ("Created", clock(found.created)),
            ("Updated", clock(found.updated)),
            ("Schedules", "\n".join(map(summary, schedules)) or None),
        ]
    )


@deployment.command()
@click.argument("name", metavar="FLOW/NAME")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the deployment FLOW/NAME."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete the deployment {name}?", abort=True)
    with open_api() as api:
        api.delete_deployment(name)
    click.echo(f"Deployment {name} is deleted.")


def _limit(found: Deployment) -> str | None:
    if found.concurrency_limit is None:
        return None
    return f"{found.concurrency_limit} at a time, {found.collision_strategy}"


def _crashes(found: Deployment) -> str | None:
    if not found.crash_retries:
        return None
    times = "once" if found.crash_retries == 1 else f"{found.crash_retries} times"
    after = f", {duration(found.crash_retry_delay)} later" if found.crash_retry_delay else ""
    return f"a run that crashes begins again, {times}{after}"


def _signature(signature: list[Parameter] | None) -> str:
    if signature is None:
        return "any parameter"
    shown = [
        p.name + (f": {p.type}" if p.type else "") + ("" if p.required else " (optional)")
        for p in signature
    ]
    return ", ".join(shown) or "no parameter"


def _assigned(found: dict[str, Any]) -> str | None:
    return ", ".join(f"{name}={value!r}" for name, value in found.items()) or None
