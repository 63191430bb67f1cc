"""The demo: hundreds of isolated runs on warm slots, then some that each launch a host.

Run it with `make demo`. The flows are in `flows.py`. This file starts a Stoker of its own in a
temporary folder, runs them there, and shows what the server has recorded. It leaves nothing behind.
"""

import argparse
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import flows
import pandas as pd
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stoker.domain.anatomy import StartClass
from stoker.domain.errors import StokerError
from stoker.domain.pools import WarmKnobs
from stoker.domain.runs import FlowRun
from stoker.testing import Harness, harness, result_of

FLOWS = Path(flows.__file__)

HOT = WarmKnobs(min=1, max=1, slots_per_host=8)
"""One host is kept; its eight children wait with the code imported."""

COLD = WarmKnobs(min=0, max=1, slots_per_host=1, idle_timeout=0)
"""No host is kept: each run has one launched, and it leaves after the run."""

Rows = list[dict[str, Any]]


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description="Run Stoker's demo.")
    parser.add_argument("--days", type=int, default=730, help="hot runs (default: %(default)s)")
    parser.add_argument("--cold", type=int, default=20, help="cold runs (default: %(default)s)")
    options = parser.parse_args()
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, interrupt)
    expected = in_this_process()[: options.days]
    try:
        with console.status("Starting Stoker") as status, started() as stoker:
            status.stop()
            console.print(f"A Stoker of this demo's own runs at {stoker.url}")
            with progress_bar(console) as progress:
                rows, hot = fan_out(stoker, expected, progress)
                cold_rows, cold = one_by_one(stoker, expected[: options.cold], progress)
    except KeyboardInterrupt:
        console.print("Stopped; nothing of it is left.")
        return 130
    except StokerError as error:
        console.print(f"The demo failed: {error}", style="red")
        return 1
    show_starts(console, [*hot, *cold])
    show_work(console, rows)
    return verdict(console, hot, cold, rows == expected and cold_rows == expected[: options.cold])


@contextmanager
def started() -> Generator[Harness]:
    """Start a server with a warm pool and a cold one, and deploy the flows on them."""
    with harness(warm=HOT) as stoker:
        try:
            stoker.create_pool("cold", warm=COLD)
            stoker.start_worker("cold")
            stoker.deploy(FLOWS, name="hot")
            stoker.deploy(FLOWS, "measure_day", name="cold", pool="cold")
            yield stoker
        finally:
            # Who is impatient shall not leave processes behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does."""
    del number, frame
    raise KeyboardInterrupt


def in_this_process() -> Rows:
    """Do all the work here, with no Stoker."""
    return [
        {"city": city, "day": str(day)} | flows.summarise(temperatures)
        for city in flows.CITIES
        for day, temperatures in flows.load(city).groupby("day").temp
    ]


def fan_out(stoker: Harness, days: Rows, progress: Progress) -> tuple[Rows, list[FlowRun]]:
    """Run the parent flow, itself on the pool; return its result and the runs that it started."""
    bar = progress.add_task("hot", total=len(days))
    parameters = {"cities": [row["city"] for row in days], "days": [row["day"] for row in days]}
    parent = stoker.start("degree-days/hot", parameters)
    newest = ""
    while not parent.state.is_terminal:
        parent = stoker.api.wait_run(parent.id, 0.2)
        begun = list(children_of(stoker, parent, newest))
        newest = begun[0].id if begun else newest
        progress.advance(bar, len(begun))
    rows = result_of(parent)
    progress.update(bar, completed=len(days))
    return rows, list(children_of(stoker, parent))


def children_of(stoker: Harness, parent: FlowRun, after: str = "") -> Iterator[FlowRun]:
    """Go through the runs that a run has started after another one, newest first."""
    before = None
    while True:
        page = stoker.api.runs(parent=parent.id, limit=100, before=before)
        for run in page.runs:
            if run.id <= after:
                return
            yield run
        if page.next is None:
            return
        before = page.next


def one_by_one(stoker: Harness, days: Rows, progress: Progress) -> tuple[Rows, list[FlowRun]]:
    """Run some days on the pool that keeps no host, one after the other."""
    bar = progress.add_task("cold", total=len(days))
    runs: list[FlowRun] = []
    for row in days:
        runs.append(stoker.run("measure-day/cold", {"city": row["city"], "day": row["day"]}))
        progress.advance(bar)
    return [result_of(run) for run in runs], runs


def progress_bar(console: Console) -> Progress:
    """Return a progress bar that counts runs."""
    return Progress(
        TextColumn("{task.description:4} runs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def show_starts(console: Console, runs: list[FlowRun]) -> None:
    """Show how long the runs took to start, by how warm the server recorded the start to be."""
    table = Table(title="Start latency, ms", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("start")
    for column in ("n", "p50", "p95", "p99"):
        table.add_column(column, justify="right")
    for kind in StartClass:
        anatomies = [run.anatomy for run in runs if run.anatomy.start_class is kind]
        if anatomies:
            seconds = pd.Series([anatomy.seconds for anatomy in anatomies], dtype=float)
            figures = [seconds.quantile(share) * 1000 for share in (0.50, 0.95, 0.99)]
            table.add_row(kind, str(len(anatomies)), *(f"{figure:,.1f}" for figure in figures))
    console.print(table)
    console.print("From the moment the server has a run to the first line of its function.")


def show_work(console: Console, rows: Rows) -> None:
    """Show what was found out."""
    table = Table(title="Heating, 2010", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("city")
    for column in ("days", "degree days", "coldest day", "warmest day"):
        table.add_column(column, justify="right")
    for city in flows.CITIES:
        days = [row for row in rows if row["city"] == city]
        if not days:
            continue
        coldest = min(days, key=lambda row: row["low"])
        warmest = max(days, key=lambda row: row["high"])
        table.add_row(
            city,
            str(len(days)),
            f"{sum(row['heating'] for row in days):,.0f}",
            f"{coldest['day'][5:]}, {coldest['low']:.1f} °F",
            f"{warmest['day'][5:]}, {warmest['high']:.1f} °F",
        )
    console.print(table)


def verdict(console: Console, hot: list[FlowRun], cold: list[FlowRun], same: bool) -> int:
    """Say how fast it was and whether all is right; return the exit code."""
    first = min(run.created for run in hot)
    last = max(run.ended or 0.0 for run in hot)
    console.print(
        f"{len(hot)} isolated runs, each in a process of its own, in {last - first:.1f} s: "
        f"[bold]{len(hot) / (last - first):,.0f} runs/s[/]"
    )
    warmer = sum(run.anatomy.start_class is not StartClass.COLD for run in cold)
    if warmer:
        console.print(f"{warmer} of the {len(cold)} cold runs did not launch a host.", style="red")
    if same:
        console.print("The result is the same as that of one process without Stoker.")
    else:
        console.print("The result differs from that of one process!", style="red")
    return 0 if same and not warmer else 1


if __name__ == "__main__":
    sys.exit(main())
