"""``stoker flow-run``."""

import click
import msgspec

from stoker.cli import run_orders
from stoker.cli.anatomy import print_anatomy
from stoker.cli.context import open_api
from stoker.cli.output import as_json, clock, duration, print_fields, print_json, print_table
from stoker.cli.watch import follow_logs, format_line, format_state, may_leave
from stoker.domain.runs import FlowRun, StoredLogLine, TaskRun
from stoker.domain.states import ResultRecord, StateType

TAIL = 1000
"""Log lines that the server is asked for at a time."""


@click.group()
def flow_run() -> None:
    """Show and follow flow runs, cancel, pause, resume and retry them."""


@flow_run.command()
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in StateType], case_sensitive=False),
    help="Only runs in this state. May be repeated.",
)
@click.option("--deployment", metavar="FLOW/NAME", help="Only runs of this deployment.")
@click.option("--flow", help="Only runs of this flow.")
@click.option("--pool", help="Only runs in this work pool.")
@click.option("--parent", metavar="ID", help="Only runs that this flow run started.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many."
)
@click.option("--before", metavar="ID", help="Only runs older than this one.")
@as_json
def ls(
    states: tuple[str, ...],
    deployment: str | None,
    flow: str | None,
    pool: str | None,
    parent: str | None,
    limit: int,
    before: str | None,
    as_json: bool,
) -> None:
    """List flow runs, newest first."""
    with open_api() as api:
        page = api.runs(
            states=list(states),
            deployment=deployment,
            flow=flow,
            pool=pool,
            parent=parent,
            limit=limit,
            before=before,
        )
    if as_json:
        print_json(page.runs)
        return
    print_table(
        ("Id", "Name", "Flow", "State", "Created", "Start", "Took"),
        [
            (
                run.id,
                run.name,
                run.deployment or run.flow_name,
                run.state.name,
                clock(run.created),
                _start(run),
                _took(run),
            )
            for run in page.runs
        ],
        empty="No flow runs.",
    )
    if page.next:
        click.echo(f"There are more; --before {page.next} shows the next ones.")


@flow_run.command()
@click.argument("run_id", metavar="ID")
@as_json
def inspect(run_id: str, as_json: bool) -> None:
    """Show a flow run: its states, the anatomy of its start, its tasks."""
    with open_api() as api:
        run = api.run(run_id)
        states = api.run_states(run_id)
        tasks = api.task_runs(run_id)
    if as_json:
        more = {"result": _readable(run.result), "states": states, "task_runs": tasks}
        print_json(msgspec.structs.asdict(run) | more)
        return
    print_fields(
        [
            ("Name", run.name),
            ("Id", run.id),
            ("Flow", run.flow_name),
            ("Deployment", run.deployment),
            ("Parent", run.parent_run_id),
            ("State", run.state.name),
            ("Message", run.state.message or None),
            ("Waits", None if run.state.is_terminal else run.waiting_for),
            ("Pool", run.pool and f"{run.pool}, queue {run.queue}"),
            ("Host", run.host_id),
            ("Attempt", run.attempt or None),
            ("Crashes", run.crashes or None),
            ("Due", None if run.due <= run.created else clock(run.due)),
            ("Paused until", run.paused_until and clock(run.paused_until)),
            ("Calls", run.run_count or None),
            ("Parameters", msgspec.json.encode(run.parameters).decode()),
            ("Tags", ", ".join(run.tags) or None),
            ("Timeout", duration(run.timeout)),
            ("Created", clock(run.created)),
            ("Started", clock(run.started)),
            ("Ended", clock(run.ended)),
            ("Took", _took(run)),
            ("Result", _result(run)),
        ]
    )
    click.echo()
    for state in states:
        click.echo(format_state(state))
    click.echo()
    print_anatomy(run.anatomy)
    if tasks:
        click.echo()
        print_table(
            ("Task run", "State", "Calls", "Started", "Took"),
            [(t.name, t.state.name, t.run_count, clock(t.started), _took(t)) for t in tasks],
            empty="",
        )


@flow_run.command()
@click.argument("run_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run is over.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --follow one line each.")
def logs(run_id: str, follow: bool, as_json: bool) -> None:
    """Print the log of a flow run."""

    def show(line: StoredLogLine) -> None:
        if as_json:
            print_json(line, indent=-1)
        else:
            click.echo(format_line(line))

    with open_api() as api:
        if follow:
            with may_leave(run_id):
                follow_logs(api, run_id, show)
            return
        lines: list[StoredLogLine] = []
        while page := api.logs(run_id, after=lines[-1].id if lines else 0, limit=TAIL):
            lines += page
            if len(page) < TAIL:
                break
        if not lines:
            api.run(run_id)  # An unknown run is an error, not an empty log.
    if as_json:
        print_json(lines)
        return
    for line in lines:
        show(line)


for _command in run_orders.COMMANDS:
    flow_run.add_command(_command)


def _start(run: FlowRun) -> str | None:
    seconds = run.anatomy.seconds
    if seconds is None:
        return None
    return f"{run.anatomy.start_class or ''} {duration(seconds)}".strip()


def _took(run: FlowRun | TaskRun) -> str | None:
    if run.started is None or run.ended is None:
        return None
    return duration(run.ended - run.started)


def _readable(result: ResultRecord | None) -> object:
    """A result record with what was returned as its ``value``, where that is plain JSON."""
    if result is None or result.format != "json" or result.file:
        return result
    return {"format": result.format, "value": msgspec.Raw(result.data)}


def _result(run: FlowRun) -> str | None:
    """A result that is plain JSON; pickles are not opened here."""
    if run.result is None or run.result.format == "error":
        return None
    if run.result.format != "json" or run.result.file:
        return f"{run.result.format}, {run.result.file or f'{len(run.result.data)} bytes'}"
    text = run.result.data.decode(errors="replace")
    return text if len(text) <= 500 else f"{text[:500]} …"
