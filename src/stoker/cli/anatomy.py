"""The start anatomy of a run, as a table."""

import click

from stoker.cli.output import duration, millis_clock, print_table
from stoker.domain.anatomy import StartAnatomy

HOPS = (
    ("submitted", "the server received it"),
    ("launch_requested", "a worker was asked for a host"),
    ("launched", "the host was started"),
    ("registered", "the host registered"),
    ("claimed", "it was given a slot"),
    ("assigned", "it was sent to the host"),
    ("received", "the host had it"),
    ("imported", "its code was imported"),
    ("handed_over", "a waiting process got it"),
    ("first_line", "the flow was called"),
)


def print_anatomy(anatomy: StartAnatomy) -> None:
    """Print when a run passed each hop, and how long each took."""
    rows: list[tuple[str, str, str | None, str | None, str]] = []
    first = last = None
    for name, meaning in HOPS:
        at: float | None = getattr(anatomy, name)
        if at is None:
            continue
        if first is None or last is None:
            first = last = at
        if name == "imported" and anatomy.import_seconds is not None:
            what = f"{meaning} in {duration(anatomy.import_seconds)}"
        else:
            what = meaning
        rows.append((name, millis_clock(at), duration(at - last), duration(at - first), what))
        last = at
    if not rows:
        click.echo("It ran in its caller's process: no start to show.")
        return
    print_table(("Start", "At", "Step", "Total", "Meaning"), rows, empty="")
    if anatomy.seconds is not None:
        kind = f"a {anatomy.start_class} start" if anatomy.start_class else "a start"
        click.echo(f"{kind}: {duration(anatomy.seconds)} from submission to the flow's first line")
