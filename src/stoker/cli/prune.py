"""``stoker database prune``."""

import time

import click

from stoker import settings
from stoker.cli.output import as_json, print_json


@click.command()
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(min=0),
    help="Days after which runs, log lines and events go; by default the settings retention_*.",
)
@click.option("--dry-run", is_flag=True, help="Say how much that is, and delete nothing.")
@as_json
def prune(days: float | None, dry_run: bool, as_json: bool) -> None:
    """Delete what is old: runs that are over with all they left, log lines, events.

    A server does so by itself. It works in small steps, beside running servers.
    """
    found = settings.load()
    from stoker.bootstrap.retention import ages_of, forget_results
    from stoker.bootstrap.stores import open_store
    from stoker.services.operations.pruning import Ages, Pruned, count, steps
    from stoker.services.unit import Unit

    seconds = None if days is None else days * 86_400
    ages = ages_of(found) if seconds is None else Ages(runs=seconds, logs=seconds, events=seconds)
    store = open_store(found)
    try:
        if dry_run:
            whole = store.read(lambda records: count(Unit(records, time.time()), ages)).result()
        else:
            whole = Pruned()
            for step in steps(ages):
                more = True
                while more:
                    done = store.write(
                        lambda records, step=step: step(Unit(records, time.time()))
                    ).result()
                    forget_results(found, done.files)
                    whole.add(done)
                    more = done.more
    finally:
        store.close()
    if as_json:
        print_json({"runs": whole.runs, "logs": whole.logs, "events": whole.events})
        return
    outcome = "would be deleted" if dry_run else "are deleted"
    click.echo(f"{whole.runs} runs, {whole.logs} log lines and {whole.events} events {outcome}.")
