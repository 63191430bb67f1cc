"""How the commands of concurrency limits print."""

import time

import click

from stoker.cli.output import clock, duration, print_fields, print_json, print_table
from stoker.domain.concurrency import Limit, LimitKind, SlotLease
from stoker.wire.http import LimitDetail


def show_limit(detail: LimitDetail, as_json: bool) -> None:
    """Print a limit, who has slots of it, and who waits."""
    if as_json:
        print_json(detail)
        return
    limit = detail.limit
    is_tag = limit.kind is LimitKind.TAG
    print_fields(
        [
            ("Tag" if is_tag else "Name", limit.name),
            ("Limit", limit.slots),
            ("In use", f"{detail.in_use:g}"),
            ("Slot decay per second", f"{limit.decay:g}" if not is_tag else None),
            ("Active", None if limit.active else "no"),
            ("Created", clock(limit.created)),
        ]
    )
    now = time.time()
    columns = ("", "Slots", "For", "Flow run or script", "Since")
    rows = [_row("holds", one, now) for one in detail.holders]
    rows += [_row("waits", one, now) for one in detail.waiting]
    if rows:
        click.echo()
        print_table(columns, rows, empty="")


def _row(what: str, lease: SlotLease, now: float) -> tuple[object, ...]:
    if lease.acquired is not None and lease.decays:
        what = "decays"
    since = lease.asked if lease.acquired is None else lease.acquired
    return what, lease.slots, lease.label, lease.run_id or lease.host_id, duration(now - since)


def list_limits(details: list[LimitDetail], as_json: bool, *, empty: str) -> None:
    """Print limits, one a line."""
    if as_json:
        print_json(details)
        return
    decays = any(one.limit.decay for one in details)
    columns = ["Name", "Limit", "In use", "Waiting"]
    rows: list[list[object]] = []
    for one in details:
        limit = one.limit
        row: list[object] = [limit.name, limit.slots, f"{one.in_use:g}", len(one.waiting)]
        if decays:
            row.append(f"{limit.decay:g}")
        rows.append([*row, "" if limit.active else "off"])
    print_table([*columns, *(["Decay per s"] if decays else []), ""], rows, empty=empty)


def say_limit(limit: Limit, as_json: bool, outcome: str) -> None:
    """Print a limit that was made or changed."""
    if as_json:
        print_json(limit)
        return
    what = "tag" if limit.kind is LimitKind.TAG else "name"
    click.echo(f"The limit of {limit.slots} on the {what} {limit.name!r} {outcome}.")
