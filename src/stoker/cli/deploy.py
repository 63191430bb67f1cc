"""``stoker deploy``."""

import click

from stoker.cli.context import naming, open_api, values
from stoker.cli.output import as_json, print_json
from stoker.cli.times import SCHEDULE_FIELDS, schedules_given, seconds_of
from stoker.domain.deployments import ISOLATIONS, CollisionStrategy, ConcurrencyLimitConfig


@click.command()
@click.argument("entrypoint", metavar="FILE.py:FLOW")
@click.option("--name", "-n", required=True, help="The deployment's own name.")
@click.option("--pool", "-p", default="default", show_default=True, help="The work pool.")
@click.option("--queue", "-q", default="default", show_default=True, help="The pool's queue.")
@click.option(
    "--param",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A default for its runs: JSON, else text. May be repeated.",
)
@click.option(
    "--job-variable",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="Sets one of the pool's base job template: JSON, else text. May be repeated.",
)
@click.option("--tag", "tags", multiple=True, help="A tag of its runs. May be repeated.")
@click.option(
    "--isolation",
    type=click.Choice(ISOLATIONS),
    default="fork",
    show_default=True,
    help="What each run has of its own: a process, or a host, launched ahead and used once.",
)
@click.option(
    "--cron",
    "crons",
    multiple=True,
    metavar="FIELDS",
    help="Minute, hour, day, month, weekday of a schedule; or @daily. May be repeated.",
)
@click.option(
    "--interval",
    "intervals",
    multiple=True,
    metavar="SPAN",
    help="Time between two runs of a schedule: 90s, 15m, 6h, 1d. May be repeated.",
)
@click.option(
    "--rrule",
    "rrules",
    multiple=True,
    metavar="RULE",
    help="A schedule's recurrence rule of RFC 5545. May be repeated.",
)
@click.option("--timezone", metavar="ZONE", help="The schedules'; UTC by default.")
@click.option(
    "--anchor",
    "--anchor-date",
    metavar="TIME",
    help="An instant of the interval, or the rule's start.",
)
@click.option(
    "--concurrency-limit", type=click.IntRange(min=0), help="Runs at a time; any number by default."
)
@click.option(
    "--collision-strategy",
    type=click.Choice([one.value for one in CollisionStrategy]),
    default=CollisionStrategy.ENQUEUE.value,
    show_default=True,
    help="What becomes of a new run where that many are there: it waits, or is cancelled.",
)
@click.option(
    "--crash-retries",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How often a run begins again whose process died, or its host.",
)
@click.option(
    "--crash-retry-delay",
    default="0",
    metavar="SPAN",
    help="How long it waits first, for example 30s or 5m; not at all by default.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds that a run may take, with 2 more to clean up; the flow's own by default.",
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False),
    help="Folder that its code is imported from, and where its runs start.",
)
@as_json
def deploy(
    entrypoint: str,
    name: str,
    pool: str,
    queue: str,
    pairs: tuple[str, ...],
    variables: tuple[str, ...],
    tags: tuple[str, ...],
    isolation: str,
    crons: tuple[str, ...],
    intervals: tuple[str, ...],
    rrules: tuple[str, ...],
    timezone: str | None,
    anchor: str | None,
    concurrency_limit: int | None,
    collision_strategy: str,
    crash_retries: int,
    crash_retry_delay: str,
    timeout: float | None,
    project: str | None,
    as_json: bool,
) -> None:
    """Deploy a flow to a work pool, under FLOW/NAME.

    FLOW is the name of the flow's function; it may be left out where FILE.py has one flow.
    Schedules that are named take the place of those that it has; else these stay.
    """
    file, _, function = entrypoint.rpartition(":")
    if not file or function.endswith(".py"):
        file, function = entrypoint, ""
    parameters = values(pairs, "--param")
    job_variables = values(variables, "--job-variable")
    delay = seconds_of(crash_retry_delay, "--crash-retry-delay")
    schedules = schedules_given(crons, intervals, rrules, timezone, anchor)
    with open_api() as api:
        # The user's file is imported only when there is a server to tell.
        api.pool(pool)
        from stoker.deployments import deployment_of

        found = deployment_of(
            file,
            function or None,
            name=name,
            pool=pool,
            queue=queue,
            parameters=parameters,
            job_variables=job_variables,
            tags=tags,
            isolation=isolation,
            project=project,
        )
        if concurrency_limit is not None:
            from stoker.engine.describing import limited

            limited(found, ConcurrencyLimitConfig(concurrency_limit, collision_strategy))
        found.crash_retries, found.crash_retry_delay = crash_retries, delay
        if timeout is not None:
            found.timeout = timeout
        found.schedules = schedules
        with naming(SCHEDULE_FIELDS):
            stored = api.put_deployment(found)
    if as_json:
        print_json(stored)
        return
    needed = [
        p.name for p in stored.signature or [] if p.required and p.name not in stored.parameters
    ]
    options = "".join(f" --param {parameter}=…" for parameter in needed)
    click.echo(f"Deployment {stored.full_name} is on work pool {stored.pool!r}.")
    click.echo(f"Run it: stoker deployment run {stored.full_name}{options} --watch")
