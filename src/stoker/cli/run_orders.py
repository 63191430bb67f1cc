"""``stoker flow-run cancel``, ``pause``, ``suspend``, ``resume``, ``retry``, ``delete``."""

import sys
from collections.abc import Callable, Sequence

import click

from stoker.cli.context import open_api
from stoker.cli.output import as_json, print_json
from stoker.client.http import Api
from stoker.domain.errors import Conflict, NotFound
from stoker.domain.runs import FlowRun
from stoker.domain.states import TERMINAL, StateType

PAGE = 1000
"""Runs that the server is asked for at a time."""
OPEN = [state.value for state in StateType if state not in TERMINAL]

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=3600.0,
    show_default=True,
    help="Seconds after which it fails, where nobody resumes it; 0 for never.",
)


@click.command()
@click.argument("run_id", metavar="[ID]", required=False)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(OPEN, case_sensitive=False),
    help="All runs in this state, in place of one. May be repeated.",
)
@click.option("--deployment", metavar="FLOW/NAME", help="All runs of this deployment.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before many are cancelled.")
@as_json
def cancel(
    run_id: str | None,
    states: tuple[str, ...],
    deployment: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Cancel a flow run, and the deployed runs that it waits for; or many at once."""
    many = bool(states or deployment)
    if many == (run_id is not None):
        raise click.UsageError("name one flow run, or say which with --state or --deployment")
    if run_id is not None:
        _order(lambda api: api.cancel_run(run_id), as_json)
        return
    with open_api() as api:
        found = _find(api, list(states) or OPEN, deployment)
        if found and not yes and sys.stdin.isatty():
            click.confirm(f"Cancel {len(found)} flow runs?", abort=True)
        cancelled = [run for one in found if (run := _cancel_one(api, one)) is not None]
    if as_json:
        print_json(cancelled)
    else:
        click.echo(f"{len(cancelled)} flow runs are cancelled, or about to be.")


@click.command()
@click.argument("run_id", metavar="ID")
@timeout_option
@as_json
def pause(run_id: str, timeout: float, as_json: bool) -> None:
    """Let a running flow run stand still. It keeps its processes and its slot."""
    _order(lambda api: api.pause_run(run_id, timeout or None), as_json)


@click.command()
@click.argument("run_id", metavar="ID")
@timeout_option
@as_json
def suspend(run_id: str, timeout: float, as_json: bool) -> None:
    """End the process of a flow run, which begins again from its start once it is resumed."""
    _order(lambda api: api.suspend_run(run_id, timeout or None), as_json)


@click.command()
@click.argument("run_id", metavar="ID")
@as_json
def resume(run_id: str, as_json: bool) -> None:
    """Let a paused or suspended flow run go on."""
    _order(lambda api: api.resume_run(run_id), as_json)


@click.command()
@click.argument("run_id", metavar="ID")
@click.option("--force", is_flag=True, help="Also where it has completed.")
@as_json
def retry(run_id: str, force: bool, as_json: bool) -> None:
    """Run a flow run again that is over: the same run, as a new attempt."""
    _order(lambda api: api.retry_run(run_id, force=force), as_json)


@click.command()
@click.argument("run_id", metavar="ID")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def delete(run_id: str, yes: bool) -> None:
    """Delete a flow run that is over, with its log, its history and its task runs."""
    with open_api() as api:
        if not yes and sys.stdin.isatty():
            click.confirm(f"Delete flow run {api.run(run_id).name!r}?", abort=True)
        api.delete_run(run_id)
    click.echo(f"Flow run {run_id} is deleted.")


def _order(order: Callable[[Api], FlowRun], as_json: bool) -> None:
    with open_api() as api:
        run = order(api)
    if as_json:
        print_json(run)
    else:
        click.echo(f"Flow run {run.name!r} is {run.state.name}.")


def _find(api: Api, states: Sequence[str], deployment: str | None) -> list[FlowRun]:
    found: list[FlowRun] = []
    before = None
    while True:
        page = api.runs(states=list(states), deployment=deployment, limit=PAGE, before=before)
        found += [run for run in page.runs if run.deployment_id is not None]
        before = page.next
        if before is None:
            return found


def _cancel_one(api: Api, run: FlowRun) -> FlowRun | None:
    try:
        return api.cancel_run(run.id)
    except (Conflict, NotFound):
        # It has ended meanwhile, for example with the run that waited for it.
        return None


COMMANDS = (cancel, pause, suspend, resume, retry, delete)
